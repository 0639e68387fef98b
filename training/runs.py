"""Training that a kill cannot hurt: one trainer at a time, and each fitted skill is kept until its bundle is sealed.

    ROOT/<stage>/           a fitted skill: its files and made.json, complete or not there at all
    ROOT/.lock              held by the trainer that is at work; it dies with its process

A stage is named by the digest of everything that its fit depends on: rows, options, encoder, code, the project's own
rules. So a run that was killed goes on where it was by being started again, a stage of other data is never taken for
one's own, and the resumed run ends with the same bytes. When the bundle is sealed the stages are removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pydantic import JsonValue

from bot.bundles import Disk
from bot.core.errors import Conflict
from training.progress import Progress, silent
from training.workshop import Made

_MADE = "made.json"
_OLD = 7 * 86_400
"""Seconds after which stages that nobody came back for are removed."""
_LOOK = 0.2


class Runs:
    """The stages below a folder. `patience` is how many seconds to wait for another trainer."""

    def __init__(self, folder: Path, patience: float = 600.0, disk: Disk | None = None) -> None:
        self.folder, self.patience, self._disk = folder, patience, disk or Disk()

    @contextmanager
    def alone(self, progress: Progress = silent) -> Iterator[None]:
        """Be the only trainer.

        Raises:
            Conflict: another one was still at work after `patience` seconds; says which.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self.patience
        with (self.folder / ".lock").open("a+") as file:
            while not _locked(file.fileno()):
                who = _reader(self.folder / ".lock")
                if time.monotonic() > deadline:
                    raise Conflict(f"another training is at work here ({who}); wait until it is done, then repeat this")
                progress(0.0, f"waiting for another training ({who})")
                time.sleep(_LOOK)
            file.truncate(0)
            file.write(f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            file.flush()
            try:
                self._sweep()
                yield
            finally:
                file.truncate(0)

    def stage(self, key: str, target: Path, make: Callable[[Path], Made]) -> Made:
        """Fill `target` by `make`, or by what an earlier, killed run had already made of the same things."""
        kept = self.folder / key
        if not (kept / _MADE).is_file():
            self._keep(kept, make)
        shutil.copytree(kept, target, ignore=shutil.ignore_patterns(_MADE))
        return _read(kept / _MADE)

    def clear(self) -> None:
        """Remove all stages: the bundle is sealed."""
        for path in self.folder.glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _keep(self, kept: Path, make: Callable[[Path], Made]) -> None:
        fresh = self.folder / f".new-{secrets.token_hex(6)}"
        try:
            made = make(fresh)
            (fresh / _MADE).write_text(json.dumps(asdict(made), sort_keys=True), encoding="utf-8")
            for path in sorted(fresh.rglob("*")):
                self._disk.sync(path)
            self._disk.sync(fresh)
            self._disk.rename(fresh, kept)
            self._disk.sync(self.folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what killed runs had not finished, and stages that are old. Only the lock's holder may."""
        for path in self.folder.iterdir():
            old = time.time() - path.stat().st_mtime > _OLD
            if path.is_dir() and (old or path.name.startswith(".new-") or not (path / _MADE).is_file()):
                shutil.rmtree(path, ignore_errors=True)


def key_of(parts: Mapping[str, JsonValue]) -> str:
    """A stage's name from all that its fit depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]


def digest_of(rows: Iterable[object]) -> str:
    """The digest of rows in their order, with all that they carry."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def _read(path: Path) -> Made:
    plain = json.loads(path.read_bytes())
    return Made(plain["method"], tuple(plain["labels"]), plain["hyper_parameters"], plain["report"])


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _reader(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() or "just begun"
