"""The chain of one turn from the log alone. Pure: facts in, values out.

A turn's own facts are those from its message to its outcome; what others said of it later (ratings, corrections, a
hand-off) belongs to what came of it. Imported turns are read the same way: what the other system did not leave is not
there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.core import events as ev
from bot.core.conversation import Conversation, evolve, fold
from bot.core.filling import pressed
from bot.core.messages import Audio, Choice, Message
from bot.core.program import Program
from bot.core.responses import fill, slot_values
from bot.core.script import REQUESTED
from training.why.told import Book, decision, wording
from training.why.values import (
    Acted,
    Aftermath,
    Answer,
    Decision,
    Heard,
    Judgement,
    Lookup,
    Meaning,
    Moved,
    Passage,
    SlotLine,
)

_SHORT = 300
"""Characters of a passage that are told."""
_LISTENS = "action_listen"
_HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a log. `before` are the facts up to its message, `own` from its message to its outcome."""

    number: int
    history: tuple[ev.Recorded, ...]
    before: tuple[ev.Recorded, ...]
    own: tuple[ev.Recorded, ...]
    later: tuple[ev.Recorded, ...]

    @property
    def facts(self) -> tuple[ev.Event, ...]:
        """The turn's own facts."""
        return tuple(recorded.event for recorded in self.own)

    @property
    def until(self) -> tuple[ev.Recorded, ...]:
        """All facts up to the turn's outcome."""
        return tuple(recorded for recorded in self.history if recorded.seq <= self.own[-1].seq)

    @property
    def received(self) -> ev.Received:
        """The message that began it."""
        return next(event for event in self.facts if isinstance(event, ev.Received))

    @property
    def understood(self) -> ev.Understood | None:
        """What was made of its words."""
        return next((event for event in self.facts if isinstance(event, ev.Understood)), None)

    @property
    def text(self) -> str:
        """The user's words, spoken ones as they were heard."""
        spoken = (event.text for event in self.facts if isinstance(event, ev.Transcribed))
        return next(spoken, self.received.message.text)

    @property
    def imported(self) -> bool:
        """Whether another system answered."""
        ours = any(isinstance(event, ev.Predicted | ev.Failed) for event in self.facts)
        return not ours and not self.received.live


def turns_of(history: Sequence[ev.Recorded]) -> tuple[int, ...]:
    """The turns that a log still has; those before an erasure are gone."""
    return tuple(recorded.turn for recorded in history if isinstance(recorded.event, ev.Received))


def find(history: Sequence[ev.Recorded], number: int) -> Turn | None:
    """The turn with this number."""
    begun = [place for place, item in enumerate(history) if isinstance(item.event, ev.Received) and item.turn == number]
    if not begun:
        return None
    first, facts = begun[0], list(enumerate(history))
    ends = (n for n, item in facts[first:] if isinstance(item.event, ev.Settled) and item.turn == number)
    end = next(ends, len(history) - 1)
    own = tuple(item for item in history[first : end + 1] if item.turn == number)
    before, later = tuple(history[:first]), tuple(history[end + 1 :])
    return Turn(number, tuple(history), before, own, later)


def states(turn: Turn) -> Iterator[tuple[Conversation, ev.Event]]:
    """Each of the turn's own facts with the conversation right before it."""
    own = {recorded.seq for recorded in turn.own}
    state = fold(turn.own[0].conversation, turn.before)
    for recorded in turn.history[len(turn.before) :]:
        if recorded.seq in own:
            yield state, recorded.event
        state = evolve(state, recorded)
        if recorded.seq == turn.own[-1].seq:
            return


# What was said and understood ---------------------------------------------------------------------------------------


def heard(turn: Turn) -> Heard:
    """What the user did."""
    received, found = turn.received, turn.understood
    if found is not None and found.source == "external":
        return Heard(kind="event", text=turn.text, channel=received.channel)
    choice, number = _press(turn)
    if choice is not None:
        return Heard(
            kind="press", text=choice.title, channel=received.channel, pressed=choice.payload, offered_in=number
        )
    voice = any(isinstance(part, Audio) for part in received.message.parts)
    return Heard(kind="voice" if voice else "words", text=turn.text, channel=received.channel)


def _press(turn: Turn) -> tuple[Choice | None, int]:
    """The button that the turn pressed, and the turn that showed it."""
    shown: dict[int, list[Choice]] = {}
    for recorded in turn.before:
        if isinstance(recorded.event, ev.Replied):
            shown.setdefault(recorded.turn, []).extend(recorded.event.message.offers)
    latest = max((number for number, offers in shown.items() if offers), default=0)
    for number in sorted(shown, reverse=True):
        found = pressed(turn.text, shown[number]) if turn.text.strip() else None
        if found is not None and (number == latest or found.payload == turn.text.strip()):
            return found, number
    return None, 0


