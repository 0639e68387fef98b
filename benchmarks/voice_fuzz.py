"""100,000 spoilt frames over each wire of calls; a call of somebody else goes on meanwhile.

    python benchmarks/voice_fuzz.py [--frames 100000] [--wire browser] [--seed 1]

Prints a JSON line for each wire: frames, connections, errors in our logs, the largest buffer of sound of one peer, and
how many calls of the bystander were answered, and how many not within 10 s. Some minutes for each wire.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from structlog.testing import capture_logs

from tests.connectors.voice.attacks import attacks
from tests.connectors.voice.served import Served, serving
from tests.connectors.voice.test_hostile import EVERYTHING, WIRES, unharmed


class Loud(logging.Handler):
    """Counts what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage()[:300])


async def attack(wire: str, frames: int, seed: int) -> dict[str, object]:
    """One wire."""
    loud = Loud()
    logging.getLogger().addHandler(loud)
    begun, cpu, most, answered, late = time.monotonic(), time.process_time(), 0, 0, 0
    with capture_logs() as logs:
        async with serving("plain thing", **EVERYTHING) as served:
            attacking = asyncio.create_task(attacks(served)[wire](frames, random.Random(seed)))
            while not attacking.done():
                try:
                    await bystander(served)
                    answered += 1
                except TimeoutError:
                    late += 1
                most = max([most, *(call.buffered for call in served.channel.desk.calls)])
                broken = [line for line in logs if line["event"] in ("call_failed", "request_failed")]
                logs.clear()
                loud.found += [str(line)[:300] for line in broken]
                await asyncio.wait([attacking], timeout=2.0)
            calls = await attacking
            await bystander(served)
    logging.getLogger().removeHandler(loud)
    return {
        "wire": wire, "frames": frames, "connections": calls, "errors": len(loud.found), "first": loud.found[:1],
        "most_buffered_bytes": most, "bystander_answered": answered + 1, "bystander_late": late,
        "seconds": round(time.monotonic() - begun, 1), "cpu_seconds": round(time.process_time() - cpu, 1),
    }  # fmt: skip


async def bystander(served: Served) -> None:
    """Somebody else's call; raises if it is not answered."""
    async with asyncio.timeout(60):
        await unharmed(served)


def main() -> None:
    """Attack every wire."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--wire", choices=WIRES)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for wire in (given.wire,) if given.wire else WIRES:
        print(json.dumps(asyncio.run(attack(wire, given.frames, given.seed))), flush=True)


if __name__ == "__main__":
    main()
