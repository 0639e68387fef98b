"""Immutable, content-hashed data sets: what exactly a bundle was trained and measured on, and where each row is from.

    ROOT/<id>/rows.jsonl        one row a line, sorted by id
    ROOT/<id>/dataset.json      what it is: counts, parents, filter, masker, sides, sha256 of the rows
    ROOT/tombstones.jsonl       which snapshots were replaced because a conversation was erased

The id is the sha256 of dataset.json without it, so the same rows with the same lineage are the same snapshot, and a
snapshot that was changed by hand is refused. A snapshot is made aside and renamed. Only erasing removes one: the rest
of it becomes a new snapshot, and the bundles that had learned from the old one are named.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.bundles import BundleStore
from bot.core.errors import IntegrityError, NotFound
from bot.core.messages import Value
from bot.manifest import DataSet
from training.rows import Row

FORMAT = 1
ROWS, DATASET, TOMBSTONES = "rows.jsonl", "dataset.json", "tombstones.jsonl"
NAME = "snapshot"
"""What a snapshot is called in a bundle's manifest."""
SNAPSHOTS = "snapshots"
"""The folder of snapshots, below the project's state folder."""
_STALE = 600
"""Seconds after which a snapshot in the making was left behind by a crash."""


class Lineage(Value):
    """Where a snapshot comes from. `filter` says in words what was taken of what there was.

    `since` is the border of the time hold-out in seconds since 1970, if there is one. `position` is that of the last
    event of the log that was read.
    """

    parents: tuple[str, ...] = ()
    filter: str = ""
    masker: str = "none"
    licence: str = ""
    salt: str = ""
    since: float | None = None
    position: int = 0


class Dataset(Lineage):
    """A snapshot's description. `counts` are by label, rule, month and language; `sides` and `left_out` by row."""

    format: int = FORMAT
    sha256: str
    rows: int
    conversations: int
    sides: dict[str, int]
    left_out: dict[str, int]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot on disk; `rows` were verified when it was opened."""

    id: str
    path: Path
    dataset: Dataset
    rows: tuple[Row, ...]

    def described(self) -> DataSet:
        """The line in a bundle's manifest."""
        return DataSet(name=NAME, sha256=self.id, rows=len(self.rows))


