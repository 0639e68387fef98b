"""One example project of examples/rasa: trained once, tested and talked to in a copy."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.app import Bot, Wiring, open_bot
from bot.core.findings import Entity
from bot.core.messages import Address, Inbound, Message, Text
from tests.commands import bot
from tests.trained import once

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "rasa"
NAMES = ("mood", "restaurant", "faq", "helpdesk")


def trained(name: str, temporary: pytest.TempPathFactory) -> Path:
    """A copy of the example with models trained from nothing, which all tests share."""

    def make(root: Path) -> None:
        shutil.copytree(EXAMPLES / name, root, ignore=shutil.ignore_patterns(".bot", "results"))
        with ThreadPoolExecutor(1) as pool:  # a verb runs an event loop of its own; tests here run in one
            assert pool.submit(bot, "train", root, "--json").result().json["promoted"]

    return once(temporary, name, make)


@dataclass
class Person:
    """Somebody who talks to a bot."""

    bot: Bot
    id: str = "somebody"
    said: int = 0

    @property
    def address(self) -> Address:
        return Address(channel="rest", conversation=self.id, sender=self.id)

    async def say(self, text: str) -> list[str]:
        """Say something; what the bot says to it."""
        self.said += 1
        message = Message(id=str(self.said), parts=(Text(text=text),))
        receipt = await self.bot.manager.submit(Inbound(address=self.address, message=message, key=str(self.said)))
        return _texts((await receipt.settled()).messages)

    async def is_told(self, intent: str, **entities: Any) -> list[str]:
        """Something outside triggers an intent; what the bot says."""
        given = [Entity(type=name, value=value, text=str(value), start=0, end=0) for name, value in entities.items()]
        receipt = await self.bot.manager.trigger(self.address, intent, given)
        return _texts((await receipt.settled()).messages)

    async def slots(self) -> dict[str, Any]:
        """What the bot remembers."""
        from bot.core.conversation import fold

        return dict(fold(self.id, await self.bot.manager.read(self.id)).slots)

    async def hears(self, text: str, seconds: float = 5.0) -> str:
        """Wait until the bot says something that begins so, unasked."""
        async with asyncio.timeout(seconds):
            async for recorded in self.bot.manager.follow(self.id, 0):
                if recorded.event.kind == "replied" and recorded.event.message.text.startswith(text):
                    return recorded.event.message.text
        raise AssertionError(text)


def _texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


@asynccontextmanager
async def talking(root: Path, log: Path, actions: str | None = None) -> AsyncIterator[Person]:
    """Somebody talks to the bot of a trained project."""
    async with open_bot(root, Wiring(log=log, actions=actions, remind=True)) as opened:
        yield Person(opened)
