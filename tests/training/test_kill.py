"""A trainer may be killed at any moment: the live bundle is whole, and the resumed run ends with the same bytes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.bundles import BundleStore

ROOT = Path(__file__).parents[2]
KILLS = 5


def prepared(folder: Path) -> Path:
    folder.mkdir()
    rows = [
        {"text": f"{intent} the {thing} {n}", "tokens": [intent, "the", thing], "intent": intent,
         "tags": ["O", "O", "B-thing"]}
        for intent in ("buy", "clean")
        for thing in ("kettle", "mug", "teapot", "tray")
        for n in range(10)
    ]  # fmt: skip
    slots = [{"tokens": row["tokens"], "tags": row["tags"], "intent": row["intent"]} for row in rows]
    for name, lines in (("intents", rows), ("slots", slots)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.training.killed", str(folder)]
    found = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert found.stdout is not None
    assert found.stdout.readline() == "begun\n"
    return found


def finish(process: subprocess.Popen[str]) -> None:
    assert process.wait(60) == 0
    assert process.stdout is not None
    process.stdout.close()


def kill_after(folder: Path, seconds: float) -> None:
    process = start(folder)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.slow
def test_killed_trainers_end_where_an_unhurt_one_ends(tmp_path: Path) -> None:
    unhurt = start(prepared(tmp_path / "unhurt"))
    began = time.monotonic()
    finish(unhurt)
    whole = time.monotonic() - began
    expected = BundleStore(tmp_path / "unhurt" / "models").open_current()
    assert expected is not None
    folder, chance = prepared(tmp_path / "hurt"), random.Random(5)
    store = BundleStore(folder / "models")
    for _ in range(KILLS):
        kill_after(folder, chance.uniform(0, whole))
        if (current := store.open_current()) is not None:
            assert current.manifest.content == expected.manifest.content
            folder = prepared(tmp_path / f"again-{chance.random()}")
            store = BundleStore(folder / "models")
    finish(start(folder))
    done = store.open_current()
    assert done is not None
    assert done.manifest.content == expected.manifest.content
    assert [path.name for path in (folder / "runs").iterdir()] == [".lock"]


@pytest.mark.slow
def test_of_two_trainers_the_second_waits(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "shared")
    both = [start(folder), start(folder)]
    for process in both:
        finish(process)
    store = BundleStore(folder / "models")
    first, second = (line.id for line in store.history())
    assert store.current() == second
    assert store.open(second).manifest.parent == first
