"""A scripted conversation with the test project, whatever runs its actions."""

from __future__ import annotations

import functools
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from bot.core import events as ev
from bot.core.program import Program
from bot.core.protocols import ActionServer, Understanding, Utterance
from bot.manager import ManagerLimits
from bot.models import Deadlines
from bot.project import load_project
from tests.fakes import Clock, MemoryStore, inbound, managing, models

PROJECT = Path(__file__).parent / "project"


@functools.cache
def project_program() -> Program:
    return load_project(PROJECT).program


async def understand(utterance: Utterance) -> Understanding:
    """The first word is the intent, `name=value` words are entities; an intent nobody knows is out of scope."""
    intent, *rest = utterance.text.split(" ")
    known = intent in project_program().intents
    entities = []
    for word in rest:
        name, _, value = word.partition("=")
        start = utterance.text.index(word)
        end = start + len(word)
        entities.append(ev.Entity(type=name, start=start, end=end, text=word, value=value, extractor="test"))
    return Understanding(
        text=utterance.text,
        language="en",
        supported=True,
        intents=(ev.Scored(name=intent if known else "greet", score=0.9),),
        in_scope=0.9 if known else 0.1,
        threshold=0.5,
        entities=tuple(entities),
        bundle="b1",
    )


FORTY = (
    "greet",
    "order size=LARGE",
    "inform amount=12",
    "inform amount=3",
    "count",
    "order size=tiny",
    "inform size=small",
    "menu",
    "inform amount=2",
    "price",
    "chain",
    "remind",
    "greet",
    "rich",
    "refuse",
    "count",
    "forget",
    "wipe",
    "count",
    "order",
    "count",
    "inform size=huge",
    "inform size=Small",
    "stop",
    "fail",
    "count",
    "menu",
    "nonsense",
    "ghost",
    "order",
    "inform amount=11",
    "inform amount=10",
    "greet",
    "price",
    "again",
    "remind",
    "chain",
    "order size=large amount=4",
    "stop",
    "count",
)
LIMITS = ManagerLimits(deadlines=Deadlines(action=10.0))


async def converse(
    actions: ActionServer, said: Sequence[str] = FORTY, limits: ManagerLimits = LIMITS
) -> list[ev.Recorded]:
    """Say all this, one message after another; the facts of the conversation."""
    store, clock = MemoryStore(), Clock()
    given = models(program=project_program(), understand=understand, actions=actions)
    async with managing(store, given, limits, clock=clock) as manager:
        for number, words in enumerate(said):
            clock.forward(10.0)
            receipt = await manager.submit(inbound(words, f"k{number}"))
            await receipt.settled()
    return store.of("c")


def plain(history: Sequence[ev.Recorded]) -> list[dict[str, Any]]:
    """The facts without the one thing that differs from run to run: how long an action took."""
    facts = [recorded.event.model_dump(mode="json") for recorded in history]
    return [{key: value for key, value in fact.items() if key != "seconds"} for fact in facts]


def replies(history: Sequence[ev.Recorded]) -> list[list[str]]:
    """What the bot said, turn by turn; a part that is no text by its kind."""
    said: dict[int, list[str]] = {}
    for recorded in history:
        if isinstance(recorded.event, ev.Received):
            said[recorded.turn] = []
        elif isinstance(recorded.event, ev.Replied):
            parts = recorded.event.message.parts
            said[recorded.turn].append(recorded.event.message.text or " ".join(part.kind for part in parts))
    return list(said.values())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def sdk_server(*, grpc_server: bool = False) -> Iterator[str]:
    """rasa-sdk's own server with the actions of the test project, as `bot actions` starts it; its address."""
    port = free_port()
    command = [sys.executable, "-c", "from bot.cli.main import main; main()", "actions", str(PROJECT)]
    with subprocess.Popen(
        [*command, "--port", str(port), *["--grpc"] * grpc_server],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            _await_grpc(port) if grpc_server else _await_http(port)
            yield f"grpc://127.0.0.1:{port}" if grpc_server else f"http://127.0.0.1:{port}/webhook"
        finally:
            process.terminate()


def _await_grpc(port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=30)


def _await_http(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
                assert answer.status == 200
            return
        except OSError:
            assert time.monotonic() < deadline, "rasa-sdk's server does not start"
            time.sleep(0.1)
