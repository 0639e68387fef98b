"""Channels on a real server over a real manager, whose bot waits when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from pydantic import JsonValue

from bot.core import events as ev
from bot.core.program import Act, Button, Edge, Flow, Program, Variation
from bot.core.protocols import ActionCall, ActionResult
from bot.manager import Manager
from bot.server.app import build_app
from bot.server.routes import Services
from bot.server.run import make_runner
from bot.server.settings import ServerSettings
from connectors.http import HttpChannel, Setup
from connectors.limits import Limits
from tests.fakes import Actions, MemoryStore, Reader, models, program

REPLIES: dict[str, Variation] = {
    "plain": Variation(text="Hi there."),
    "split": Variation(text="One.\n\nTwo.\n\nThree."),
    "buttons": Variation(text="Hi there.\n\nHow can I help?", buttons=(Button(title="Book", payload='/book{"n":2}'),)),
    "image": Variation(text="Look:", image="https://x.example/a.png", buttons=(Button(title="More", payload="/more"),)),
    "card": Variation(
        elements=({"title": "Mug", "subtitle": "Blue", "buttons": [{"title": "Buy", "payload": "/buy"}]},)
    ),
    "data": Variation(custom={"data": {"stars": 5}}),
    "custom": Variation(custom={"type": "rating", "options": [{"value": 5, "payload": "/rate"}]}),
    "attachment": Variation(attachment={"type": "file", "payload": {"src": "https://x.example/a.pdf"}}),
    "book": Variation(text="Booked."),
}


def bot() -> Program:
    """Says the reply named by a message's first word; `slow` says "One moment.", waits for its action, says "Done."."""
    given = program()
    flows = {
        name: Flow(id=name, name=name, triggers=(name,), steps=(Act(id="a", action=f"utter_{name}"),))
        for name in REPLIES
    }
    steps = (
        Act(id="a", action="utter_moment", next=(Edge(to="b"),)),
        Act(id="b", action="action_wait", next=(Edge(to="c"),)),
        Act(id="c", action="utter_done"),
    )
    flows["slow"] = Flow(id="slow", name="slow", triggers=("slow",), steps=steps)
    said = {f"utter_{name}": (variation,) for name, variation in REPLIES.items()}
    said |= {"utter_moment": (Variation(text="One moment."),), "utter_done": (Variation(text="Done."),)}
    return given.model_copy(
        update={
            "flows": given.flows | flows,
            "responses": given.responses | said,
            "actions": (*given.actions, "action_wait"),
            "knowledge": False,
        }
    )


class Waiting(Actions):
    """One action, which waits until `go` is set."""

    def __init__(self) -> None:
        super().__init__(action_wait=lambda call: ActionResult())
        self.go = asyncio.Event()
        self.begun = asyncio.Event()

    async def run(self, call: ActionCall) -> ActionResult:
        self.begun.set()
        await self.go.wait()
        return await super().run(call)


@dataclass
class Live:
    """A running server with one channel."""

    store: MemoryStore
    manager: Manager
    actions: Waiting
    reader: Reader
    http: aiohttp.ClientSession
    url: str
    runner: web.AppRunner

    def facts(self, kind: type[ev.Event]) -> list[ev.Event]:  # type: ignore[valid-type]
        """The facts of a kind, of all conversations."""
        return [recorded.event for recorded in self.store.log if isinstance(recorded.event, kind)]


Make = Callable[[Limits, Setup], HttpChannel]


@asynccontextmanager
async def live(
    make: Make,
    store: MemoryStore | None = None,
    credentials: dict[str, JsonValue] | None = None,
    payloads: bool = False,
    **settings: object,
) -> AsyncIterator[Live]:
    """Serve one channel; give the store of an earlier one to restart it."""
    chosen = ServerSettings.model_validate({"port": 0, **settings})
    store, actions, reader = store or MemoryStore(), Waiting(), Reader()
    manager = Manager(store, models(reader, program=bot(), actions=actions))

    async def changed(channel: str, after: int) -> tuple[list[str], int]:
        found = [r for r in store.log if r.position > after]
        return list(dict.fromkeys(r.conversation for r in found)), max([after, *(r.position for r in found)])

    channel = make(chosen.limits, Setup(credentials or {}, payloads, changed))
    runner = make_runner(build_app(Services(manager, {}), chosen, (channel,)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession(url) as http:
            yield Live(store, manager, actions, reader, http, url, runner)
    finally:
        await runner.cleanup()
        await manager.close()
