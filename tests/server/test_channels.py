"""Which channels a project gets."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import JsonValue

from bot.core.errors import SettingsError
from bot.server.channels import find_channels, not_served
from connectors.limits import Limits

Given = dict[str, dict[str, JsonValue]]
LASTING: Given = {"socketio": {"session_persistence": True}}
CALLBACK: Given = {"callback": {"url": "https://shop.example/bot"}}


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ({}, {"rest", "web"}),
        ({"rest": {}}, {"rest", "web"}),
        ({"rasa": {"url": "http://localhost:5002/api"}}, {"web"}),
        (LASTING, {"socketio", "web"}),
        ({"rest": {}, **LASTING, **CALLBACK, "telegram": {}}, {"callback", "rest", "socketio", "web"}),
    ],
)
def test_channels_are_those_of_credentials_yml_and_our_own(credentials: Given, expected: set[str]) -> None:
    assert {channel.name for channel in find_channels(Limits(), credentials)} == expected


def test_one_warning_says_what_is_not_served_and_what_to_do() -> None:
    assert not_served({"rest": {}, "rasa": {}}) == ""
    told = not_served({"telegram": {}, "addons.my_channel.MyIO": {}, "rest": {}})
    for part in ("addons.my_channel.MyIO, telegram", "callback, rest, socketio, web", "class", "docs/channels.md"):
        assert part in told


def test_incomplete_credentials_stop_the_start_and_say_where() -> None:
    with pytest.raises(SettingsError, match=r"credentials.yml, channel 'callback': url: Field required"):
        find_channels(Limits(), {"callback": {}})


def test_what_is_not_configured_is_not_imported() -> None:
    code = (
        "import sys; from bot.server.app import find_channels; from connectors.limits import Limits; "
        "find_channels(Limits()); "
        "print([m for m in ('socketio', 'engineio') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
