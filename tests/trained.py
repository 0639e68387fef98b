"""Projects that are trained once in a run of the tests, whichever of its processes asks first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import bot


def once(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` has filled. Others use it too: what changes it needs a copy of its own."""
    base = temporary.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"
    shared.mkdir(exist_ok=True)
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return folder


def small_bot(temporary: pytest.TempPathFactory) -> Path:
    """What `bot init --template empty`, `bot ingest` and `bot train` leave."""
    return once(temporary, "small-bot", _small_bot)


def _small_bot(root: Path) -> None:
    assert bot("init", root, "--template", "empty").code == 0
    assert bot("ingest", "-p", root).code == 0
    ran = bot("train", root, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["promoted"] and ran.json["verdict"]["integrity"]["passed"]
