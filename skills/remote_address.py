"""Where a server of the operator's is, and the key for it, checked before anything is sent.

Errors name the setting that is to be changed; a key appears in none of them.
"""

from __future__ import annotations

import ipaddress
import re

from pydantic import SecretStr
from yarl import URL

from bot.core.errors import SettingsError


def checked_address(url: str, setting: str, key: SecretStr | None, key_setting: str) -> URL:
    """The base address in `url`. `setting` and `key_setting` are what the settings call it and its key.

    Raises:
        SettingsError: it cannot be used, or the key would travel in the open.
    """
    try:
        base = URL(url.rstrip("/"))
    except ValueError:
        base = URL()
    if base.scheme not in ("http", "https") or not base.host or base.query_string or base.fragment:
        raise SettingsError(f"`{setting}`: expected an address such as http://127.0.0.1:8000/v1, with no query")
    if base.user or base.password:
        raise SettingsError(f"`{setting}` holds a name or password; put a key into `{key_setting}`")
    if key is not None and base.scheme == "http" and not _nearby(base.host):
        raise SettingsError(f"`{key_setting}` would travel in the open to {base.host}; use https, or send no key")
    return base


def checked_key(secret: SecretStr, setting: str) -> str:
    """The key, as a header may hold it.

    Raises:
        SettingsError: it may not.
    """
    key = secret.get_secret_value().strip()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise SettingsError(f"`{setting}` must hold visible ASCII characters only")
    return key


def _nearby(host: str) -> bool:
    """Whether a name or address is of this machine or its own network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
    return address.is_loopback or address.is_private