class Tombstone(Value):
    """A snapshot that was replaced by another without the rows of one conversation, whose id is kept as a digest."""

    at: float
    snapshot: str
    replaced_by: str
    rows: int
    conversation: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What erasing a conversation did: snapshots replaced (old id, new id), and bundles that had learned from it."""

    rows: int
    snapshots: tuple[tuple[str, str], ...]
    bundles: tuple[str, ...]


class SnapshotStore:
    """The snapshots below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, rows: Sequence[Row], lineage: Lineage) -> Snapshot:
        """Store rows; the same rows with the same lineage are stored once."""
        ordered = tuple(sorted(rows, key=lambda row: row.id))
        body = "".join(row.model_dump_json(exclude_defaults=True) + "\n" for row in ordered).encode()
        dataset = _described(ordered, lineage, hashlib.sha256(body).hexdigest())
        name = _digest(dataset)
        target = self.folder / name
        if not target.exists():
            self._write(target, body, dataset)
        return Snapshot(name, target, dataset, ordered)

    def open(self, snapshot: str) -> Snapshot:
        """A snapshot, verified.

        Raises:
            NotFound: there is none, or it was replaced because a conversation was erased.
            IntegrityError: its files are not what was written.
        """
        path = self.folder / snapshot
        if not snapshot or not (path / DATASET).is_file():
            later = self.replaced().get(snapshot)
            hint = f"it was replaced by {later} when a conversation was erased" if later else "there is none"
            raise NotFound(f"snapshot {snapshot!r} is not in {self.folder}: {hint}")
        try:
            plain = json.loads((path / DATASET).read_bytes())
            dataset = Dataset.model_validate({key: value for key, value in plain.items() if key != "id"})
            body = (path / ROWS).read_bytes()
            rows = tuple(Row.model_validate_json(line) for line in body.splitlines())
        except (ValueError, FileNotFoundError) as error:
            raise IntegrityError(str(path), f"is not a snapshot ({error}); learn again to make a new one") from error
        if _digest(dataset) != snapshot or hashlib.sha256(body).hexdigest() != dataset.sha256:
            raise IntegrityError(str(path), "is not what was written; learn again to make a new snapshot")
        return Snapshot(snapshot, path, dataset, rows)

    def rows_of(self, snapshot: str) -> tuple[Row, ...]:
        """Its rows, or those of what took its place; none if it is gone."""
        replaced = self.replaced()
        while snapshot in replaced:
            snapshot = replaced[snapshot]
        try:
            return self.open(snapshot).rows
        except NotFound:
            return ()

    def ids(self) -> tuple[str, ...]:
        """All snapshots."""
        return tuple(
            sorted(path.parent.name for path in self.folder.glob(f"*/{DATASET}") if path.parent.name[0] != ".")
        )

    def replaced(self) -> dict[str, str]:
        """Snapshots that are gone because of an erasure, and what took their place."""
        return {stone.snapshot: stone.replaced_by for stone in self._tombstones()}

    def forget(self, conversation: str, models: BundleStore | None = None, at: float = 0.0) -> Forgotten:
        """Erase a conversation's rows from all snapshots; names the bundles that were trained or measured on them."""
        found = [self.open(name) for name in self.ids()]
        hit = [item for item in found if any(row.conversation == conversation for row in item.rows)]
        replaced, gone = [], 0
        for old in hit:
            kept = [row for row in old.rows if row.conversation != conversation]
            lost = len(old.rows) - len(kept)
            gone += lost
            lineage = Lineage(**{name: getattr(old.dataset, name) for name in Lineage.model_fields})
            new = self.create(kept, lineage.model_copy(update={"parents": (old.id,)}))
            digest = hashlib.sha256(conversation.encode()).hexdigest()
            self._bury(Tombstone(at=at, snapshot=old.id, replaced_by=new.id, rows=lost, conversation=digest))
            self._remove(old.path)
            replaced.append((old.id, new.id))
        names = self._ancestors(old for old, _ in replaced)
        return Forgotten(gone, tuple(replaced), _trained_on(models, names) if models is not None else ())

    def _ancestors(self, names: Iterator[str]) -> set[str]:
        """The snapshots, and those that they took the place of: bundles name the one of their time."""
        back: dict[str, list[str]] = {}
        for stone in self._tombstones():
            back.setdefault(stone.replaced_by, []).append(stone.snapshot)
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += back.get(name, [])
        return found

    def _tombstones(self) -> list[Tombstone]:
        path = self.folder / TOMBSTONES
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [Tombstone.model_validate_json(line) for line in lines]

    def _bury(self, stone: Tombstone) -> None:
        with (self.folder / TOMBSTONES).open("ab") as file:
            file.write(stone.model_dump_json().encode() + b"\n")

    def _remove(self, path: Path) -> None:
        """First out of sight, then in pieces: half a snapshot is never seen, and what a crash left is removed here."""
        path.replace(self.folder / f".gone-{path.name}")
        self._sweep()

    def _sweep(self) -> None:
        for rest in (*self.folder.glob(".gone-*"), *self.folder.glob(".new-*")):
            if rest.name.startswith(".gone-") or time.time() - rest.stat().st_mtime > _STALE:
                shutil.rmtree(rest, ignore_errors=True)

    def _write(self, target: Path, body: bytes, dataset: Dataset) -> None:
        self._sweep()
        stage = self.folder / f".new-{secrets.token_hex(6)}"
        stage.mkdir(parents=True)
        try:
            (stage / ROWS).write_bytes(body)
            (stage / DATASET).write_bytes(_encoded(dataset))
            stage.replace(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def names_of(store: BundleStore, bundle: str) -> tuple[str, ...]:
    """The snapshots that a bundle's skills were trained on."""
    cards = store.open(bundle).manifest.skills.values()
    return tuple(dict.fromkeys(item.sha256 for card in cards for item in card.data if item.name == NAME))


def _trained_on(models: BundleStore, names: set[str]) -> tuple[str, ...]:
    found = []
    for listed in models.list():
        cards = listed.manifest.skills.values() if listed.manifest is not None else ()
        if any(item.name == NAME and item.sha256 in names for card in cards for item in card.data):
            found.append(listed.id)
    return tuple(sorted(found))


def _described(rows: Sequence[Row], lineage: Lineage, digest: str) -> Dataset:
    return Dataset(
        **lineage.model_dump(),
        sha256=digest,
        rows=len(rows),
        conversations=len({row.conversation for row in rows if row.conversation}),
        sides=_counted(rows, lambda row: row.side),
        left_out=_counted([row for row in rows if row.side == "out"], lambda row: row.why),
        counts=_counted(rows, _cell),
    )


def _cell(row: Row) -> str:
    rules = "+".join(sorted({mark.rule for mark in row.marks})) or "unknown"
    return " | ".join((row.intent or "-", rules, row.month or "-", row.lang))


def _counted(rows: Sequence[Row], by: Callable[[Row], str]) -> dict[str, int]:
    return dict(sorted(Counter(map(by, rows)).items()))


def _encoded(dataset: Dataset) -> bytes:
    plain = {"id": _digest(dataset), **dataset.model_dump(mode="json")}
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _digest(dataset: Dataset) -> str:
    return hashlib.sha256(json.dumps(dataset.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
