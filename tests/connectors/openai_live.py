"""A real server over a real manager with the OpenAI-compatible channel, for tests."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.serving_model import copy_past
from connectors.http import Setup
from connectors.limits import Limits
from connectors.openai_api import Offer, OpenAIChannel
from connectors.openai_api_quota import Client, Quotas
from connectors.openai_api_talks import Branch
from tests.connectors.live import Live, live
from tests.fakes import MemoryStore

KEY, OTHER = "us-one", "us-two"


class Words:
    """Counts words."""

    def count(self, text: str) -> int:
        return len(text.split())

    def cut(self, text: str, most: int) -> str:
        ends = [found.end() for found in re.finditer(r"\S+", text)]
        return text if len(ends) <= most else text[: ends[most - 1]]


@dataclass
class Ring:
    """Keys in a dict."""

    keys: dict[str, Client] = field(default_factory=dict)

    def known(self) -> bool:
        return bool(self.keys)

    def find(self, secret: str) -> Client | None:
        return self.keys.get(secret)


async def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.array([[len(text), 1.0, 0.5] for text in texts], np.float32)


@dataclass
class Served:
    """The server, its keys, and requests as its clients send them."""

    live: Live
    ring: Ring
    channel: OpenAIChannel

    async def post(self, body: dict[str, Any], key: str = KEY, path: str = "chat/completions", **headers: str) -> Any:
        """The status and the JSON of an answer; `headers` by names with underscores."""
        fields = {"Authorization": f"Bearer {key}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.live.http.post(f"/v1/{path}", json=body, headers=fields) as answer:
            return answer.status, await answer.json(), answer.headers

    async def say(self, *talk: str, key: str = KEY, headers: dict[str, str] | None = None, **more: Any) -> str:
        """Send a talk, user and assistant in turn; what the bot answers."""
        status, found, _ = await self.post(body(*talk, **more), key, **headers or {})
        assert status == 200, found
        return str(found["choices"][0]["message"]["content"])

    async def chunks(self, *talk: str, key: str = KEY, **more: Any) -> list[Any]:
        """The events of a streamed answer; the last is None if the stream ended as it should."""
        headers = {"Authorization": f"Bearer {key}"}
        async with self.live.http.post(
            "/v1/chat/completions", json=body(*talk, stream=True, **more), headers=headers
        ) as answer:
            lines = [line[6:] for line in (await answer.text()).split("\n") if line.startswith("data: ")]
        return [None if line == "[DONE]" else json.loads(line) for line in lines]

    def heard(self) -> dict[str, list[str]]:
        """What users said, by conversation, copies too."""
        found: dict[str, list[str]] = {}
        for recorded in self.live.store.log:
            if recorded.event.kind == "received":
                found.setdefault(recorded.conversation, []).append(recorded.event.message.text)
        return found


def body(*talk: Any, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[index % 2], "content": text} for index, text in enumerate(talk)]
    return {"model": "bot", "messages": messages, **more}


def text_of(chunks: Sequence[Any]) -> str:
    choices = [choice for chunk in chunks if chunk for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


async def no_branch(source: str, turn: int, target: str) -> None:
    """Begins nothing."""


def openai_channel(
    limits: Limits,
    *,
    ring: Ring | None = None,
    quotas: Quotas | None = None,
    branch: Branch = no_branch,
    resent_within: float = 900.0,
) -> OpenAIChannel:
    """The channel with small limits of its own, for the bot "bot" and the encoder "encoder"."""
    offer = Offer(
        model="bot",
        embedder="encoder",
        tokens=Words(),
        embed=embed,
        bundle=lambda: "b1",
        branch=branch,
        keys=ring or two_keys(),
        quotas=quotas or Quotas(1_000_000, 1_000_000_000),
        context=10_000,
        embedder_context=20,
        resent_within=resent_within,
    )
    return OpenAIChannel(limits, offer)


def two_keys() -> Ring:
    return Ring({KEY: Client("k1", "one"), OTHER: Client("k2", "two")})


@asynccontextmanager
async def openai_live(
    quotas: Quotas | None = None, store: MemoryStore | None = None, resent_within: float = 900.0, **settings: Any
) -> AsyncIterator[Served]:
    ring, running, channels = two_keys(), list[Live](), list[OpenAIChannel]()

    async def branch(source: str, turn: int, target: str) -> None:
        await copy_past(running[0].manager, source, turn, target)

    def make(limits: Limits, setup: Setup) -> OpenAIChannel:
        made = openai_channel(
            limits, ring=ring, quotas=quotas or Quotas(1000, 100_000), branch=branch, resent_within=resent_within
        )
        channels.append(made)
        return made

    async with live(make, store, **settings) as served:
        running.append(served)
        yield Served(served, ring, channels[0])
