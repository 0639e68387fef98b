"""A small action server of our own for tests: it answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.core import events as ev
from bot.core.messages import Message, Text
from bot.core.program import Program, Slot, Variation
from bot.core.protocols import ActionCall
from bot.project.endpoints import Endpoint

PROGRAM = Program(
    id="p1",
    slots={
        "size": Slot(name="size"),
        "count": Slot(name="count", type="any"),
        "price": Slot(name="price", type="float"),
    },
    responses={"utter_hi": (Variation(text="Hi {name}!"),)},
    actions=("action_x", "validate_pizza_form", "action_validate_slot_mappings"),
)


@dataclass
class Asked:
    """One request as it came."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes


@dataclass
class Answers:
    """What the server answers, one after another; the last one again and again. None: the connection is cut."""

    given: list[tuple[int, str] | None]
    asked: list[Asked] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.content.read()
        plain = zlib.decompress(raw) if request.headers.get("Content-Encoding") == "deflate" else raw
        self.asked.append(Asked(json.loads(plain), request.headers, request.query, raw))
        await self.gate.wait()
        answer = self.given.pop(0) if len(self.given) > 1 else self.given[0]
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(status=answer[0], text=answer[1])


@asynccontextmanager
async def answering(*given: tuple[int, str] | None) -> AsyncIterator[tuple[Answers, Endpoint]]:
    """A server with these answers, and how to reach it."""
    answers = Answers(list(given))
    app = web.Application(handler_args={"auto_decompress": False})
    app.router.add_post("/webhook", answers.answer)
    async with TestServer(app) as server:
        yield answers, Endpoint(url=str(server.make_url("/webhook")))


def history() -> list[ev.Recorded]:
    """A conversation in which the user has said one thing."""
    said = Message(id="m1", parts=(Text(text="a large one"),))
    facts: list[tuple[int, ev.Event]] = [
        (0, ev.Started(channel="rest", sender="ann")),
        (1, ev.Received(message=said, key="m1", channel="rest")),
        (
            1,
            ev.Understood(
                text="a large one", language="en", intents=(ev.Scored(name="inform", score=0.9),), in_scope=0.9
            ),
        ),
        (1, ev.SessionStarted()),
        (1, ev.Extracted(intent="inform", slots=("size",))),
        (1, ev.SlotSet(name="size", value="large", source="entity")),
    ]
    return [
        ev.Recorded(conversation="c", seq=seq, turn=turn, at=100.0 + seq, event=event)
        for seq, (turn, event) in enumerate(facts, 1)
    ]


def call(name: str = "action_x", *candidates: str, **options: Any) -> ActionCall:
    """A call in that conversation."""

    async def told(after: int) -> list[ev.Recorded]:
        return history()[after:]

    slots = {"size": "large", "count": None, "price": None}
    given: dict[str, Any] = {"candidates": candidates, "history": told, **options}
    return ActionCall(name, "c/1/" + name, "c", "ann", slots, "a large one", 200.0, **given)
