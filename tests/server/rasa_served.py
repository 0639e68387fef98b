"""Rasa's whole HTTP API on a free port: a real manager with a scripted program, a log in memory, words for models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
from aiohttp import web

from bot.app import Bot, Loaded
from bot.config import Settings
from bot.core.program import EntityType, Intent, Program, Slot, SlotMapping, Variation
from bot.core.protocols import ActionCall, ActionResult
from bot.core.script import Did, Form, Gap, Heard, Script, Story, StoryStep
from bot.manager import Manager
from bot.rasa_operations import BotOperations
from bot.server.app import build_app
from bot.server.routes import Services
from bot.server.run import make_runner
from bot.server.settings import ServerSettings
from connectors.rest import RestChannel
from tests.fakes import Actions, MemoryStore, Reader, models


def rule(intent: str, *actions: str) -> Story:
    steps: tuple[StoryStep, ...] = (
        Gap(),
        Heard(intent=intent),
        *(Did(action=action) for action in (*actions, "action_listen")),
    )
    return Story(name=intent, steps=steps, rule=True)


def find(call: ActionCall) -> ActionResult:
    return ActionResult(slots={"city": "Bonn"}, messages=("utter_found",))


def broken(call: ActionCall) -> ActionResult:
    raise ValueError("no")


TEXTS = {"utter_greet": "Hello!", "utter_found": "Found {city}.", "utter_failed": "Something broke."}
PROGRAM = Program(
    id="p1",
    assistant="shop",
    intents={name: Intent(name=name, label=name) for name in ("greet", "find", "remind")},
    entities={"city": EntityType(name="city")},
    slots={"city": Slot(name="city", mappings=(SlotMapping(kind="from_entity", entity="city"),))},
    responses={name: (Variation(text=text),) for name, text in TEXTS.items()},
    actions=("action_find", "action_broken"),
    script=Script(
        rules=(rule("greet", "utter_greet"), rule("find", "action_find"), rule("remind", "utter_greet")),
        forms={"order_form": Form(name="order_form", required=("city",))},
        ranks=False,
    ),
)


@dataclass
class Api:
    """The server, and a client whose addresses are relative to it."""

    http: aiohttp.ClientSession
    store: MemoryStore
    reader: Reader
    manager: Manager

    async def call(self, method: str, path: str, body: object = None, status: int = 200, **more: Any) -> Any:
        """Ask for JSON."""
        async with self.http.request(method, path, json=body, **more) as answer:
            found = await answer.json() if answer.content_type == "application/json" else await answer.text()
            assert answer.status == status, found
            return found

    async def say(self, text: str, sender: str = "u/1", **more: Any) -> Any:
        """Say something on the REST channel."""
        body = {"sender": sender, "message": text, **more}
        return await self.call("POST", "/webhooks/rest/webhook", body)


@asynccontextmanager
async def rasa_served(root: Path, program: Program = PROGRAM, **settings: object) -> AsyncIterator[Api]:
    chosen = ServerSettings.model_validate({"port": 0, "enable_api": True, **settings})
    store, reader = MemoryStore(), Reader()
    given = models(reader, program=program, actions=Actions(action_find=find, action_broken=broken))
    manager = Manager(cast(Any, store), given)
    loaded = Loaded(cast(Any, None), cast(Any, None), None, given, (), cast(Any, None), cast(Any, None))
    nothing = cast(Any, None)
    bot = Bot(root, Settings(), nothing, manager, loaded, nothing, nothing)
    services = Services(manager, {}, bot.parse, None, BotOperations(bot))
    runner = make_runner(build_app(services, chosen, (RestChannel(chosen.limits),)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as http:
            yield Api(http, store, reader, manager)
    finally:
        await runner.cleanup()
        await manager.close()
