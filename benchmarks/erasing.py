"""Forget a person of the demo for good: is a word that only they said in any file afterwards?

    python -m benchmarks.erasing [--keep FOLDER]

A copy of examples/shop gets one more logged conversation, with a word that exists nowhere else and a correction, so
that it teaches. Then, by the command line: train, learn, why (a page inside and one outside the project), export;
erase, and learn again. Before and after, the bytes of every file of the project are searched, models and log included.
Meanwhile a bot is open in this process, as `bot serve` has it, and the same person speaks to it: all texts that objects
of this process still hold are searched as well. (Memory that was freed is not: the operating system gives it away
again when it likes, and only the end of the process empties it.)

Prints one JSON object; exit code 1 if the word is in a file or an object after erasing, in a file after the next
learning, or if the receipt names no snapshot or no bundle.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from bot.app import LOOK_EVERY, Wiring, open_bot
from bot.core.messages import Address, Message, Text
from bot.core.protocols import Inbound
from bot.telemetry import configure_logging

ROOT = Path(__file__).parent.parent
BOT = str(Path(sys.executable).with_name("bot"))
WORD, MAIL, WHO = "zebraquartz", "kim.canary@example.org", "canary-talk"
SAID = "has the {} teapot that i paid for been sent yet, write to {}"


def main(arguments: Sequence[str]) -> int:
    """Plant, learn, erase, search, learn again, search."""
    parser = argparse.ArgumentParser(description="Forget a person of the demo for good.")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    given = parser.parse_args(arguments)
    configure_logging("error", json=False)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(check(given.keep or Path(folder)))
    print(json.dumps(found, indent=1))
    left = ("after_erasing", "after_learning_again", "rows_left", "remembered_after")
    named = found["receipt"]["snapshots"] and found["receipt"]["bundles"]
    return 1 if any(found[name] for name in left) or not named else 0


async def check(folder: Path) -> dict[str, Any]:
    """All steps, in a folder."""
    shop = folder / "shop"
    if not shop.exists():
        shutil.copytree(ROOT / "examples" / "shop", shop, ignore=shutil.ignore_patterns(".bot", "results"))
        _plant(shop)
        _bot("train", str(shop))
    learned = _json("learn", str(shop), "--json")
    _bot("why", WHO, "1", "-p", str(shop), "--html", str(folder / "why.html"))
    _bot("why", WHO, "1", "-p", str(shop), "--html", str(shop / "why.html"))
    _bot("export", WHO, "-p", str(shop), "-o", str(shop / "export.jsonl"))
    async with open_bot(shop, Wiring(watch=True, patient=True)) as bot:
        message = Message(id="u", parts=(Text(text=f"and is the {WORD} cup there"),))
        address = Address(channel="rest", conversation=f"{WHO}-live", sender=WHO)
        await (await bot.manager.submit(Inbound(address=address, message=message, key="u"))).settled()
        del message
        objects, before = remembered(WORD), holding(folder)
        receipt = await asyncio.to_thread(_json, "erase", WHO, "-p", str(shop), "--yes", "--json")
        await asyncio.sleep(2 * LOOK_EVERY)
        after, left = holding(folder), remembered(WORD)
    again = _json("learn", str(shop), "--json")
    return {
        "learned": learned.get("outcome"),
        "before": before,
        "receipt": {name: receipt[name] for name in ("events", "rows", "snapshots", "bundles", "bundle_in_use")},
        "changed": receipt["changed"],
        "removed": receipt["removed"],
        "remaining": receipt["remaining"],
        "after_erasing": after,
        "remembered_before": objects,
        "remembered_after": left,
        "learned_again": again.get("outcome"),
        "after_learning_again": holding(folder),
        "rows_left": rows_of(shop, WHO),
    }


def holding(folder: Path) -> list[str]:
    """The files whose bytes hold the word or the address."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = [path for path in files if any(word.encode() in path.read_bytes() for word in (WORD, MAIL))]
    return [path.relative_to(folder).as_posix() for path in found]


def remembered(word: str) -> int:
    """How many texts that can be reached in this process hold a word, other than the word and constants of code.

    Types are asked for by `type`: some objects do something when they are asked for their class.
    """
    gc.collect()
    seen, found, here = set[int](), set[int](), sys._getframe()
    waiting: list[Any] = gc.get_objects()
    while waiting:
        reached: list[Any] = []
        for item in gc.get_referents(*waiting):
            if id(item) in seen or item is here or issubclass(type(item), CodeType | type(sys)):
                continue
            seen.add(id(item))
            if issubclass(type(item), str | bytes):
                text = item if issubclass(type(item), str) else item.decode("utf-8", "replace")
                found |= {id(item)} if word in text and text != word else set()
            else:
                reached.append(item)
        waiting = reached
    return len(found)


def rows_of(shop: Path, conversation: str) -> int:
    """The rows of a conversation in all snapshots and in what is kept to learn from."""
    files = [*shop.glob(".bot/snapshots/*/rows.jsonl"), *shop.glob(".bot/replay/rows.jsonl")]
    rows = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    return sum(row.get("conversation") == conversation for row in rows)


def _plant(shop: Path) -> None:
    said = SAID.format(WORD, MAIL)
    turns = [
        {"speaker": "user", "text": said, "intent": "greet", "correction": {"intent": "order_status"}},
        {"speaker": "bot", "text": "Hello! What can I do for you?", "rating": -1},
    ]
    talk = {"id": WHO, "channel": "web", "started_at": "2026-08-04T10:00:00Z", "turns": turns, "outcome": "resolved"}
    with (shop / "logs" / "conversations.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(talk) + "\n")


def _bot(*words: str) -> str:
    ran = subprocess.run([BOT, *words], capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 1) or ran.stderr.startswith("Error"):
        raise SystemExit(f"bot {' '.join(words)}: {ran.stderr or ran.stdout}")
    return ran.stdout


def _json(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_bot(*words))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
