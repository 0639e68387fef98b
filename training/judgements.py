"""What a person says about a turn, as a fact; what all of them said, turn by turn; and how far they agree.

A judgement is a `Corrected` fact of source "reviewer", a confirmation too: it names the intent that was right. Taking
it back is a fact of its own. Nothing is ever changed in the log.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import ConfigDict, Field, JsonValue

from bot.core.errors import Conflict, InputError, NotFound
from bot.core.events import Corrected, Entity, Erased, Event, Recorded
from bot.core.messages import Value
from bot.core.protocols import EventStore

Place = tuple[str, int]
"""A conversation and the number of a turn in it."""
Verdict = Literal["accept", "relabel", "reject", "undo"]
UNUSABLE = ""
"""Stands for "not usable" where judgements are compared."""
_TRIES = 5
_PAGE = 5000


class Log(Protocol):
    """A store that can be read from one end to the other."""

    async def tail(self, after_position: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Facts of all conversations with a position above this, in order."""
        ...


class Decision(Value):
    """What a person decided about a turn.

    "accept": what the bot understood was right. "relabel": `intent` was. "reject": nothing can be learned from it.
    "undo": take back what this person decided before. `entities` are the right ones, None where they were not judged;
    `hidden` are places (start, end) in the text that nothing may learn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation: str = Field(min_length=1, max_length=512)
    turn: int = Field(ge=1)
    verdict: Verdict
    intent: str | None = Field(default=None, max_length=200)
    entities: tuple[Entity, ...] | None = None
    hidden: tuple[tuple[int, int], ...] = ()

    @property
    def place(self) -> Place:
        """Conversation and turn."""
        return self.conversation, self.turn


def fact(decision: Decision, text: str, by: str, metadata: Mapping[str, JsonValue]) -> Corrected:
    """The decision as a fact. An "accept" must name in `intent` what it accepts.

    Raises:
        InputError: it names no intent, or a place that is not in the text.
    """
    if decision.verdict in ("accept", "relabel") and not decision.intent:
        raise InputError(f"turn {decision.turn} of {decision.conversation!r}: expected the intent that is right")
    spans = [*decision.hidden, *((entity.start, entity.end) for entity in decision.entities or ())]
    if any(not 0 <= start < end <= len(text) for start, end in spans):
        raise InputError(f"turn {decision.turn} of {decision.conversation!r}: a span is not within its text")
    undo = decision.verdict == "undo"
    return Corrected(
        target=decision.turn,
        intent=decision.intent if decision.verdict in ("accept", "relabel") else None,
        entities=None if undo else decision.entities,
        audit=not undo and metadata.get("reason") == "audit",
        by=by,
        usable=decision.verdict != "reject",
        hidden=() if undo else decision.hidden,
        withdrawn=undo,
        metadata=dict(metadata),
    )


async def note(store: EventStore, conversation: str, event: Event, clock: Callable[[], float] = time.time) -> Recorded:
    """Append a fact to a conversation; others may be writing to it at the same time.

    Raises:
        NotFound: there is no such conversation, or it was erased.
        Conflict: others wrote again and again.
    """
    after, last = 0, None
    for _ in range(_TRIES):
        page = await store.read(conversation, after)
        last = page[-1] if page else last
        if last is None or isinstance(last.event, Erased):
            raise NotFound(f"there is no conversation {conversation!r}")
        after = last.seq
        fresh = Recorded(conversation=conversation, seq=last.seq + 1, turn=last.turn, at=clock(), event=event)
        try:
            return (await store.append(conversation, last.seq, [fresh]))[0]
        except Conflict:
            continue
    raise Conflict(f"conversation {conversation!r} is being written to; try again in a moment")


async def whole_log(store: Log) -> list[Recorded]:
    """All facts of the log, in order."""
    history: list[Recorded] = []
    while page := await store.tail(history[-1].position if history else 0, _PAGE):
        history += page
    return history


@dataclass
class Judged:
    """What people said about one turn and did not take back, by person; the latest last."""

    by: dict[str, Corrected] = field(default_factory=dict)
    at: float = 0.0

    @property
    def label(self) -> str:
        """The last word: an intent, or `UNUSABLE`."""
        return label_of(list(self.by.values())[-1])


def label_of(event: Corrected) -> str:
    """What a judgement comes to: an intent, or `UNUSABLE`."""
    return event.intent or UNUSABLE if event.usable else UNUSABLE


def judged(history: Iterable[Recorded]) -> dict[Place, Judged]:
    """All turns that people judged on purpose. Clicks of users are none; nor is a word about entities alone."""
    found: dict[Place, Judged] = defaultdict(Judged)
    for recorded in history:
        event = recorded.event
        if not isinstance(event, Corrected) or event.source == "click":
            continue
        turn, person = found[recorded.conversation, event.target], event.by or event.source
        said = turn.by.pop(person, None)
        if not event.withdrawn and (event.intent is not None or not event.usable):
            turn.by[person], turn.at = event, recorded.at
        elif not event.withdrawn and said is not None:
            turn.by[person] = said
    return {place: turn for place, turn in found.items() if turn.by}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far people agree: Krippendorff's alpha (1 = always, 0 = as by chance), over turns judged by two or more.

    `labels` holds, for each label that was used there, alpha of "this label or another" and how often it was used.
    `disputed` are the turns that people disagree about, with what each said. `alpha` is None without such turns.
    """

    turns: int
    alpha: float | None
    labels: Mapping[str, tuple[float | None, int]]
    disputed: tuple[tuple[Place, Mapping[str, str]], ...]


