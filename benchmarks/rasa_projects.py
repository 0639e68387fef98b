"""Projects in Rasa's format: training from nothing, start to the first answer, a rule turn with a remote custom action.

    python benchmarks/rasa_projects.py [--project examples/rasa/restaurant] [--turns 300] [--say TEXT]

Works on a copy without models. The action server is rasa-sdk's own, as `bot actions` starts it, on the loopback
interface; every measured turn is understood, chosen by a rule, runs a custom action over HTTP, says a response and is
committed to disk. Processes are not pinned to cores. Prints one JSON object and a Markdown table.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
BOT = Path(sys.executable).with_name("bot")
PORT, ACTIONS_PORT = 5597, 5598
PATIENCE = 120.0
"""Seconds until a server that does not answer is given up."""
SAY = "please prepare {count} pizzas to take away"
WORDS = ("one", "two", "three", "four", "five", "six")
TURNS_EACH = 10
"""Turns of one conversation; then another one begins."""


def copy_of(project: Path, work: Path) -> Path:
    """The project without models and log, its action server at our port."""
    left_out = shutil.ignore_patterns(".bot", "results", "__pycache__")
    copy = Path(shutil.copytree(project, work / project.name, ignore=left_out))
    endpoint = f"action_endpoint:\n  url: http://127.0.0.1:{ACTIONS_PORT}/webhook\n"
    (copy / "endpoints.yml").write_text(endpoint, encoding="utf-8")
    return copy


def train(project: Path) -> dict[str, object]:
    """`bot train` in a new process: seconds on the wall and of the processor, and what it says of itself."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([str(BOT), "train", str(project), "--json"], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"bot train failed:\n{done.stdout}\n{done.stderr}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "trained_on": told["trained_on"]}


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ended afterwards."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def post(connection: http.client.HTTPConnection, sender: str, text: str) -> list[dict[str, object]]:
    """Send a message by Rasa's REST channel; the answers."""
    body = json.dumps({"sender": sender, "message": text})
    connection.request("POST", "/webhooks/rest/webhook", body, {"Content-Type": "application/json"})
    answers: list[dict[str, object]] = json.loads(connection.getresponse().read())
    return answers


def first_answer(started: float, text: str) -> float:
    """Seconds from the start of the process to the first answer."""
    while time.perf_counter() - started < PATIENCE:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
        try:
            if post(connection, "first", text):
                return time.perf_counter() - started
        except OSError:
            time.sleep(0.02)
        finally:
            connection.close()
    raise SystemExit("the bot did not answer")


def ready(port: int, path: str) -> None:
    """Wait until a server answers."""
    started = time.perf_counter()
    while time.perf_counter() - started < PATIENCE:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise SystemExit(f"nothing answers at port {port}")


def turns(number: int, say: str) -> dict[str, float]:
    """Milliseconds of rule turns with a remote action; texts and conversations change."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    times = []
    for turn in range(number + TURNS_EACH):
        text, sender = say.format(count=WORDS[turn % len(WORDS)]), f"guest-{turn // TURNS_EACH}"
        started = time.perf_counter()
        answers = post(connection, sender, text)
        times.append(1000 * (time.perf_counter() - started))
        if "I noted" not in str(answers):
            raise SystemExit(f"an unexpected answer to {text!r}: {answers}")
    measured = sorted(times[TURNS_EACH:])
    share = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: round(measured[int(part * (len(measured) - 1))], 1) for name, part in share.items()}
    return {**found, "mean": round(statistics.fmean(measured), 1), "turns": len(measured)}


def measure(project: Path, number: int, say: str) -> dict[str, object]:
    """All figures of one project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of(project, Path(folder))
        trained = train(copy)
        serve = (str(BOT), "serve", str(copy), "--port", str(PORT), "--log-level", "warning")
        starts = []
        with running(str(BOT), "actions", str(copy), "--port", str(ACTIONS_PORT)):
            ready(ACTIONS_PORT, "/health")
            for _ in range(3):
                started = time.perf_counter()
                with running(*serve):
                    starts.append(round(first_answer(started, "hello"), 2))
            with running(*serve) as server:
                first_answer(time.perf_counter(), "hello")
                before = cpu_seconds(server.pid)
                turned = turns(number, say)
                turned["server_cpu"] = round(1000 * (cpu_seconds(server.pid) - before) / (number + TURNS_EACH), 1)
                memory = peak_mib(server.pid)
    return {"project": project.name, "train": trained, "start_s": starts, "rule_turn_ms": turned, "peak_mib": memory}


def cpu_seconds(process: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(process: int) -> int:
    """The most memory a process has held."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


def machine() -> str:
    """What this was measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    load = os.getloadavg()[0]
    processor = names[0] if names else platform.processor()
    return f"{len(names)} x {processor}, {platform.system()}, Python {platform.python_version()}, load {load:.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=ROOT / "examples" / "rasa" / "restaurant")
    parser.add_argument("--turns", type=int, default=300, help="measured turns, after ten that are not")
    parser.add_argument("--say", default=SAY, help="a text that a rule answers with a custom action; {count} changes")
    args = parser.parse_args()
    found: dict[str, object] = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    found |= measure(args.project.resolve(), args.turns, args.say)
    sys.stdout.write(json.dumps(found) + "\n" + table(found))


def table(found: dict[str, object]) -> str:
    """The figures as Markdown."""
    train_, turn = found["train"], found["rule_turn_ms"]
    assert isinstance(train_, dict) and isinstance(turn, dict) and isinstance(found["start_s"], list)
    rows = [
        ("train from nothing, wall (CPU) s", f"{train_['wall_s']} ({train_['cpu_s']})"),
        ("start to first answer, s, three starts", ", ".join(map(str, found["start_s"]))),
        ("rule turn with a remote action, p50 / p95 / p99 ms", f"{turn['p50']} / {turn['p95']} / {turn['p99']}"),
        ("of it the bot's own CPU, ms", turn["server_cpu"]),
        ("peak memory of the bot, MiB", found["peak_mib"]),
    ]
    return "\n| what | measured |\n| --- | --- |\n" + "".join(f"| {what} | {value} |\n" for what, value in rows)


if __name__ == "__main__":
    main()
