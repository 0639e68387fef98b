"""From a log to the rows of a snapshot: labelled turns, masked, each on its side.

Conversations of people who do not want to be learned from are left out, the others are masked before anything else
sees them. What people say about a turn on purpose counts first; what rules read from the conversation teaches where it
is sure enough, and never measures. Rows of the project come along, so that a snapshot is everything that a bundle is
made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.defaults import OUT_OF_SCOPE
from bot.core.events import Received, Recorded
from training.clusters import Vectors, clusters
from training.consent import cleared
from training.data import from_project, nfc, reviewed
from training.examples import OOS, OUTSIDE, SlotExample
from training.labels import ENOUGH, Label, RuleBook, Signals, read_signals
from training.lesson import Leakage, stamp
from training.privacy import PLACEHOLDER
from training.replay import SOURCE
from training.review import usable
from training.rows import Mark, Row, authored, row_id
from training.settling import settled
from training.sides import Place, SplitOptions, newest, pseudonym, sides
from training.signals.signs import accepted
from training.signals.similarity import lexical, of_vectors
from training.signals.turns import LoggedTurn
from training.split import key

if TYPE_CHECKING:
    from bot.project import Project

LOG = "log"
"""The source of rows of the log."""
PROJECT = "project"
_DOUBT = 0.99
"""What no person said weighs less than what a person said."""
ENTITIES = "entities corrected"
"""The rule of rows of which only the entities were judged, by a person."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a harvest needs besides the log. `taught` are ids of rows that the bundle in use was trained on, and
    `not_before` the time before which rows may not go into the time hold-out. `replay` are rows of conversations that
    are gone; they only teach. `now` is in seconds since 1970 (None: as the clock says)."""

    project: Project
    book: RuleBook
    vectors: Vectors | None = None
    split: SplitOptions = field(default_factory=SplitOptions)
    taught: AbstractSet[str] = frozenset()
    not_before: float = 0.0
    replay: Sequence[Row] = ()
    now: float | None = None


@dataclass(frozen=True, slots=True)
class Harvest:
    """Rows on their sides, the signals they come from, what was masked by kind, and what could flatter figures.

    `refused` conversations are of people who do not want to be learned from.
    """

    rows: tuple[Row, ...]
    signals: Signals
    masked: dict[str, int]
    leakage: Leakage
    since: float | None
    refused: int

    @property
    def logged(self) -> tuple[Row, ...]:
        """The rows of the log."""
        return tuple(row for row in self.rows if row.source == LOG)

    @property
    def replayed(self) -> int:
        """How many rows are of conversations that are gone."""
        return sum(row.source == SOURCE for row in self.rows)


def harvest(history: Sequence[Recorded], ground: Ground) -> Harvest:
    """Everything there is to learn from a log and its project; the same input gives the same rows."""
    clean = cleared(history, ground.project.settings, ground.now)
    kept = {recorded.conversation for recorded in clean}
    alike = lexical if ground.vectors is None else of_vectors(ground.vectors, _texts(clean))
    signals = read_signals(clean, ground.book, alike)
    lang = ground.project.settings.languages[0]
    rows = [*authored(*from_project(ground.project.nlu, lang), PROJECT), *_logged(signals, clean, ground.project)]
    again = _known(ground.replay, ground.project)
    rows += again
    taught = ground.taught | {row.id for row in again}
    names = clusters([row.text for row in rows], ground.vectors)
    places = [_place(row, name, taught) for row, name in zip(rows, names, strict=True)]
    since = newest(places)
    since = None if since is None else max(since, ground.not_before)
    found = sides(places, ground.split, since)
    done = [row.model_copy(update={"side": s.side, "why": s.why}) for row, s in zip(rows, found, strict=True)]
    if ground.vectors is not None:
        done = settled(done, signals, ground.vectors, alike)
    said = [number for number, row in enumerate(done) if row.intent or row.tags is not None]
    done, names = [done[number] for number in said], [names[number] for number in said]
    refused = len({recorded.conversation for recorded in history} - kept)
    return Harvest(tuple(done), signals, _masked(done), leakage(done, names, since), since, refused)


def by_conversation(history: Iterable[Recorded]) -> dict[str, list[Recorded]]:
    """The facts of each conversation."""
    talks: dict[str, list[Recorded]] = {}
    for recorded in history:
        talks.setdefault(recorded.conversation, []).append(recorded)
    return talks


def _masked(rows: Iterable[Row]) -> dict[str, int]:
    """How many values of each kind were masked in the rows."""
    kinds = Counter(kind for row in rows for kind, _ in set(PLACEHOLDER.findall(row.text)) if row.source == LOG)
    return dict(sorted(kinds.items()))


def leakage(rows: Sequence[Row], names: Sequence[str], since: float | None) -> Leakage:
    """Counted on the rows as they are, not taken from the rules that put them there."""
    teach = [number for number, row in enumerate(rows) if row.side == "train"]
    measure = [number for number, row in enumerate(rows) if row.side in ("test", "time")]

    def shared(read: Callable[[int], str]) -> int:
        known = {read(number) for number in teach}
        return sum(bool(read(number)) and read(number) in known for number in measure)

    return Leakage(
        same_words=shared(lambda number: key(rows[number].text)),
        near_duplicates=shared(lambda number: names[number]),
        conversations=shared(lambda number: rows[number].conversation),
        customers=shared(lambda number: rows[number].user),
        dropped=dict(sorted(Counter(row.why for row in rows if row.side == "out").items())),
        unreviewed=sum(not rows[number].human for number in measure),
        since="" if since is None else stamp(since)[:10],
    )


def _texts(history: Iterable[Recorded]) -> list[str]:
    return [recorded.event.message.text for recorded in history if isinstance(recorded.event, Received)]


def _place(row: Row, cluster: str, taught: AbstractSet[str]) -> Place:
    return Place(
        anchor=row.user or key(row.text),
        cluster=cluster,
        label=row.intent,
        author=not row.conversation,
        human=row.human,
        taught=row.id in taught,
        at=row.at,
    )


def _logged(signals: Signals, history: Sequence[Recorded], project: Project) -> list[Row]:
    """A row for each turn that something is known of, or that the bot made something of; the latter without an intent.

    Names that the project no longer has are left out.
    """
    intents, entities = {*project.program.intents, OOS}, set(project.program.entities)
    outside = OUT_OF_SCOPE if OUT_OF_SCOPE in intents else OOS
    labels = _best(signals.labels)
    spans = {row.where: row for row in reviewed(history)[1] if _has(row, entities)}
    rows = []
    for turn in signals.turns:
        label = labels.get((turn.conversation, turn.turn))
        intent = "" if label is None else outside if label.task == "scope" else label.value
        if intent not in intents:
            label, intent = None, ""
        marked = spans.get(f"{turn.conversation}, turn {turn.turn}")
        if turn.said and (label is not None or marked is not None or _read(turn)):
            rows.append(_row(turn, intent, label, marked))
    return rows


def _read(turn: LoggedTurn) -> bool:
    """Whether the bot took the turn for something that it knows, or asked which of two it was."""
    return usable(turn) and (accepted(turn) or turn.clarified)


def _known(rows: Iterable[Row], project: Project) -> list[Row]:
    """The rows whose labels the project still has."""
    intents, entities = {*project.program.intents, OOS, ""}, set(project.program.entities)
    return [row for row in rows if row.intent in intents and (row.tags is None or _has(row.slot_example(), entities))]


def _best(labels: Iterable[Label]) -> dict[tuple[str, int], Label]:
    """The label of each turn, of its intent or of its being out of scope: the surest one that is sure enough."""
    found: dict[tuple[str, int], Label] = {}
    for label in labels:
        if label.task not in ("intent", "scope") or label.confidence < ENOUGH:
            continue
        place = label.conversation, label.turn
        before = found.get(place)
        if before is None or (label.human, label.confidence) > (before.human, before.confidence):
            found[place] = label
    return found


def _has(row: SlotExample, entities: AbstractSet[str]) -> bool:
    return all(tag[2:].split("#")[0] in entities for tag in row.tags if tag != OUTSIDE)


def _row(turn: LoggedTurn, intent: str, label: Label | None, marked: SlotExample | None) -> Row:
    if label is None:
        marks: tuple[Mark, ...] = (Mark(rule=ENTITIES, events=turn.evidence()),) if marked is not None else ()
    else:
        marks = tuple(
            Mark(rule=vote.rule, version=vote.version, events=vote.events, confidence=round(vote.confidence, 4))
            for vote in label.behind
        )
    return Row(
        id=row_id(LOG, turn.conversation, turn.turn),
        text=nfc(turn.text),
        intent=intent,
        tags=None if marked is None else marked.tags,
        offsets=() if marked is None else marked.offsets,
        lang=turn.language or "en",
        source=LOG,
        where=f"{turn.conversation}, turn {turn.turn}",
        conversation=turn.conversation,
        turn=turn.turn,
        user=pseudonym(turn.user or turn.conversation),
        at=turn.at,
        channel=turn.channel,
        marks=marks,
        human=marked is not None if label is None else label.human,
        weight=1.0 if label is None or label.human else min(round(label.confidence, 4), _DOUBT),
    )
