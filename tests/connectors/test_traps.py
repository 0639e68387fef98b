"""Traps 11 to 13 of the compatibility list, where deliveries come by HTTP: odd content types, and deliveries again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.core import events as ev
from connectors.rest import RestChannel
from tests.connectors.live import Live, live


@pytest.fixture
async def served() -> AsyncIterator[Live]:
    async with live(RestChannel) as running:
        yield running


async def say(served: Live, body: object, **options: Any) -> Any:
    async with served.http.post("/webhooks/rest/webhook", data=json.dumps(body), **options) as answer:
        return await answer.json()


async def test_trap_11_json_may_name_its_charset(served: Live) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert await say(served, {"sender": "u1", "message": "plain"}, headers=headers)


async def test_trap_12_a_delivery_under_a_known_id_is_answered_again_and_not_heard_again(served: Live) -> None:
    body = {"sender": "u1", "message": "plain", "message_id": "Ev1"}
    first, again = await say(served, body), await say(served, body)
    assert first == again
    assert len(served.facts(ev.Received)) == 1


async def test_trap_12_the_same_words_under_a_new_id_are_a_new_message(served: Live) -> None:
    for key in ("Ev1", "Ev2"):
        await say(served, {"sender": "u1", "message": "plain", "message_id": key})
    assert len(served.facts(ev.Received)) == 2


async def test_trap_13_what_is_delivered_twice_at_once_is_heard_once(served: Live) -> None:
    body = {"sender": "u1", "message": "plain", "message_id": "m1"}
    first, other = await asyncio.gather(say(served, body), say(served, body))
    assert first == other
    assert len(served.facts(ev.Received)) == 1
