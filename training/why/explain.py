"""The chain of one answer, joined: the log says what happened, project and bundle say why, `decide` says what else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.core import events as ev
from bot.core.errors import NotFound
from bot.core.program import Program
from training.why import chain
from training.why.flips import Added, Trials, flips, wishes
from training.why.nearest import Lesson, nearest
from training.why.rehearsal import NOBODY, Change, Outside, Scene, play, scene
from training.why.told import Book
from training.why.values import Attribution, Flip, Lessons, SlotLine, Why
from training.why.words import attribute

if TYPE_CHECKING:
    from training.why.model import Model

_DRIFT = 0.02
"""How far a score may be from the logged one before that is told."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is besides the log; None is not there, and `missing` says why.

    `places` are those of the project, `model` and `lesson` are of the bundle that understood the turn,
    `trained_program` is the id of the program that it was trained for.
    """

    program: Program | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    model: Model | None = None
    lesson: Lesson | None = None
    outside: Outside = NOBODY
    trained_program: str = ""
    missing: tuple[str, ...] = ()


def turn_of(conversation: str, history: Sequence[ev.Recorded], number: int) -> chain.Turn:
    """The turn.

    Raises:
        NotFound: the log has no such turn; names those that it has.
    """
    found = chain.find(history, number)
    if found is None:
        known = chain.turns_of(history)
        near = sorted(sorted(known, key=lambda other: abs(other - number))[:3])
        erased = any(isinstance(recorded.event, ev.Erased) for recorded in history)
        gone = "; what came before was erased" if erased else ""
        hint = f"nearest: {', '.join(map(str, near))}" if near else "nobody said anything in it"
        raise NotFound(f"conversation {conversation!r} has no turn {number}: it has {len(known)} turns{gone} ({hint})")
    return found


def explain(turn: chain.Turn, sources: Sources) -> Why:
    """The causal chain of the answer in a turn."""
    book = Book(sources.program, sources.places)
    found = turn.understood
    spoken = found is not None and found.source == "model" and not turn.imported
    words = _words(turn, sources) if spoken else None
    lessons = _lessons(turn, sources) if spoken else None
    staged = scene(turn, sources.program, sources.outside) if sources.program is not None else None
    tried = flips(staged, _trials(turn, sources, words, lessons)) if staged is not None else ()
    today = play(staged, Change()).does if staged is not None else ()
    did = staged.logged if staged is not None else _said(turn)
    decisions = chain.decisions(turn, book)
    after = chain.aftermath(turn)
    return Why(
        conversation=turn.own[0].conversation,
        turn=turn.number,
        at=turn.own[0].at,
        user=turn.text,
        headline=_headline(turn, chain.leading(turn, book)),
        heard=chain.heard(turn),
        understood=chain.meaning(found) if found is not None else None,
        words=words,
        lessons=lessons,
        decisions=decisions,
        moves=chain.moves(turn, book),
        slots=_slots(turn, sources.program, tried),
        lookup=chain.lookup(turn),
        actions=chain.actions(turn, book),
        answers=chain.answers(turn, book),
        after=after,
        did=did,
        today=today if today != did else (),
        flips=tried,
        unknown=tuple(_unknown(turn, sources, staged, lessons)),
    )


def _said(turn: chain.Turn) -> tuple[str, ...]:
    replies = [event.message for event in turn.facts if isinstance(event, ev.Replied)]
    return tuple(f"says {message.name or repr(message.text)}" for message in replies)


def _headline(turn: chain.Turn, leading: str) -> str:
    failed = next((event for event in turn.facts if isinstance(event, ev.Failed)), None)
    broken = next((event for event in turn.facts if isinstance(event, ev.ActionRan) and event.error), None)
    if failed is not None:
        return f"The turn failed at {failed.stage} ({failed.code}), and the user was told so."
    if broken is not None:
        return f"The action {broken.action} failed ({broken.error}). Before that: {leading or 'nothing was decided'}."
    if turn.imported:
        best = turn.understood.intents[0].name if turn.understood and turn.understood.intents else ""
        took = f", and took the message for {best}" if best else ""
        return f"Another system answered{took}; it left no reason."
    return f"{leading}." if leading else "Nothing was decided in this turn yet."


# Words and examples -------------------------------------------------------------------------------------------------


def _words(turn: chain.Turn, sources: Sources) -> Attribution | None:
    found = turn.understood
    if sources.model is None or found is None or not found.intents:
        return None
    return attribute(found.text, sources.model, rejected=not found.accepted)


def _lessons(turn: chain.Turn, sources: Sources) -> Lessons | None:
    found = turn.understood
    if sources.model is None or sources.lesson is None or found is None or not found.text.strip():
        return None
    considered = [item.name for item in found.intents[:3]]
    return nearest(found.text, considered, sources.lesson, sources.model.encoder)


def _trials(turn: chain.Turn, sources: Sources, words: Attribution | None, lessons: Lessons | None) -> Trials:
    """What to try: intents that people, candidates and similar examples name, and the text with fewer words."""
    found, model = turn.understood, sources.model
    assert found is not None
    near = tuple(dict.fromkeys(item.intent for item in lessons.nearest)) if lessons else ()
    trials = Trials(corrected=chain.corrected_to(turn), near=near)
    if model is None or found.source != "model" or turn.imported:
        return trials
    taught = []
    for name in wishes(found, trials):
        learned = model.taught(found.text, name, found)
        if learned is not None:
            taught.append(Added(name, learned, _how_to_teach(found.text, name, sources, lessons)))
    removal = words.turning if words else None
    removed = model.understand(removal.text, found) if removal else None
    return replace(trials, taught=tuple(taught), removal=removal, removed=removed)


def _how_to_teach(text: str, intent: str, sources: Sources, lessons: Lessons | None) -> str:
    rows = sources.lesson.rows if sources.lesson is not None else ()
    place = next((row.where for row in rows if row.intent == intent and not row.conversation and row.where), "")
    file = place.rpartition(":")[0] or sources.places.get(f"intent {intent}", "").rpartition(":")[0] or "data/nlu.yml"
    known = lessons.known if lessons else None
    if known is not None and known.intent != intent:
        return f"move {known.text!r} from {known.intent} ({known.where}) to {intent} ({file}), then: bot train"
    return f"write `- {' '.join(text.split())}` below {intent} in {file}, then: bot train"


# What counted, what is not known ------------------------------------------------------------------------------------


def _slots(turn: chain.Turn, program: Program | None, tried: Sequence[Flip]) -> tuple[SlotLine, ...]:
    """The slots, those that counted first; one that is empty counts too."""
    counted = dict.fromkeys(flip.change.split(" = ")[0] for flip in tried if flip.kind == "slot")
    worded = chain.worded(turn, program) if program is not None else frozenset()
    lines = chain.slots(turn, program)
    marks = [{"counted": line.name in counted, "worded": line.name in worded} for line in lines]
    marked = [line.model_copy(update=mark) for line, mark in zip(lines, marks, strict=True)]
    known = {line.name for line in lines}
    empty = [SlotLine(name=name, value=None, source="not set", counted=True) for name in counted if name not in known]
    order = sorted([*marked, *empty], key=lambda line: (not line.counted, not line.worded, not line.here, line.name))
    return tuple(order)


def _unknown(turn: chain.Turn, sources: Sources, staged: Scene | None, lessons: Lessons | None) -> list[str]:
    notes = list(sources.missing)
    found = turn.understood
    if turn.imported:
        notes.insert(0, "another system answered this turn: its scores, candidates and reasons are not in the log")
    elif found is None:
        notes.append("nothing was understood, so there is no decision to try again")
    elif found.source != "model":
        notes.append("no words were classified: the message was a button or came from outside")
    elif sources.model is not None:
        notes += _drifted(found, sources.model)
    if lessons is not None and not lessons.same:
        notes.append("today's examples are not those of the bundle (another digest): the nearest are of today")
    if staged is not None and sources.program is not None and sources.trained_program not in ("", sources.program.id):
        notes.append("the project was changed since the bundle was trained: rules and flows are those of today")
    return notes


def _drifted(found: ev.Understood, model: Model) -> list[str]:
    """The bundle says the same today as then; where not, something outside it has changed."""
    now = model.understand(found.text, found)
    same = [item.name for item in now.intents[:1]] == [item.name for item in found.intents[:1]]
    if same and abs(now.in_scope - found.in_scope) < _DRIFT:
        return []
    best = now.intents[0] if now.intents else None
    said = f"{best.name} {best.score:.2f}, in scope {now.in_scope:.2f}" if best else "nothing"
    return [f"the bundle does not say today what it said then, but: {said}; was the encoder or the program changed?"]
