"""Forget a person of the demo for good: is a word that only they said in any file afterwards?

    python -m benchmarks.erasing [--keep FOLDER]

A copy of examples/shop gets one more logged conversation, with a word that exists nowhere else and a correction, so
that it teaches. Then, by the command line: train, learn, why (a page inside and one outside the project), export;
erase, and learn again. Before and after, the bytes of every file of the project are searched, models and log included.
Prints one JSON object; exit code 1 if the word is in a file after erasing, or after the next learning.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BOT = str(Path(sys.executable).with_name("bot"))
WORD, MAIL, WHO = "zebraquartz", "kim.canary@example.org", "canary-talk"
SAID = f"has the {WORD} teapot that i paid for been sent yet, write to {MAIL}"


def main(arguments: Sequence[str]) -> int:
    """Plant, learn, erase, search, learn again, search."""
    parser = argparse.ArgumentParser(description="Forget a person of the demo for good.")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = check(given.keep or Path(folder))
    print(json.dumps(found, indent=1))
    return 1 if found["after_erasing"] or found["after_learning_again"] or found["rows_left"] else 0


def check(folder: Path) -> dict[str, Any]:
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
    before = holding(folder)
    receipt = _json("erase", WHO, "-p", str(shop), "--yes", "--json")
    after = holding(folder)
    again = _json("learn", str(shop), "--json")
    return {
        "learned": learned.get("outcome"),
        "before": before,
        "receipt": {name: receipt[name] for name in ("events", "rows", "snapshots", "bundles", "bundle_in_use")},
        "changed": receipt["changed"],
        "removed": receipt["removed"],
        "remaining": receipt["remaining"],
        "after_erasing": after,
        "learned_again": again.get("outcome"),
        "after_learning_again": holding(folder),
        "rows_left": rows_of(shop, WHO),
    }


def holding(folder: Path) -> list[str]:
    """The files whose bytes hold the word or the address."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = [path for path in files if any(word.encode() in path.read_bytes() for word in (WORD, MAIL))]
    return [path.relative_to(folder).as_posix() for path in found]


def rows_of(shop: Path, conversation: str) -> int:
    """The rows of a conversation in all snapshots and in what is kept to learn from."""
    files = [*shop.glob(".bot/snapshots/*/rows.jsonl"), *shop.glob(".bot/replay/rows.jsonl")]
    rows = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    return sum(row.get("conversation") == conversation for row in rows)


def _plant(shop: Path) -> None:
    turns = [
        {"speaker": "user", "text": SAID, "intent": "greet", "correction": {"intent": "order_status"}},
        {"speaker": "bot", "text": "Hello! What can I do for you?", "rating": -1},
    ]
    talk = {"id": WHO, "channel": "web", "started_at": "2026-08-04T10:00:00Z", "turns": turns, "outcome": "resolved"}
    with (shop / "logs" / "conversations.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(talk) + "\n")


def _bot(*words: str) -> str:
    ran = subprocess.run([BOT, *words], capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 1):
        raise SystemExit(f"bot {' '.join(words)}: {ran.stderr or ran.stdout}")
    return ran.stdout


def _json(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_bot(*words))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
