"""Immutable artefacts on disk: model bundles and knowledge indexes. Swapping one is a pointer write.

    ROOT/20261122-061500-0f3a9c1b2d4e/   files..., manifest.json written last
    ROOT/CURRENT                         the id in use
    ROOT/history.jsonl                   every promotion, canary and rollback: who, when, why, with what verdict
    ROOT/ROLLOUT                         the canary, if there was one (`bot.rollout`)
    ROOT/.lock, ROOT/.new-*              the writers' lock; bundles in the making

Rules of this file:

1. A bundle is made in a `.new-*` directory, synced to disk and then renamed: it is there complete or not at all.
2. Nothing in a bundle changes afterwards. `open` compares every file with its sha256; missing and unknown files are
   refused too. The manifest is covered by the digest in the id and must be the very bytes that we would write.
3. Readers take no lock. Writers of CURRENT and of the history take one; a second writer waits, then gets `Conflict`.
4. History is written before CURRENT; if we die in between, the next writer notes that the promotion was cut short.
5. All disk writes go through `Disk`, so that a test can cut the power between any two of them.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bot.core.errors import Conflict, IntegrityError, NotFound
from bot.core.messages import Value
from bot.manifest import ID, Draft, Manifest, StoredFile, encode, made, plain_files, read_manifest, stored, verify

Action = Literal["promote", "rollback", "canary", "withdraw"]
"""What is noted in the history. The last two do not move the pointer: a bundle is tried on a part of the talks."""
ANY = "*"
"""Whatever is current."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose every byte was verified when it was opened."""

    path: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        """The id, which is also the directory's name."""
        return self.manifest.id


def unsealed(path: Path) -> Bundle:
    """The files of a bundle in the making, to be tried before it is sealed. Nothing is verified."""
    return Bundle(path, made(Draft(kind="models"), (), 0.0))


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a listing. The files were not verified; `problem` is set if the manifest cannot be read."""

    id: str
    current: bool
    manifest: Manifest | None
    problem: str = ""


class Promotion(Value):
    """A line of the history."""

    at: str
    action: Action
    id: str
    by: str
    reason: str
    verdict: str = ""


class Disk:
    """The writes that a store makes, in the smallest steps between which a machine may die."""

    def sync(self, path: Path) -> None:
        """Have a file's or a directory's content survive a power cut."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def write(self, path: Path, content: bytes) -> None:
        """Write a whole file; it is not synced."""
        path.write_bytes(content)

    def append(self, path: Path, content: bytes) -> None:
        """Add to the end of a file; it is not synced."""
        with path.open("ab") as file:
            file.write(content)

    def rename(self, source: Path, target: Path) -> None:
        """Move within the file system, replacing an existing file at once."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete a directory and all in it; one that is gone is no error."""
        shutil.rmtree(path, ignore_errors=True)


