"""The log and the manager by themselves: durable appends a second, CPU per append and per turn, the runner's overhead.

    python benchmarks/store.py [--turns 2000]

The skill is a fake that answers at once, so the figures are what the machinery adds to the models. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bot.runner import Runner
from bot.store import SqlStore
from tests.contracts import received, started
from tests.fakes import EchoSkill, inbound, managing, models

LEVELS = (1, 16, 64, 256)


async def load(name: str, level: int, total: int, work: Callable[[int, int], Awaitable[object]]) -> None:
    """Run `work(client, number)` from `level` clients at a time and print what it took."""
    took: list[float] = []

    async def client(one: int) -> None:
        for number in range(max(1, total // level)):
            began = time.perf_counter()
            await work(one, number)
            took.append(time.perf_counter() - began)

    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*(client(one) for one in range(level)))
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    took.sort()
    figures = {
        "what": name,
        "clients": level,
        "per_second": round(len(took) / wall),
        "p50_ms": round(took[len(took) // 2] * 1e3, 3),
        "p95_ms": round(took[int(len(took) * 0.95)] * 1e3, 3),
        "cpu_us": round(cpu / len(took) * 1e6),
    }
    print(json.dumps(figures))


async def measure(folder: Path, total: int) -> None:
    async with SqlStore(folder / "log.db") as store:
        for level in LEVELS:

            async def append(client: int, number: int, level: int = level) -> None:
                name = f"a{level}-{client}"
                event = received(number + 1, f"k{number}", conversation=name, turn=number)
                await store.append(name, number, [event if number else started(name)])

            await load("append", level, total, append)
        async with managing(store, models()) as manager:
            for level in LEVELS:

                async def turn(client: int, number: int, level: int = level) -> None:
                    receipt = await manager.submit(inbound("hello", conversation=f"t{level}-{client}"))
                    await receipt.settled()

                await load("turn", level, total, turn)
    runner: Runner[int, int] = Runner(EchoSkill())
    for level in LEVELS:
        await load("runner", level, total, lambda client, number: runner.run(number))
    runner.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--turns", type=int, default=2000)
    args = options.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        asyncio.run(measure(Path(folder), args.turns))


if __name__ == "__main__":
    main()
