#!/bin/sh
# What the tests need from the system: a browser. Installed on Debian and Ubuntu as root; named elsewhere.
set -eu
have() { command -v "$1" >/dev/null 2>&1; }
if have chromium || have chromium-browser || have google-chrome; then exit 0; fi
if have apt-get && [ "$(id -u)" = 0 ]; then
    echo "Installing chromium for the browser tests"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
    exit 0
fi
echo "The browser tests need Chromium. Debian or Ubuntu: sudo apt-get install chromium; macOS: brew install --cask chromium"
[ "${CI:-}" = true ] && exit 1
echo "They are left out of this run."
