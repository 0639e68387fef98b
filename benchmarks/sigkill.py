"""SIGKILL under load, again and again: is anything that was acknowledged lost, doubled, reordered or left unanswered?

    python benchmarks/sigkill.py [--kills 100] [--senders 20] [--project examples/shop]

Trains and serves a copy of the project, lets every sender talk in a conversation of its own over the REST channel
with a message id per message, kills the process at random moments, and starts it again. A sender whose request broke
off sends the same id again. At the end the log is read and held against what the senders saw, by the checker of the
test suite (tests/history.py). Prints one JSON object; exit code 1 when a rule was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bot.core import events as ev  # noqa: E402
from bot.store import SqlStore  # noqa: E402
from tests.history import History, Sent, check  # noqa: E402

BOT = str(Path(sys.executable).with_name("bot"))
PORT = 5598
URL = f"http://127.0.0.1:{PORT}"
TEXTS = ("where is my order", "48213", "how do I return something", "hello", "I want to cancel", "do you sell tea pots")


class Server:
    """The served bot as a process group of its own."""

    def __init__(self, project: Path) -> None:
        self.project, self.starts = project, list[float]()
        self.process: subprocess.Popen[bytes] | None = None

    def train(self) -> None:
        for verb in (["ingest", "-p", str(self.project)], ["train", str(self.project)]):
            subprocess.run([BOT, *verb], check=True, stdout=subprocess.DEVNULL)

    def spawn(self) -> None:
        command = [BOT, "serve", str(self.project), "--port", str(PORT)]
        with (self.project / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    async def start(self, http: aiohttp.ClientSession) -> None:
        began = time.perf_counter()
        self.spawn()
        assert self.process is not None
        while True:
            if self.process.poll() is not None:
                raise SystemExit("the server ended by itself:\n" + (self.project / "server.log").read_text()[-3000:])
            try:
                async with http.get(f"{URL}/readyz") as response:
                    if response.status == 200:
                        break
            except aiohttp.ClientError:
                pass  # not listening yet
            if time.perf_counter() - began > 60:
                raise SystemExit("the server is not ready after 60 s")
            await asyncio.sleep(0.05)
        self.starts.append(time.perf_counter() - began)

    def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, how)
            self.process.wait()


class Sender:
    """One customer. `pending` is the message whose fate is not known yet."""

    def __init__(self, name: str) -> None:
        self.name, self.history, self.count = name, History(), 0
        self.pending: tuple[str, str] | None = None
        self.resent = 0

    async def talk(self, http: aiohttp.ClientSession, until: asyncio.Event) -> None:
        """Send one message after another until the server is gone."""
        while not until.is_set():
            if self.pending is None:
                self.count += 1
                self.pending = (f"{self.name}-{self.count}", TEXTS[self.count % len(TEXTS)])
            else:
                self.resent += 1
            if not await self._send(http, *self.pending):
                return
            self.pending = None

    async def _send(self, http: aiohttp.ClientSession, key: str, text: str) -> bool:
        began = time.monotonic()
        body = {"sender": self.name, "message": text, "message_id": key}
        try:
            async with http.post(f"{URL}/webhooks/rest/webhook", json=body) as response:
                said = await response.json()
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
            self.history.sent.append(Sent(key, began, time.monotonic(), "info"))
            return False
        if response.status != 200 or not said:
            raise SystemExit(f"{self.name}: status {response.status}, {said}")
        self.history.sent.append(Sent(key, began, time.monotonic(), "ok"))
        return True


async def torment(server: Server, senders: list[Sender], kills: int, chance: random.Random) -> None:
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        for number in range(kills + 1):
            await server.start(http)
            over = asyncio.Event()
            talking = [asyncio.create_task(sender.talk(http, over)) for sender in senders]
            await asyncio.sleep(chance.uniform(0.1, 2.0))
            if number < kills:
                server.end(signal.SIGKILL)
            over.set()
            await asyncio.gather(*talking)
            print(f"\rkill {number}/{kills}", end="", file=sys.stderr)
    server.end(signal.SIGTERM)


async def judge(log: Path, senders: list[Sender]) -> tuple[list[str], Counter[str]]:
    """The broken rules over all conversations, and some counts."""
    problems: list[str] = []
    counts: Counter[str] = Counter()
    async with SqlStore(log) as store:
        counts["open_turns"] = len(await store.open_turns())
        for sender in senders:
            events = await store.read(sender.name)
            place = {item.event.key: item.seq for item in events if isinstance(item.event, ev.Received)}
            seen = [Sent(s.key, s.began, s.ended, s.result, place.get(s.key, 0)) for s in sender.history.sent]
            problems += [f"{sender.name}: {problem}" for problem in check(History(sent=seen), events)]
            counts.update(item.event.outcome for item in events if isinstance(item.event, ev.Settled))
            counts["acknowledged"] += sum(s.result == "ok" for s in seen)
            counts["broken_off"] += sum(s.result == "info" for s in seen)
            counts["sent_again"] += sender.resent
    return problems, counts


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--senders", type=int, default=20)
    options.add_argument("--project", type=Path, default=ROOT / "examples" / "shop")
    options.add_argument("--seed", type=int, default=1)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        shutil.copytree(args.project, project, ignore=shutil.ignore_patterns(".bot"))
        server, senders = Server(project), [Sender(f"sender-{n}") for n in range(args.senders)]
        server.train()
        try:
            asyncio.run(torment(server, senders, args.kills, random.Random(args.seed)))
        finally:
            if server.process is not None and server.process.poll() is None:
                server.end(signal.SIGKILL)
        problems, counts = asyncio.run(judge(project / ".bot" / "log.db", senders))
    slowest = sorted(server.starts)
    result = {"kills": args.kills, "senders": args.senders, **counts, "problems": problems}
    result |= {"start_s_p50": round(slowest[len(slowest) // 2], 2), "start_s_max": round(slowest[-1], 2)}
    print(json.dumps(result))
    sys.exit(bool(problems or counts["open_turns"]))


if __name__ == "__main__":
    main()