def agreement(found: Mapping[Place, Judged]) -> Agreement:
    """Among reviewers, on turns that at least two of them judged."""
    units = {}
    for place, turn in found.items():
        said = {person: label_of(event) for person, event in turn.by.items() if event.source == "reviewer"}
        if len(said) > 1:
            units[place] = said
    answers = [list(said.values()) for said in units.values()]
    used = Counter(label for given in answers for label in given)
    labels = {
        label: (alpha([[one == label for one in given] for given in answers]), count)
        for label, count in sorted(used.items(), key=lambda item: (-item[1], item[0]))
    }
    disputed = tuple((place, said) for place, said in units.items() if len(set(said.values())) > 1)
    return Agreement(len(units), alpha(answers), labels, disputed)


def alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha for nominal values (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    `units` are the values that each unit got; units with one value do not count. None without any that do, 1 where
    only one value was ever used.
    """
    paired = [Counter(unit) for unit in units if len(unit) > 1]
    totals: Counter[Hashable] = sum(paired, Counter())
    n = totals.total()
    if not n:
        return None
    observed = sum(
        sum(count * (unit.total() - count) for count in unit.values()) / (unit.total() - 1) for unit in paired
    )
    expected = sum(count * (n - count) for count in totals.values()) / (n - 1)
    return 1.0 if expected == 0 else 1 - observed / expected


@dataclass(frozen=True, slots=True)
class Anchoring:
    """How often the model's first guess was taken, where it stood first and where the order was random: (taken, of)."""

    ranked: tuple[int, int]
    shuffled: tuple[int, int]


def anchoring(found: Mapping[Place, Judged]) -> Anchoring:
    """Whether people take a guess because it stands first. Only judgements that tell what was shown count."""
    counts = {False: [0, 0], True: [0, 0]}
    for turn in found.values():
        for event in turn.by.values():
            best = event.metadata.get("best")
            if best and event.usable and not event.metadata.get("kept"):
                pair = counts[bool(event.metadata.get("shuffled"))]
                pair[0] += event.intent == best
                pair[1] += 1
    return Anchoring((counts[False][0], counts[False][1]), (counts[True][0], counts[True][1]))
