#!/usr/bin/env python3
"""CPU time of one REST turn outside the manager: HTTP, validation, doors, metrics, rendering, serialisation.

The server runs in a process of its own over a gateway that answers at once, so its CPU time per request (user and
system, from /proc) is the cost of the path itself. The client sends over one kept-alive connection at a time.

    python benchmarks/rest_path.py [--requests 5000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp

from bot.core.events import Event, Recorded
from bot.core.messages import Inbound, Message, Text
from bot.core.protocols import Outcome, Receipt

TICKS = os.sysconf("SC_CLK_TCK")


class InstantGateway:
    """Stores nothing and answers at once."""

    async def submit(self, inbound: Inbound) -> Receipt:
        outcome = Outcome(1, "replied", (Message(id="1.1", parts=(Text(text="Your parcel is on its way."),)),))

        async def settled() -> Outcome:
            return outcome

        return Receipt(inbound.address.conversation, 2, 1, False, settled)

    async def record(self, conversation: str, event: Event) -> Recorded:
        raise NotImplementedError

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        return ()

    async def follow(self, conversation: str, after: int) -> AsyncIterator[Recorded]:
        return
        yield


async def server() -> None:
    from bot.server.app import build_app
    from bot.server.routes import Services
    from bot.server.run import serve
    from bot.server.settings import ServerSettings
    from bot.telemetry import configure_logging
    from connectors.rest import RestChannel

    configure_logging("error")
    settings = ServerSettings(port=0)
    app = build_app(Services(InstantGateway(), {}), settings, (RestChannel(settings.limits),))
    await serve(app, started=lambda url: print(url, flush=True))


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def load(url: str, pid: int, requests: int) -> dict[str, float]:
    body = json.dumps({"sender": "bench", "message": "I am still waiting on my card?"}).encode()
    async with aiohttp.ClientSession() as http:

        async def say() -> None:
            async with http.post(f"{url}/webhooks/rest/webhook", data=body) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

        for _ in range(300):
            await say()
        before, begun = cpu(pid), time.perf_counter()
        for _ in range(requests):
            await say()
        spent, wall = cpu(pid) - before, time.perf_counter() - begun
    return {
        "cpu_ms_per_request": round(spent * 1000 / requests, 3),
        "wall_ms_per_request": round(wall * 1000 / requests, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--server", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.server:
        from bot.server.run import run

        run(server())
        return
    command = [sys.executable, __file__, "--server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        found = asyncio.run(load(url, process.pid, chosen.requests))
        process.terminate()
    print(
        json.dumps(
            {"benchmark": "rest_path", "python": platform.python_version(), "requests": chosen.requests, **found}
        )
    )


if __name__ == "__main__":
    main()
