"""What a bundle learned its intents from: the rows of its snapshot, or of the project and the log as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from bot.core.errors import InputError, IntegrityError, NotFound
from bot.manifest import DataSet, Manifest
from training.data import data_set
from training.examples import IntentExample
from training.gather import Sources, gather
from training.rows import Row
from training.snapshots import NAME, SnapshotStore
from training.split import SplitOptions
from training.why.nearest import Lesson, Taught

if TYPE_CHECKING:
    from bot.project import Project

REVIEWED, TRAINED = "reviewed turns", "trained on"


def lesson_of(manifest: Manifest, project: Project, log: Path, snapshots: Path) -> Lesson:
    """The rows that taught the bundle's intents; `same` where their digest is the one in its manifest."""
    card = manifest.skills.get("intent")
    data = card.data if card is not None else ()
    name = next((item.sha256 for item in data if item.name == NAME), "")
    if name:
        return _from_snapshot(name, data, snapshots)
    wanted = any(item.name == REVIEWED for item in data)
    options = _split(manifest.details.get("split"))
    try:
        found = gather(Sources(project, log if wanted else None), options).intents
    except InputError:
        return Lesson((), data)
    digest = data_set(TRAINED, found.train).sha256
    same = any(item.name == TRAINED and item.sha256 == digest for item in data)
    return Lesson(tuple(map(_taught, found.train)), data, same, tuple(map(_taught, found.held_out)))


def _from_snapshot(name: str, data: tuple[DataSet, ...], folder: Path) -> Lesson:
    try:
        found = SnapshotStore(folder).open(name)
    except (NotFound, IntegrityError):
        return Lesson((), data)
    rows = [(row.side, _of_snapshot(row)) for row in found.rows if row.intent]
    train = tuple(row for side, row in rows if side == "train")
    aside = tuple(row for side, row in rows if side in ("test", "time"))
    return Lesson(train, data, same=True, aside=aside)


def _of_snapshot(row: Row) -> Taught:
    return Taught(
        text=row.text,
        intent=row.intent,
        where=row.where,
        source=row.source,
        conversation=row.conversation,
        turn=row.turn,
        rules=tuple(mark.rule for mark in row.marks),
    )


def _split(value: JsonValue) -> SplitOptions:
    known = value if isinstance(value, Mapping) else {}
    return SplitOptions(**{name: known[name] for name in SplitOptions.__slots__ if name in known})  # type: ignore[arg-type]


def _taught(row: IntentExample) -> Taught:
    conversation, _, turn = row.where.rpartition(", turn ")
    if row.origin.group and conversation == row.origin.group and turn.isdigit():
        return Taught(row.text, row.intent, row.where, REVIEWED, conversation, int(turn))
    return Taught(row.text, row.intent, row.where, row.origin.source)
