"""A text turn through the served bot: latency, throughput, CPU, memory, start, growth with the conversation.

    python benchmarks/turn.py [--turns 500] [--project examples/shop]

Trains the project if it has no models, serves it pinned to core 0 with full durability, and drives it from core 1 with
the REST clients of the shared bench folder (chat_load.py, growth.py; UNDERSTUDY_BENCH names another place). Twice: with
the client's own five texts, and with customer messages of which no two are the same, because the server remembers the
encodings of recent short texts. Prints one JSON object and Markdown tables.
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
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
BENCH = Path(os.environ.get("UNDERSTUDY_BENCH", ROOT.parent / "shared" / "bench"))
BOT = Path(sys.executable).with_name("bot")
PORT = 5599


def texts(project: Path, to: Path) -> None:
    """Distinct customer messages: the user turns of the project's logged conversations, numbered apart."""
    lines: list[str] = []
    for line in (project / "logs" / "conversations.jsonl").read_text(encoding="utf-8").splitlines():
        lines += [turn["text"] for turn in json.loads(line)["turns"] if turn["speaker"] == "user"]
    unique = [line for line in dict.fromkeys(lines) if "\n" not in line and 3 <= len(line.split()) <= 25]
    to.write_text("\n".join(unique) + "\n", encoding="utf-8")


def run(tool: str, project: Path, work: Path, *options: str) -> dict[str, object]:
    """One bench client on core 1 against a server that it starts on core 0."""
    server = f"taskset -c 0 {BOT} serve {project} --port {PORT} --log-level warning"
    command = ["taskset", "-c", "1", sys.executable, str(BENCH / tool), "--base-url", f"http://127.0.0.1:{PORT}"]
    command += [
        "--spawn",
        server,
        "--spawn-log",
        str(work / "server.log"),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool} failed:\n{done.stderr[-2000:]}\n{(work / 'server.log').read_text()[-2000:]}")
    result: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def prepared(project: Path, work: Path) -> Path:
    """A copy of the project with trained models and an empty log."""
    copy = work / project.name
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("log.db*"))
    if not (copy / ".bot" / "models" / "CURRENT").exists():
        for verb in (["ingest", "-p", str(copy)], ["train", str(copy)]):
            subprocess.run([str(BOT), *verb], check=True)
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
        texts(project, work / "texts.txt")
        few = run("chat_load.py", project, work, "--turns", str(args.turns))
        many = run("chat_load.py", project, work, "--turns", str(args.turns), "--texts", str(work / "texts.txt"))
        grown = run("growth.py", project, work, "--turns", str(args.growth)) if args.growth else {}
    report = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "few": few, "many": many}
    sys.stdout.write(json.dumps({**report, "growth": grown}) + "\nFive texts again and again\n" + table(few, grown))
    sys.stdout.write("\nNo text twice\n" + table(many, {}))


def machine() -> str:
    """What this was measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    processor = names[0] if names else platform.processor()
    return f"{len(names)} x {processor}, {platform.system()}, Python {platform.python_version()}"


def table(load: dict[str, object], grown: dict[str, object]) -> str:
    """The figures as Markdown."""
    lines = [
        "",
        "| concurrent | p50 ms | p95 ms | turns/s | CPU ms a turn | RSS MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for level in load["levels"]:  # type: ignore[attr-defined]
        latency = level["latency_ms"]
        lines.append(
            f"| {level['concurrency']} | {latency['p50']} | {latency['p95']} | {level['turns_per_s']} "
            f"| {level['server_cpu_ms_per_turn']} | {level['rss_mib']} |"
        )
    lines.append(f"\nProcess start to first answer: {load['cold_start_s']} s")
    for point in grown.get("curve", []):  # type: ignore[attr-defined]
        lines.append(f"turn {point['turn']}: median {point['median_ms']} ms, CPU {point.get('server_cpu_ms')} ms")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
