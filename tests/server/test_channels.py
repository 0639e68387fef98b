"""Which channels a project gets."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest
from pydantic import JsonValue

from bot.core.errors import SettingsError
from bot.core.events import Recorded, Started
from bot.server.channels import find_channels, not_served
from bot.serving import changed_since
from bot.store import SqlStore
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
    root = Path(__file__).parents[2]
    files = [path for package in ("bot", "connectors") for path in (root / package).rglob("*.py")]
    naming = {path.parent for path in files if re.search(r"^\s*(from|import) (socketio|engineio)\b", path.read_text())}
    naming |= {path.parent for path in files if "from connectors.socketio" in path.read_text()}
    assert naming == {root / "connectors" / "socketio"}


async def test_a_channel_is_told_which_of_its_recent_conversations_have_changed(tmp_path: Path) -> None:
    now, week = time.time(), 7 * 86_400

    async def begin(conversation: str, channel: str, at: float) -> None:
        event = Started(channel=channel, sender=conversation)
        await store.append(conversation, 0, [Recorded(conversation=conversation, seq=1, turn=0, at=at, event=event)])

    async with SqlStore(tmp_path / "log.db") as store:
        assert await changed_since(store, "callback", 0) == ([], 0)
        await begin("old", "callback", now - 2 * week)
        await asyncio.gather(*(begin(f"c{number}", "callback" if number % 2 else "rest", now) for number in range(120)))
        found, position = await changed_since(store, "callback", 0)
        assert sorted(found) == sorted(f"c{number}" for number in range(1, 120, 2))
        assert await changed_since(store, "callback", position) == ([], position)
        await begin("new", "callback", now)
        assert await changed_since(store, "callback", position) == (["new"], position + 1)
