#!/usr/bin/env python3
"""A rule turn with a custom action: over HTTP, over gRPC, and in this process.

Trains a copy of examples/rasa/restaurant, starts rasa-sdk's own server (`bot actions`) on loopback, and says orders of
which no two are alike; each runs the rule `order_food -> action_take_order -> utter_order`. Measured is the time from
handing over the message to the committed outcome, understanding and the log on disk included, HTTP in front of it not.

    python benchmarks/actions.py [--turns 200] [--length 10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bot.app import Wiring, load_encoder, model_store, open_bot
from bot.config import load_settings
from bot.core.messages import Address, Inbound, Message, Text
from bot.project import load_project
from training.gather import Sources
from training.standard import StandardWorkshop
from training.train import TrainRequest, train_project

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "rasa" / "restaurant"
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
DISHES = ("pizzas", "salads", "curries", "soups", "burritos", "tacos", "lasagnes", "spring rolls")


def trained(folder: Path) -> Path:
    root = Path(shutil.copytree(EXAMPLE, folder / "bot", ignore=shutil.ignore_patterns(".bot", "results")))
    settings = load_settings(root)
    sources = Sources(load_project(root), None, (), ())
    train_project(
        TrainRequest(models=model_store(settings, root).root, sources=sources),
        StandardWorkshop(load_encoder(settings, root)),
    )
    return root


@contextmanager
def action_server(root: Path, scheme: str) -> Iterator[str]:
    """rasa-sdk's server; the address for endpoints.yml."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-c", "from bot.cli.main import main; main()", "actions", str(root), "--port", str(port)]
    command += ["--grpc"] if scheme == "grpc" else []
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=EXAMPLE.parents[2], **quiet) as process:
        try:
            _await(port, scheme)
            yield f"grpc://127.0.0.1:{port}" if scheme == "grpc" else f"http://127.0.0.1:{port}/webhook"
        finally:
            process.terminate()


def _await(port: int, scheme: str) -> None:
    for _ in range(300):
        with suppress(OSError):
            if scheme == "grpc":
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            else:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            return
        time.sleep(0.1)
    raise SystemExit("the action server does not start")


async def measure(root: Path, turns: int, length: int, actions: str | None) -> dict[str, float]:
    times: list[float] = []
    calls: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        wiring = Wiring(
            log=Path(folder) / "log.db",
            actions=actions,
            observe=lambda timing: calls.append(timing.seconds) if timing.stage == "action" else None,
        )
        async with open_bot(root, wiring) as bot:
            await asyncio.sleep(3.0)  # what is loaded behind the first answers
            for turn in range(-length, turns):
                if turn == 0:
                    times, cpu = [], time.process_time()
                    calls.clear()
                times.append(await _order(bot, turn, length))
            cpu = (time.process_time() - cpu) / turns
    times.sort()
    calls.sort()
    found = {
        "p50": times[turns // 2],
        "p95": times[turns * 95 // 100],
        "action p50": calls[len(calls) // 2],
        "cpu": cpu,
    }
    return {name: round(value * 1000, 2) for name, value in found.items()}


async def _order(bot, turn: int, length: int) -> float:  # type: ignore[no-untyped-def]
    number, dish, other = NUMBERS[turn % 10], DISHES[turn // 10 % 8], NUMBERS[turn // 80 % 10]
    text = Text(text=f"I want to order {number} {dish} and {other} soups")
    address = Address(channel="rest", conversation=f"c{turn // length}", sender="s")
    started = time.perf_counter()
    receipt = await bot.manager.submit(Inbound(address=address, message=Message(id="m", parts=(text,)), key=f"k{turn}"))
    outcome = await receipt.settled()
    assert outcome.outcome == "replied" and "soups" in outcome.messages[-1].text, outcome
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--length", type=int, default=10, help="turns of a conversation")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = trained(Path(folder))
        (root / "endpoints.yml").unlink(missing_ok=True)
        found = {"in this process": asyncio.run(measure(root, chosen.turns, chosen.length, "actions"))}
        for scheme in ("http", "grpc"):
            with action_server(root, scheme) as address:
                (root / "endpoints.yml").write_text(f"action_endpoint: {{url: {address}}}\n")
                found[scheme] = asyncio.run(measure(root, chosen.turns, chosen.length, None))
    load = os.getloadavg()[0]
    print(json.dumps({"machine": platform.processor(), "load": load, "turns": chosen.turns, "ms": found}, indent=2))


if __name__ == "__main__":
    main()