def meaning(found: ev.Understood) -> Meaning:
    """What was understood."""
    ranked = found.intents
    return Meaning(
        source=found.source,
        bundle=found.bundle,
        language=found.language,
        supported=found.supported,
        candidates=ranked,
        in_scope=found.in_scope,
        threshold=found.threshold,
        accepted=found.accepted,
        margin=ranked[0].score - ranked[1].score if len(ranked) > 1 else None,
        entities=found.entities,
    )


# What was decided and done ------------------------------------------------------------------------------------------


def decisions(turn: Turn, book: Book) -> tuple[Decision, ...]:
    """Every choice of the turn in its order; that the bot listens afterwards goes without saying."""
    found = [event for event in turn.facts if isinstance(event, ev.Predicted)]
    kept = [event for event in found if event.action != _LISTENS] or found
    return tuple(decision(event, turn.understood, book) for event in kept)


def leading(turn: Turn, book: Book) -> str:
    """The choice that led to the first answer, in a sentence; "" when nothing was chosen."""
    told = ""
    for event in turn.facts:
        if isinstance(event, ev.Predicted) and (event.action != _LISTENS or not told):
            told = decision(event, turn.understood, book).said
        elif isinstance(event, ev.Replied) and told:
            break
    return told


def moves(turn: Turn, book: Book) -> tuple[Moved, ...]:
    """What happened to flows and forms."""
    found = turn.understood
    best = found.intents[0].name if found is not None and found.intents else ""
    read = (event.intent for event in turn.facts if isinstance(event, ev.Extracted) and event.intent != best)
    first = tuple(Moved(what=f"for the rules the message is {intent or 'no intent'}") for intent in read)
    return first + tuple(moved for event in turn.facts if (moved := _moved(event, book)) is not None)


def _moved(event: ev.Event, book: Book) -> Moved | None:
    match event:
        case ev.FlowEntered():
            return Moved(what=f"flow {event.flow} entered ({event.reason})", place=book.place("flow", event.flow))
        case ev.FlowLeft():
            return Moved(what=f"flow {event.flow} left ({event.reason})", place=book.place("flow", event.flow))
        case ev.Asked():
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            place = book.place("step", f"{event.flow} {event.step}")
            return Moved(what=f"asked for {event.slot} at step {event.step}{again}", place=place)
        case ev.LoopChanged():
            if event.loop is None:
                return Moved(what="the form ended")
            return Moved(what=f"form {event.loop} active", place=book.place("form", event.loop))
        case ev.SlotSet(name=name) if name == REQUESTED and event.value:
            return Moved(what=f"the form asks for {event.value}")
        case ev.ActionRejected():
            return Moved(what=f"{event.action} refused the message")
        case ev.Generated():
            return Moved(what=wording(event))
        case ev.Failed():
            return Moved(what=f"failed at {event.stage}: {event.code} {event.detail}".rstrip())
        case _:
            return None


def slots(turn: Turn, program: Program | None) -> tuple[SlotLine, ...]:
    """The slots that have a value at the end of the turn or were set in it, and where each value came from."""
    spans: dict[int, tuple[ev.Entity, ...]] = {}
    found: dict[str, SlotLine] = {}
    acting = ""
    for recorded in turn.until:
        event, here = recorded.event, recorded.turn == turn.number
        if isinstance(event, ev.Understood):
            spans[recorded.turn] = event.entities
        elif isinstance(event, ev.ActionRan):
            acting = event.action
        elif isinstance(event, ev.SessionStarted | ev.SlotsReset | ev.Restarted | ev.Ended):
            found.clear()
        elif isinstance(event, ev.SlotSet) and event.name != REQUESTED:
            source = acting if event.source == "action" and acting else _source(event, spans.get(recorded.turn, ()))
            line = SlotLine(name=event.name, value=event.value, source=source, turn=recorded.turn, here=here)
            found[event.name] = _kept(line, found.get(event.name))
    if program is not None:
        for name, value in program.initial_slots.items():
            if value is not None and name not in found:
                found[name] = SlotLine(name=name, value=value, source="its initial value")
    return tuple(line for line in found.values() if line.value is not None or line.here)


def _kept(line: SlotLine, before: SlotLine | None) -> SlotLine:
    """The line, or the one before it if that value counted in this turn and was only emptied afterwards."""
    if line.here and line.value is None and before is not None and before.here and before.value is not None:
        return before.model_copy(update={"source": f"{before.source}; emptied afterwards"})
    return line


def _source(event: ev.SlotSet, spans: Sequence[ev.Entity]) -> str:
    if event.source in ("entity", "correction"):
        by = next((item for item in spans if event.value in (item.value, [item.value])), None)
        words = f" {by.text!r}, found by {by.extractor or 'another system'}" if by is not None else ""
        return f"{'correction' if event.source == 'correction' else 'entity'}{words}"
    told = {
        "text": "the user's whole words",
        "intent": "the intent",
        "payload": "a button",
        "action": "a custom action",
        "flow": "a step of the flow",
        "reset": "emptied" if event.value is None else "carried over",
        "import": "imported",
    }
    return f"{told[event.source]} (step {event.step})" if event.step else told[event.source]


