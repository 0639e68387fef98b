"""Everything a training run learns from, cleaned and divided: project, files, reviewed turns and signals of the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.errors import Conflict, InputError
from bot.core.events import Recorded
from bot.manifest import DataSet
from training.consent import cleared
from training.data import data_set, from_project, nfc, read_intents, read_slots, reviewed
from training.examples import OOS, OUTSIDE, IntentExample, SlotExample
from training.labels import RuleBook, evened, examples, read_signals
from training.privacy import natural, natural_intent, natural_slots
from training.ranking_log import choices
from training.ranking_rows import RankingData, ranking_data
from training.replay import SOURCE, Replay, Today
from training.rows import Row, intents_on, slots_on
from training.sides import Side, fraction
from training.signals.similarity import Vectors, lexical, of_vectors
from training.signals.turns import texts, turns
from training.snapshots import Snapshot
from training.split import Labelled, Split, SplitOptions, clean, on_sides, split

if TYPE_CHECKING:
    from bot.project import Project

_SHOWN = 5
_PAGE = 5000
_TEACH: tuple[Side, ...] = ("train",)
_MEASURE: tuple[Side, ...] = ("test", "time")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where rows come from. `log` is the log's database file; `intents` and `slots` are JSONL files.

    With a `snapshot`, all rows and their sides are those of the snapshot; of the log only next actions are learned.
    `replay` is what is kept of conversations that are gone.
    `book` says how far labelling rules are believed; `vectors` encodes texts for them (None: they compare letters).
    """

    project: Project | None = None
    log: Path | None = None
    intents: tuple[Path, ...] = ()
    slots: tuple[Path, ...] = ()
    snapshot: Snapshot | None = None
    book: RuleBook = field(default_factory=RuleBook)
    vectors: Vectors | None = None
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows on both sides of the split, what they came from, and what a person should know about them.

    `ranking` is what a project's stories and its log teach about the next action, None without stories. `seen` are the
    conversations that any of it comes from.
    """

    intents: Split[IntentExample]
    slots: Split[SlotExample]
    intent_data: tuple[DataSet, ...]
    slot_data: tuple[DataSet, ...]
    notes: tuple[str, ...]
    ranking: RankingData | None = None
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one source."""

    name: str
    intents: tuple[IntentExample, ...]
    slots: tuple[SlotExample, ...] = ()


def gather(sources: Sources, options: SplitOptions) -> Gathered:
    """Read all sources; of the log, masked, what people let us learn from.

    Raises:
        InputError: a file has bad rows, or there is nothing to learn from.
        Conflict: the snapshot is not there any more.
    """
    settings = sources.project.settings if sources.project is not None else None
    raw = read_log(sources.log) if sources.log is not None and sources.log.exists() else []
    log = cleared(raw, settings)
    if sources.snapshot is not None:
        found = _from_snapshot(sources, log, options)
    else:
        found = _from_files(sources, options, log, _replayed(sources, raw))
    taught = replace(found.intents, train=evened(found.intents.train))
    return replace(found, intents=taught, seen=_seen(found, log))


def _seen(found: Gathered, log: Sequence[Recorded]) -> frozenset[str]:
    sides = (found.intents.train, found.intents.held_out, found.slots.train, found.slots.held_out)
    chosen = {fact.conversation for fact in log} if found.ranking is not None and found.ranking.logged else set()
    return frozenset({row.origin.group for side in sides for row in side if row.origin.group} | chosen)


def _replayed(sources: Sources, raw: Sequence[Recorded]) -> list[_Part]:
    """What is kept of conversations that are gone."""
    if sources.replay is None or sources.project is None:
        return []
    today = Today(raw, sources.project.settings.privacy, time.time(), sources.book)
    rows = sources.replay.recalled(today)
    intents, slots = map(natural_intent, intents_on(rows, "train")), map(natural_slots, slots_on(rows, "train"))
    return [_known(_Part(SOURCE, tuple(intents), tuple(slots)), sources.project)]


def _from_files(
    sources: Sources, options: SplitOptions, log: Sequence[Recorded], replayed: Sequence[_Part]
) -> Gathered:
    parts = [*_parts(sources, log), *replayed]
    intents = clean([row for part in parts for row in part.intents])
    slots = clean([row for part in parts for row in part.slots])
    if not intents.rows and not slots.rows:
        raise InputError(
            "there is nothing to learn from: write examples below `nlu:` in data/*.yml, or name a file with --data"
        )
    notes = [*_notes("intents", intents.repeated, intents.conflicts), *_notes("slots", slots.repeated, slots.conflicts)]
    by_intent = split(intents.rows, options)
    return Gathered(
        by_intent,
        split(slots.rows, options),
        tuple(data_set(part.name, part.intents) for part in parts if part.intents),
        tuple(data_set(part.name, part.slots) for part in parts if part.slots),
        tuple(notes),
        _ranking(sources.project, by_intent.train, log, options),
    )


