"""Forgets people: everything that their conversations left, in the log and wherever it was carried from there.

In this order, so that an erasure that is cut short can be repeated from the start: snapshots, pages and notes that are
kept by conversation; copies anywhere else (`training.sweep`); the log last, of which only tombstones stay. No training
runs meanwhile. Then all files are searched once more, and a signed receipt says what was done (`training.receipts`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.bundles import BundleStore
from bot.core import events as ev
from bot.core.errors import InputError, StorageUnavailable
from training import elsewhere, lesson
from training.consent import expired, masker_of
from training.gate import page
from training.gather import read_log
from training.people import Person, words_of
from training.receipts import Receipt, Receipts
from training.replay import Replay
from training.runs import Runs
from training.seen import Seen
from training.snapshots import SnapshotStore
from training.sweep import Swept, Wanted, sweep

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.project import Project

Forget = Callable[[Collection[str]], int]
"""Forgets conversations somewhere else; how many things it dropped."""
_TRIES, _PAUSE = 20, 0.25
SEALED = ("models", "index", "snapshots", "trained", "receipts", "keys")
"""Folders of the state folder in which nothing is ever changed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project keeps things. `root` and `state` are absolute."""

    root: Path
    state: Path
    log: Path
    models: Path
    settings: Settings
    project: Project | None = None

    @property
    def sealed(self) -> tuple[Path, ...]:
        """Folders in which nothing is ever changed."""
        return (self.models, *(self.state / name for name in SEALED))


@dataclass(frozen=True, slots=True)
class Erased:
    """The signed receipt and its file. `stuck` are models, indexes and snapshots that still hold the person's words.

    `kept` rows of conversations that expired go on teaching.
    """

    receipt: Receipt
    path: Path
    stuck: tuple[str, ...]
    kept: int = 0


def erase(place: Place, person: Person, reminders: Forget, at: float | None = None) -> Erased:
    """Forget a person. `reminders` forgets what is due in conversations; `at` is seconds since 1970 UTC.

    Raises:
        Conflict: a training is at work and does not end.
        StorageUnavailable: the log is in use; everything else was done, so erase again.
    """
    at = time.time() if at is None else at
    names, receipts, store = person.conversations, Receipts(place.state), BundleStore(place.models)
    with Runs(place.state / "runs").alone():
        Runs(place.state / "runs").clear()
        log = read_log(place.log)
        wanted = _wanted(place, person, log)
        rows, snapshots, bundles = _from_snapshots(place, names, store, at)
        bundles |= {*Seen(place.models).forget(names), *_unnoted(place, store, names, log)}
        pages = [*page.forget(place.state / "reports", set(names)), *lesson.forget(place.state / "learn", set(names))]
        replay = Replay(place.state, place.settings.learning.replay_per_intent)
        stays = (replay.path,) if person.expired and replay.most else ()
        rows += 0 if stays else replay.forget(names)
        kept = sum(row.conversation in person.talks for row in replay.rows())
        written = elsewhere.forget(place.state, names, wanted.within)
        first = _sweep(place, wanted, stays)
        events = asyncio.run(_from_log(place.log, [name for name in names if person.talks[name]], at))
        dropped = reminders(names)
        last = _sweep(place, wanted, stays)
    told = Receipt(
        id=f"{datetime.fromtimestamp(at, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        at=datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
        person=receipts.pseudonym(person.who),
        conversations=tuple(sorted(map(receipts.pseudonym, names))),
        events=events,
        rows=rows,
        reminders=dropped,
        snapshots=snapshots,
        bundles=tuple(sorted(bundles)),
        bundle_in_use=store.pointer() or "",
        changed=_named(place, [*pages, *first.changed, *last.changed]),
        removed=_named(place, [*written, *first.removed, *last.removed]),
        remaining=_named(place, last.remaining),
    )
    stuck = [path for path in last.remaining if any(path.is_relative_to(folder) for folder in place.sealed)]
    return Erased(*receipts.issue(told), _named(place, stuck), kept)


def outdated(log: Sequence[ev.Recorded], settings: Settings, now: float) -> Person:
    """All conversations that are older than the project keeps them, as if they were one person's.

    Raises:
        InputError: the project keeps conversations for ever.
    """
    if settings.privacy.retention_days is None:
        raise InputError("no conversation ever expires here; set `privacy: {retention_days: N}` in bot.yml")
    talks: dict[str, list[ev.Recorded]] = {}
    for recorded in log:
        talks.setdefault(recorded.conversation, []).append(recorded)
    old = {
        name: tuple(talk)
        for name, talk in talks.items()
        if talk[-1].event.kind != "erased" and expired(talk[-1].at, settings.privacy, now)
    }
    return Person("expired", old, expired=True)


def _wanted(place: Place, person: Person, log: Iterable[ev.Recorded]) -> Wanted:
    mine = set(person.conversations)
    talks: dict[str, list[ev.Recorded]] = {}
    for recorded in log:
        if recorded.conversation not in mine:
            talks.setdefault(recorded.conversation, []).append(recorded)
    others = [text for talk in talks.values() for text in words_of(talk)]
    said = [text for talk in person.talks.values() for text in words_of(talk)]
    said += [row.text for row in Replay(place.state, 0).rows() if row.conversation in mine]
    ids = {*mine, *_senders(person)} - {*talks, *_senders(Person("", {name: tuple(t) for name, t in talks.items()}))}
    return Wanted.of(ids, said, [*others, *_authored(place.project)], masker_of(place.settings))


def _senders(person: Person) -> set[str]:
    facts = (fact.event for talk in person.talks.values() for fact in talk)
    return {event.sender for event in facts if isinstance(event, ev.Started) and event.sender}


def _authored(project: Project | None) -> Iterator[str]:
    if project is not None:
        yield from (example.text for example in project.nlu.examples)
        yield from (wording.model_dump_json() for said in project.program.responses.values() for wording in said)


def _from_snapshots(
    place: Place, names: Sequence[str], store: BundleStore, at: float
) -> tuple[int, tuple[tuple[str, str], ...], set[str]]:
    """Rows gone, the snapshots from first to last (old id, new id), the bundles that had learned from them."""
    snapshots, gone, bundles = SnapshotStore(place.state / "snapshots"), 0, set[str]()
    moved: dict[str, str] = {}
    for name in names:
        found = snapshots.forget(name, store, at)
        gone += found.rows
        bundles |= set(found.bundles)
        for old, new in found.snapshots:
            first = next((key for key, value in moved.items() if value == old), old)
            moved[first] = new
    return gone, tuple(sorted(moved.items())), bundles


def _unnoted(place: Place, store: BundleStore, names: Collection[str], log: Iterable[ev.Recorded]) -> Iterator[str]:
    """Bundles of older versions, which wrote no note of what they saw: those made of the log after the person spoke."""
    began = min((fact.at for fact in log if fact.conversation in names), default=0.0)
    seen = Seen(place.models)
    for listed in store.list():
        manifest = listed.manifest
        if manifest is None or seen.knows(listed.id):
            continue
        of_log = any(data.name == "reviewed turns" for card in manifest.skills.values() for data in card.data)
        if of_log and datetime.fromisoformat(manifest.created).timestamp() >= began:
            yield listed.id


def _sweep(place: Place, wanted: Wanted, stays: Collection[Path]) -> Swept:
    kept = {*stays, place.log, *(place.log.with_name(place.log.name + end) for end in ("-wal", "-shm", "-journal"))}
    return sweep(place.root, place.state, kept, place.sealed, wanted)


async def _from_log(path: Path, names: Sequence[str], at: float) -> int:
    """Erase in the log; a bot that serves meanwhile may hold it for a moment."""
    from bot.store import SqlStore

    gone = 0
    async with SqlStore(path) as store:
        for name in names:
            for attempt in range(_TRIES):
                try:
                    gone += await store.erase(name, at)
                    break
                except StorageUnavailable:
                    if attempt + 1 == _TRIES:
                        raise
                    await asyncio.sleep(_PAUSE)
    return gone


def _named(place: Place, paths: Iterable[Path]) -> tuple[str, ...]:
    """Paths as the receipt tells them: below the project, or whole."""
    unique = dict.fromkeys(paths)
    return tuple(
        path.relative_to(place.root).as_posix() if path.is_relative_to(place.root) else str(path) for path in unique
    )
