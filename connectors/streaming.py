"""A turn's messages as they are committed, in one of two forms.

Server-sent events for a client that asks for them (`Accept: text/event-stream`): one event a message, then `done`; a
`draft` holds the beginning of an answer that a generator is wording. Every other event has an id; a client whose
stream broke posts the same message again with `Last-Event-ID` and gets what it has not seen, for the id holds the
message's key, under which a resend is no new message. Lines of JSON for all other clients: that is what Rasa sends,
under the very same content type.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from aiohttp import web
from pydantic import BaseModel

from bot.core.errors import InputError
from bot.core.events import Replied, Settled
from bot.core.protocols import Draft, Gateway, Receipt
from connectors.rendering import rasa_messages

_ID = re.compile(r"(?P<key>[\x21-\x7e]{1,128}):(?P<seq>\d{1,15})\.(?P<part>\d{1,6})")


class Position(NamedTuple):
    """The last event a client has seen: its message's key, the seq of the bot's message and the part of that."""

    key: str
    seen: tuple[int, int]


class Item(BaseModel):
    """What an event carries. `place` is its position; drafts have none, for they are not repeated."""

    name: str
    place: tuple[int, int] | None
    data: str


class DraftText(BaseModel):
    """The beginning of an answer that is being worded; the next message replaces it."""

    recipient_id: str
    text: str


class Done(BaseModel):
    """The last event: how the turn ended."""

    recipient_id: str
    outcome: str


def wants_events(request: web.Request) -> bool:
    """Whether the client asks for server-sent events; a bare `*/*`, as Rasa's clients send, does not."""
    return "text/event-stream" in request.headers.get("Accept", "").lower()


def position(last_event_id: str) -> Position:
    """Where a client goes on.

    Raises:
        InputError: this is no id of ours.
    """
    found = _ID.fullmatch(last_event_id)
    if found is None:
        raise InputError("Last-Event-ID is no id of this stream; send the last `id:` as it came, or leave it out")
    return Position(found["key"], (int(found["seq"]), int(found["part"])))


async def as_lines(request: web.Request, gateway: Gateway, receipt: Receipt) -> web.StreamResponse:
    """Rasa's form: a line of JSON a message."""
    response = await _begin(request)
    async with aclosing(_items(gateway, receipt)) as items:
        async for item in items:
            if item.name == "message":
                await response.write(item.data.encode() + b"\n")
    await response.write_eof()
    return response


async def as_events(
    request: web.Request, gateway: Gateway, receipt: Receipt, at: Position, alive_every: float
) -> web.StreamResponse:
    """Server-sent events after `at`. A comment every `alive_every` seconds keeps proxies from closing the stream."""
    response = await _begin(request)
    async with aclosing(_items(gateway, receipt)) as items:
        upcoming = asyncio.ensure_future(anext(items))
        try:
            while True:
                done, _ = await asyncio.wait((upcoming,), timeout=alive_every)
                if not done:
                    await response.write(b": still here\n\n")
                    continue
                item = upcoming.result()
                if item.place is None or item.place > at.seen:
                    await response.write(_event(item, at.key))
                upcoming = asyncio.ensure_future(anext(items))
        except StopAsyncIteration:
            pass
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
    await response.write_eof()
    return response


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    return response


def _event(item: Item, key: str) -> bytes:
    kind = "" if item.name == "message" else f"event: {item.name}\n"
    place = f"id: {key}:{item.place[0]}.{item.place[1]}\n" if item.place else ""
    return f"{kind}{place}data: {item.data}\n\n".encode()


async def _items(gateway: Gateway, receipt: Receipt) -> AsyncGenerator[Item, None]:
    """The messages of the turn in Rasa's shape and, once it is over, its outcome. A turn is never silent."""
    said = False
    recipient, turn = receipt.conversation, receipt.turn
    async for recorded in gateway.follow_drafts(recipient, receipt.seq):
        if recorded.turn != turn:
            continue
        if isinstance(recorded, Draft):
            draft = DraftText(recipient_id=recipient, text=recorded.text)
            yield Item(name="draft", place=None, data=draft.model_dump_json())
            continue
        event, seq = recorded.event, recorded.seq
        messages = (event.message,) if isinstance(event, Replied) else ()
        if messages or (isinstance(event, Settled) and not said):
            for part, shown in enumerate(rasa_messages(messages, recipient).root):
                yield Item(name="message", place=(seq, part), data=shown.model_dump_json(exclude_none=True))
            said = True
        if isinstance(event, Settled):
            done = Done(recipient_id=recipient, outcome=event.outcome)
            yield Item(name="done", place=(seq, 1_000), data=done.model_dump_json())
            return