def lookup(turn: Turn) -> Lookup | None:
    """The last search of the turn; a passage was used when an answer names it."""
    found = [event for event in turn.facts if isinstance(event, ev.Retrieved)]
    if not found:
        return None
    event = found[-1]
    named = {source.chunk for answer in _replies(turn) for source in answer.message.sources}
    passages = tuple(
        Passage(
            document=hit.document,
            title=hit.title,
            text=hit.words[:_SHORT],
            score=hit.score,
            used=hit.chunk in named,
            url=hit.url,
        )
        for hit in event.hits
    )
    return Lookup(query=event.query, floor=event.floor, index=event.index, passages=passages)


def actions(turn: Turn, book: Book) -> tuple[Acted, ...]:
    """The custom actions that ran; responses and defaults have no key."""
    return tuple(
        Acted(
            action=event.action,
            key=event.key,
            seconds=event.seconds,
            error=event.error,
            place=book.place("action", event.action),
        )
        for event in turn.facts
        if isinstance(event, ev.ActionRan) and (event.key or event.error)
    )


def worded(turn: Turn, program: Program) -> frozenset[str]:
    """The slots that the wordings of the turn's answers name."""
    found: set[str] = set()
    for state, event in states(turn):
        if isinstance(event, ev.Replied):
            number = _variation(event.message, state, program)
            chosen = program.responses.get(event.message.name or "", ())[number - 1 : number]
            found |= {name for one in chosen for name in _HOLE.findall(one.text or "")}
    return frozenset(found)


def _replies(turn: Turn) -> list[ev.Replied]:
    return [event for event in turn.facts if isinstance(event, ev.Replied)]


def answers(turn: Turn, book: Book) -> tuple[Answer, ...]:
    """What the bot said, with the wording that was chosen."""
    return tuple(_answer(state, event, book) for state, event in states(turn) if isinstance(event, ev.Replied))


def _answer(state: Conversation, event: ev.Replied, book: Book) -> Answer:
    message, name = event.message, event.message.name or ""
    variations = book.program.responses.get(name, ()) if book.program else ()
    return Answer(
        message=message.id,
        text=message.text,
        name=name,
        variation=_variation(message, state, book.program) if book.program else 0,
        variations=len(variations),
        place=book.of_action(name) if name else "",
        sources=tuple(source.title for source in message.sources),
        buttons=tuple(choice.title for choice in message.choices),
    )


def _variation(message: Message, state: Conversation, program: Program) -> int:
    values = slot_values(state, program)
    known = program.responses.get(message.name or "", ())
    return next((n for n, one in enumerate(known, 1) if one.text and fill(one.text, values) == message.text), 0)


# What came of it ----------------------------------------------------------------------------------------------------


def aftermath(turn: Turn) -> Aftermath:
    """Outcome, judgements, hand-off, the user's next words."""
    settled = [event.outcome for event in turn.facts if isinstance(event, ev.Settled)]
    failed = [event for event in turn.facts if isinstance(event, ev.Failed)]
    given = next((item for item in (*turn.own, *turn.later) if isinstance(item.event, ev.HandedOff)), None)
    ended = [item.event.reason or "closed" for item in turn.later if isinstance(item.event, ev.Ended)]
    following = [item.event.message.text for item in turn.later if isinstance(item.event, ev.Received)]
    waiting = [r.event.message.text for r in turn.history if isinstance(r.event, ev.Received) and r.turn > turn.number]
    return Aftermath(
        outcome=settled[-1] if settled else "",
        failed=f"{failed[-1].stage}: {failed[-1].code} {failed[-1].detail}".rstrip() if failed else "",
        handed_off=given.event.reason if given and isinstance(given.event, ev.HandedOff) else "",
        handed_off_turn=given.turn if given else 0,
        ended=ended[0] if ended else "",
        next=(following or waiting or [""])[0],
        judgements=tuple(_judgements(turn)),
    )


def _judgements(turn: Turn) -> Iterator[Judgement]:
    ours = {event.message.id for event in _replies(turn)}
    for recorded in turn.history:
        match recorded.event:
            case ev.Rated(message=message) as event if message in ours:
                yield Judgement(kind="rated", by=event.by, said=event.reason, score=event.score)
            case ev.Corrected(target=target) as event if target == turn.number:
                by = " ".join(filter(None, (event.source, event.by)))
                said = "" if event.usable else "nothing can be learned from it"
                kind = "taken back" if event.withdrawn else "corrected"
                yield Judgement.model_validate(
                    {"kind": kind, "by": by, "said": said, "intent": event.intent, "reply": event.reply}
                )


def corrected_to(turn: Turn) -> tuple[str, ...]:
    """The intents that people said would have been right, the latest first, without those taken back."""
    said: list[tuple[str, str, str]] = []
    for recorded in turn.history:
        event = recorded.event
        if isinstance(event, ev.Corrected) and event.target == turn.number:
            if event.withdrawn:
                said = [one for one in said if one[:2] != (event.source, event.by)]
            elif event.intent:
                said.append((event.source, event.by, event.intent))
    return tuple(dict.fromkeys(intent for *_, intent in reversed(said)))