def _from_snapshot(sources: Sources, log: Sequence[Recorded], options: SplitOptions) -> Gathered:
    assert sources.snapshot is not None
    if not sources.snapshot.path.is_dir():
        raise Conflict("somebody was erased from the snapshot that was to be learned from; run bot learn again")
    rows, data = _ordered(sources.snapshot.rows, sources.project), (sources.snapshot.described(),)
    intents = [clean([natural_intent(row) for row in intents_on(rows, *sides)]) for sides in (_TEACH, _MEASURE)]
    slots = [clean([natural_slots(row) for row in slots_on(rows, *sides)]) for sides in (_TEACH, _MEASURE)]
    by_intent = on_sides(*(found.rows for found in intents))
    return Gathered(
        by_intent,
        on_sides(*(found.rows for found in slots)),
        data,
        data if any(found.rows for found in slots) else (),
        tuple(_notes("intents", 0, [pair for found in intents for pair in found.conflicts])),
        _ranking(sources.project, by_intent.train, log, options),
    )


def _ordered(rows: Iterable[Row], project: Project | None) -> list[Row]:
    """The project's rows in its own order, as always: a fit depends on it. Then the log, the oldest first."""
    known = {} if project is None else {(nfc(row.text), row.intent): at for at, row in enumerate(project.nlu.examples)}
    return sorted(rows, key=lambda row: (row.at, known.get((row.text, row.intent), 0), row.id))


def _ranking(
    project: Project | None, rows: Sequence[IntentExample], log: Sequence[Recorded], options: SplitOptions
) -> RankingData | None:
    """What stories and log teach of next actions; of some talks only what a person judged counts, and measures."""
    if project is None:
        return None
    found = ranking_data(project.program, [(row.text, row.intent) for row in rows])
    logged = choices(log, project.program)
    plain = tuple(choice._replace(texts=tuple(natural(text).text for text in choice.texts)) for choice in logged)
    out = {choice.talk for choice in plain if fraction(choice.talk, options.salt) < options.share}
    held = tuple(choice for choice in plain if choice.talk in out and choice.weight >= 1)
    return found and replace(found, logged=tuple(choice for choice in plain if choice.talk not in out), held=held)


def read_log(path: Path) -> list[Recorded]:
    """All events of a log, in order. The bot may be serving meanwhile."""
    return asyncio.run(_tail(path))


async def _tail(path: Path) -> list[Recorded]:
    from bot.store import SqlStore

    events: list[Recorded] = []
    async with SqlStore(path) as store:
        while page := await store.tail(events[-1].position if events else 0, _PAGE):
            events += page
    return events


def _parts(sources: Sources, log: Sequence[Recorded]) -> list[_Part]:
    parts = []
    if sources.project is not None:
        lang = sources.project.settings.languages[0]
        parts.append(_Part("project", *from_project(sources.project.nlu, lang)))
    parts += [_Part(path.name, read_intents(path)) for path in sources.intents]
    parts += [_from_slots(path, bare=not sources.intents) for path in sources.slots]
    if log:
        parts.append(_known(_reviewed(log), sources.project))
        parts.append(_known(_shown(log, sources, parts), sources.project))
    return [_sourced(part) for part in parts]


def _reviewed(log: Sequence[Recorded]) -> _Part:
    """Corrected turns, with made-up values where something was masked."""
    intents, slots = reviewed(log)
    return _Part("reviewed turns", tuple(map(natural_intent, intents)), tuple(map(natural_slots, slots)))


def _shown(log: Sequence[Recorded], sources: Sources, parts: Sequence[_Part]) -> _Part:
    """What people showed in passing, by rules that are believed; what somebody labelled on purpose is left alone."""
    alike = of_vectors(sources.vectors, texts(turns(log))) if sources.vectors is not None else lexical
    known = {row.text.casefold() for part in parts for row in part.intents}
    found = map(natural_intent, examples(read_signals(log, sources.book, alike)))
    return _Part("signals", tuple(row for row in found if row.text.casefold() not in known))


def _sourced(part: _Part) -> _Part:
    """The part with its name as the source of rows that do not name theirs."""
    return _Part(part.name, _named(part.intents, part.name), _named(part.slots, part.name))


def _named(rows: tuple[Labelled, ...], source: str) -> tuple[Labelled, ...]:
    return tuple(row if row.origin.source else replace(row, origin=replace(row.origin, source=source)) for row in rows)


def _known(part: _Part, project: Project | None) -> _Part:
    """The rows whose labels the project still has: reviewers may have used an intent that is gone since."""
    if project is None:
        return part
    names = {*project.program.intents, OOS}
    return _Part(
        part.name,
        tuple(row for row in part.intents if row.intent in names),
        tuple(
            row
            for row in part.slots
            if all(tag[2:].split("#")[0] in project.program.entities for tag in row.tags if tag != OUTSIDE)
        ),
    )


def _from_slots(path: Path, *, bare: bool) -> _Part:
    """Slot rows; they teach their intents too when no file of intents was named."""
    rows = read_slots(path)
    intents = tuple(
        IntentExample(row.text, row.intent, row.lang, row.where, row.origin) for row in rows if bare and row.intent
    )
    return _Part(path.name, intents, rows)


def _notes(name: str, repeated: int, conflicts: Sequence[tuple[Labelled, Labelled]]) -> list[str]:
    notes = [f"{name}: {repeated} rows say what another row says and were left out"] if repeated else []
    for one, other in conflicts[:_SHOWN]:
        notes.append(f"{other.text!r} is {one.intent!r} in {one.where} and {other.intent!r} in {other.where}; keep one")
    if len(conflicts) > _SHOWN:
        notes.append(f"{name}: {len(conflicts) - _SHOWN} more texts have two labels")
    return notes
