"""A text turn through the served bot: latency, throughput, CPU, memory, start, growth with the conversation.

    python benchmarks/turn.py [--turns 500] [--project examples/shop]

Trains the project if it has no models, serves it pinned to core 0 with full durability, and drives it from core 1 with
the REST clients of the shared bench folder (chat_load.py, growth.py; UNDERSTUDY_BENCH names another place). Twice: with
the client's own five texts, and with customer messages of which no two are the same, because the server remembers what
it made of recent short texts. Prints one JSON object and Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BENCH = Path(os.environ.get("UNDERSTUDY_BENCH", ROOT.parent / "shared" / "bench"))
BOT = Path(sys.executable).with_name("bot")
PORT = 5599
URL = f"http://127.0.0.1:{PORT}"
WARM = 60
"""Turns that are not measured, where no text comes twice."""


def texts(project: Path) -> Iterator[str]:
    """Distinct customer messages: the user turns of the project's logged conversations as they are, then misspelt.

    Each time round the messages have another pair of neighbouring letters in the wrong order.
    """
    lines: list[str] = []
    for line in (project / "logs" / "conversations.jsonl").read_text(encoding="utf-8").splitlines():
        lines += [turn["text"] for turn in json.loads(line)["turns"] if turn["speaker"] == "user"]
    told = {line: None for line in lines if "\n" not in line and 3 <= len(line.split()) <= 25}
    yield from list(told)
    for place in range(max(map(len, told))):
        for line in list(told)[: len(told)]:
            wrong = line[:place] + line[place : place + 2][::-1] + line[place + 2 :]
            if wrong not in told and wrong.split() == wrong.strip().split():
                told[wrong] = None
                yield wrong


def run(tool: str, *options: str) -> dict[str, Any]:
    """One bench client on core 1."""
    command = ["taskset", "-c", "1", sys.executable, str(BENCH / tool), "--base-url", URL, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def spawning(project: Path, work: Path) -> list[str]:
    """The client's options for starting the server itself, on core 0."""
    return ["--spawn", " ".join(served(project)), "--spawn-log", str(work / "server.log")]


def served(project: Path) -> list[str]:
    """The command of the server on core 0."""
    return ["taskset", "-c", "0", str(BOT), "serve", str(project), "--port", str(PORT), "--log-level", "warning"]


def unrepeated(project: Path, work: Path, turns: int) -> dict[str, Any]:
    """The three levels, each with messages that the server has not seen: not before it, and not within it."""
    told, levels = texts(project), list[Any]()
    with (work / "server.log").open("w") as log, subprocess.Popen(served(project), stdout=log, stderr=log) as server:
        try:
            answering()
            for concurrency, count in ((1, WARM), (1, turns), (8, turns), (64, turns)):
                file = work / "texts.txt"
                file.write_text("".join(f"{line}\n" for line in islice(told, count)), encoding="utf-8")
                options = ["--texts", str(file), "--turns", str(count), "--concurrency", str(concurrency)]
                levels += run("chat_load.py", *options, "--warmup", "0", "--server-pid", str(server.pid))["levels"]
        finally:
            server.terminate()
    return {"levels": levels[1:]}


def answering() -> None:
    """Wait until the server is ready."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{URL}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def prepared(project: Path, work: Path) -> Path:
    """A copy of the project with trained models and an empty log."""
    copy = work / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("log.db*"))
    subprocess.run([str(BOT), "ingest", "-p", str(copy)], check=True, stdout=sys.stderr)
    if not (copy / ".bot" / "models" / "CURRENT").exists():
        subprocess.run([str(BOT), "train", str(copy)], check=True, stdout=sys.stderr)
    return copy


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=ROOT / "examples" / "shop")
    parser.add_argument("--turns", type=int, default=500, help="measured turns at each concurrency")
    parser.add_argument("--growth", type=int, default=1000, help="turns of the one long conversation; 0 leaves it out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        project = prepared(args.project.resolve(), work)
        server = spawning(project, work)
        few = run("chat_load.py", *server, "--turns", str(args.turns))
        many = unrepeated(project, work, args.turns)
        grown = run("growth.py", *server, "--turns", str(args.growth)) if args.growth else {}
    report = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "few": few, "many": many}
    sys.stdout.write(json.dumps({**report, "growth": grown}) + "\nFive texts again and again\n" + table(few))
    sys.stdout.write("\nNo text twice\n" + table(many, grown))


def machine() -> str:
    """What this was measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    processor = names[0] if names else platform.processor()
    return f"{len(names)} x {processor}, {platform.system()}, Python {platform.python_version()}"


def table(load: dict[str, Any], grown: dict[str, Any] | None = None) -> str:
    """The figures as Markdown."""
    lines = [
        "",
        "| concurrent | p50 ms | p95 ms | turns/s | CPU ms a turn | RSS MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for level in load["levels"]:
        latency = level["latency_ms"]
        lines.append(
            f"| {level['concurrency']} | {latency['p50']} | {latency['p95']} | {level['turns_per_s']} "
            f"| {level['server_cpu_ms_per_turn']} | {level['rss_mib']} |"
        )
    if "cold_start_s" in load:
        lines.append(f"\nProcess start to first answer: {load['cold_start_s']} s")
    for point in (grown or {}).get("curve", []):
        lines.append(f"turn {point['turn']}: median {point['median_ms']} ms, CPU {point.get('server_cpu_ms')} ms")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