class BundleStore:
    """The bundles below `root`. `clock` gives seconds since 1970; `patience` is how long to wait for another writer."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], float] = time.time,
        disk: Disk | None = None,
        patience: float = 10.0,
    ) -> None:
        self.root, self._clock, self._disk, self._patience = root, clock, disk or Disk(), patience

    def create(self, fill: Callable[[Path], Draft]) -> Bundle:
        """Make a bundle: `fill` writes its files into an empty directory and returns what to state about them.

        The bundle is not current until it is promoted. If `fill` raises, nothing is left behind. Making the same
        bundle twice within a second gives the first one.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self._remove_stale()
        with self._stage() as stage:
            draft = fill(stage)
            manifest = made(draft, self._seal(stage), self._clock())
            target = self.root / manifest.id
            if not target.exists():
                self._disk.write(stage / "manifest.json", encode(manifest))
                self._disk.sync(stage / "manifest.json")
                self._disk.sync(stage)
                self._disk.rename(stage, target)
                self._disk.sync(self.root)
        return self.open(manifest.id)

    def open(self, bundle: str) -> Bundle:
        """The bundle with this id, verified.

        Raises:
            NotFound: there is none.
            IntegrityError: a file differs from the manifest, is missing or unknown; names the file.
        """
        path = self.root / bundle
        if not ID.fullmatch(bundle) or not path.is_dir():
            raise NotFound(
                f"there is no bundle {bundle!r} in {self.root}; it holds: {', '.join(self._ids()) or 'none'}"
            )
        manifest = read_manifest(path)
        verify(path, manifest)
        return Bundle(path, manifest)

    def current(self) -> str | None:
        """The id that CURRENT names, or None before the first promotion.

        Raises:
            IntegrityError: CURRENT does not hold an id.
        """
        path = self.root / "CURRENT"
        try:
            text = path.read_text("ascii").strip()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
        if not ID.fullmatch(text):
            raise IntegrityError(str(path), "expected a bundle id; write one with `promote`")
        return text

    def pointer(self) -> str | None:
        """As `current`, but None also if CURRENT does not hold an id: then there is nothing to go back to."""
        try:
            return self.current()
        except IntegrityError:
            return None

    def open_current(self) -> Bundle | None:
        """The current bundle, verified, or None before the first promotion."""
        bundle = self.current()
        return None if bundle is None else self.open(bundle)

    def promote(
        self, bundle: str, reason: str, *, by: str = "", verdict: str = "", replacing: str | None = ANY
    ) -> Bundle:
        """Verify a bundle and make it the current one. Promoting the current one changes nothing.

        Raises:
            Conflict: the current bundle is not `replacing`, which a comparison was made with.
        """
        with self.lock():
            if replacing not in (ANY, self.pointer()):
                raise Conflict(f"{self.pointer()} has become current meanwhile, expected {replacing}; compare again")
            opened = self.open(bundle)
            self._repair_history()
            if self.pointer() != bundle:
                self._point("promote", bundle, (reason, by, verdict))
        return opened

    def rollback(self, reason: str, *, by: str = "") -> Bundle:
        """Go back to the bundle that was current before this one.

        Raises:
            NotFound: there is no earlier one.
        """
        with self.lock():
            self._repair_history()
            before = _stack(self.history())[:-1]
            if not before:
                raise NotFound(f"no bundle was current in {self.root} before this one; promote one by its id instead")
            opened = self.open(before[-1])
            self._point("rollback", before[-1], (reason, by, ""))
        return opened

    def list(self) -> tuple[Listed, ...]:
        """All bundles, newest first."""
        current = self.pointer()
        return tuple(self._listed(bundle, bundle == current) for bundle in reversed(self._ids()))

    def history(self) -> tuple[Promotion, ...]:
        """Promotions and rollbacks, oldest first. A last line that was cut short is left out."""
        path = self.root / "history.jsonl"
        whole, _ = _split_torn(path)
        try:
            return tuple(Promotion.model_validate_json(line) for line in whole.splitlines())
        except ValidationError as error:
            raise IntegrityError(str(path), f"a line is not a promotion record: {error.errors()[0]['msg']}") from error

    def _ids(self) -> tuple[str, ...]:
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.root.iterdir() if ID.fullmatch(path.name) and path.is_dir()))

    def _listed(self, bundle: str, current: bool) -> Listed:
        try:
            return Listed(bundle, current, read_manifest(self.root / bundle))
        except IntegrityError as error:
            return Listed(bundle, current, None, str(error))

    def _seal(self, stage: Path) -> tuple[StoredFile, ...]:
        """Sync every file and directory of the stage; what it holds."""
        directories = [path for path in stage.rglob("*") if path.is_dir()]
        files = []
        for path in plain_files(stage):
            self._disk.sync(path)
            files.append(stored(stage, path))
        for directory in directories:
            self._disk.sync(directory)
        return tuple(files)

    @contextmanager
    def _stage(self) -> Iterator[Path]:
        """A new directory, locked while its maker lives, removed unless it was renamed."""
        stage = self.root / f".new-{secrets.token_hex(6)}"
        stage.mkdir()
        handle = os.open(stage, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield stage
        finally:
            self._disk.remove(stage)
            os.close(handle)

    def _remove_stale(self) -> None:
        """Remove stages whose maker died: their lock is free. A stage younger than a minute may not be locked yet."""
        for stage in self.root.glob(".new-*"):
            with _try_lock(stage) as locked:
                if locked and time.time() - stage.stat().st_mtime > 60:
                    self._disk.remove(stage)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer; `Conflict` if another one does not end."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / ".lock"
        deadline = time.monotonic() + self._patience
        with path.open("a") as file:
            while not _flock(file.fileno()):
                if time.monotonic() > deadline:
                    raise Conflict(f"another process is changing {self.root}; wait until it is done, then repeat this")
                time.sleep(0.02)
            yield

    def _repair_history(self) -> None:
        """Make history agree with CURRENT after a writer died between the two."""
        path, current = self.root / "history.jsonl", self.pointer()
        whole, torn = _split_torn(path)
        if torn:
            self.replace(path, whole)
        stack = _stack(self.history())
        if current is None or (stack and stack[-1] == current):
            return
        self.note("rollback" if current in stack else "promote", current, ("the change before was cut short", "", ""))

    def _point(self, action: Action, bundle: str, why: tuple[str, str, str]) -> None:
        self.note(action, bundle, why)
        self.replace(self.root / "CURRENT", f"{bundle}\n".encode("ascii"))

    def note(self, action: Action, bundle: str, why: tuple[str, str, str]) -> None:
        """Add to the history: why is the reason, by whom, the verdict. Only within `lock`."""
        reason, by, verdict = why
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
        line = Promotion(at=at, action=action, id=bundle, by=by or _user(), reason=reason, verdict=verdict)
        path = self.root / "history.jsonl"
        self._disk.append(path, line.model_dump_json().encode() + b"\n")
        self._disk.sync(path)

    def replace(self, path: Path, content: bytes) -> None:
        """Write a whole file at once; it survives a power cut, old or new."""
        fresh = path.with_name(f".{path.name}.new")
        self._disk.write(fresh, content)
        self._disk.sync(fresh)
        self._disk.rename(fresh, path)
        self._disk.sync(self.root)


class PointerWatch:
    """Tells when CURRENT has changed, at the price of one `stat` a call.

    `seen` is the id in use. A pointer that cannot be read raises once; until it changes again, nothing is reported.
    """

    def __init__(self, store: BundleStore, seen: str | None) -> None:
        self._store, self._seen = store, seen
        self._stamp: tuple[int, int] | None = None

    def changed(self) -> str | None:
        """The new current id, or None if it is the one seen last."""
        try:
            status = (self._store.root / "CURRENT").stat()
        except FileNotFoundError:
            return None
        stamp = (status.st_ino, status.st_mtime_ns)
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        bundle = self._store.current()
        if bundle == self._seen:
            return None
        self._seen = bundle
        return bundle


@contextmanager
def _try_lock(path: Path) -> Iterator[bool]:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _flock(handle)
    finally:
        os.close(handle)


def _flock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _split_torn(path: Path) -> tuple[bytes, bytes]:
    """The whole lines of a file and what follows the last line feed."""
    content = path.read_bytes() if path.exists() else b""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _stack(history: Sequence[Promotion]) -> list[str]:
    """The ids that a rollback goes back through; the last one is current."""
    stack: list[str] = []
    for line in history:
        if line.action == "promote":
            stack.append(line.id)
        elif line.action == "rollback":
            while stack and stack[-1] != line.id:
                stack.pop()
    return stack


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
