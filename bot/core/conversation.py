"""The fold: events in, a frozen `Conversation` out.

`evolve` is total over legal histories and pure; an event that cannot follow raises `IllegalHistory`. A Conversation
holds what `decide` needs and nothing that grows with its length, so a turn costs the same however long the talk is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.errors import IllegalHistory
from bot.core.messages import Choice, Message
from bot.core.track import Said, Track, after, received, settled

Status = Literal["new", "active", "handed_off", "ended", "erased"]
EARLIER = 64
"""How many buttons of earlier turns are still obeyed."""
HISTORY = 12
"""How many of the latest messages are kept at least. Twice as many at most: they go in one piece, since what reads them
again each turn pays only for what is new as long as the beginning stays."""


class Frame(NamedTuple):
    """A flow in progress.

    `last` is the step done last, or to be looked at again when `revisit` is set (its slot has a new value). `step` is
    the collect step that waits for an answer; `slot` is what was asked for last, `attempts` how often in a row.
    """

    flow: str
    last: str | None = None
    revisit: bool = False
    step: str | None = None
    slot: str | None = None
    attempts: int = 0


class Turn(NamedTuple):
    """One user message and what has been made of it so far.

    `answered`: something was said that belongs to no flow step. `left`: a flow ended in this turn. `payloads`: a text
    such as `/intent` is obeyed though no button offered it. `retries`: how often a process ended before the turn did.
    `transcribed`: its sound was listened to; without a `text` nothing could be made out.
    """

    number: int
    key: str
    message: Message
    text: str
    metadata: Mapping[str, JsonValue] = MappingProxyType({})
    understood: ev.Understood | None = None
    predicted: ev.Predicted | None = None
    retrieved: ev.Retrieved | None = None
    generated: ev.Generated | None = None
    failed: ev.Failed | None = None
    action_error: str | None = None
    asked: bool = False
    answered: bool = False
    left: bool = False
    handed_off: bool = False
    apologised: bool = False
    replies: int = 0
    payloads: bool = False
    retries: int = 0
    transcribed: bool = False


class Doubt(NamedTuple):
    """A turn that was answered with "did you mean": what a click on a button will be about."""

    turn: int
    text: str
    entities: tuple[ev.Entity, ...]


class Conversation(NamedTuple):
    """The state of a conversation after `seq` events.

    `waiting` are received messages whose turn has not begun. `offered` are the buttons of the latest turn that had any
    (`offered_in`), `earlier` the payloads of those before, the latest first: only these are obeyed when they come back.
    `history` holds the latest (speaker, text) pairs.
    `misses` counts the turns in a row that found no answer. `last_flow` is the flow completed last. `track` is for bots
    with rules, stories or forms.
    """

    id: str
    seq: int = 0
    turn: int = 0
    at: float = 0.0
    status: Status = "new"
    channel: str = ""
    sender: str = ""
    slots: Mapping[str, JsonValue] = MappingProxyType({})
    stack: tuple[Frame, ...] = ()
    current: Turn | None = None
    waiting: tuple[Turn, ...] = ()
    offered: tuple[Choice, ...] = ()
    offered_in: int = 0
    earlier: tuple[str, ...] = ()
    doubt: Doubt | None = None
    history: tuple[tuple[str, str], ...] = ()
    misses: int = 0
    last_flow: str | None = None
    track: Track = Track()

    @property
    def top(self) -> Frame | None:
        """The flow in progress, if any."""
        return self.stack[-1] if self.stack else None


CLARIFICATION, FAILED = "utter_did_you_mean", "utter_failed"
"""The response whose buttons are labels for the turn it answers; the one that says that something broke."""


def evolve(conversation: Conversation, recorded: ev.Recorded) -> Conversation:
    """The conversation after one more event.

    Raises:
        IllegalHistory: the event cannot follow; names kind, conversation and seq.
    """
    why = _objection(conversation, recorded)
    if why:
        raise IllegalHistory(recorded.event.kind, recorded.conversation, recorded.seq, why)
    at = conversation.at if recorded.event.kind in _ASIDE else recorded.at
    return _apply(conversation, recorded)._replace(seq=recorded.seq, at=at)


def fold(conversation: str, history: Iterable[ev.Recorded]) -> Conversation:
    """The conversation that a whole history leads to."""
    state = Conversation(id=conversation)
    for recorded in history:
        state = evolve(state, recorded)
    return state


# Events are told apart by their kind: a comparison of words, where `isinstance` on a model is a call of Python code for
# every class that it is not.
_ASIDE = frozenset(("delivered", "rated", "consented"))
"""Facts about earlier messages: nobody spoke, so the conversation is as idle as before."""
_OF_A_TURN = frozenset(("transcribed", "understood", "predicted", "retrieved", "generated", "retried", "settled"))


def _objection(state: Conversation, recorded: ev.Recorded) -> str:
    """Why the event cannot follow, or "" when it can."""
    kind = recorded.event.kind
    if recorded.conversation != state.id:
        return f"it was offered to conversation {state.id!r}"
    if kind == "erased" and recorded.seq > state.seq:
        return ""  # what the tombstone replaces can no longer be read
    if recorded.seq != state.seq + 1:
        return f"event {state.seq + 1} was expected next"
    if kind == "started":
        return "" if state.status in ("new", "erased") else "the conversation has started already"
    if state.status in ("new", "erased"):
        return "the conversation has not started"
    return _turn_objection(state, recorded)


def _turn_objection(state: Conversation, recorded: ev.Recorded) -> str:
    event, turn = recorded.event, state.current
    if event.kind == "received":
        return "" if recorded.turn == state.turn + 1 else f"turn {state.turn + 1} was expected, found {recorded.turn}"
    outside = turn is None and event.kind == "predicted" and event.policy != ""  # done by hand, or by another system
    if event.kind in _OF_A_TURN and not outside and (turn is None or turn.number != recorded.turn):
        return f"turn {recorded.turn} is not open"
    if event.kind == "flow_left" or event.kind == "asked":
        return "" if state.top and state.top.flow == event.flow else f"flow {event.flow!r} is not on top of the stack"
    if event.kind == "settled" and event.outcome != "unanswered" and turn is not None and not _answered(turn):
        return "the turn has shown the user nothing"
    if event.kind == "corrected" and not 1 <= event.target <= state.turn:
        return f"turn {event.target} has not happened"
    return ""


def _answered(turn: Turn) -> bool:
    """Whether the user was shown something, or did not speak: an event from outside may pass in silence."""
    return turn.replies > 0 or (turn.understood is not None and turn.understood.source == "external")


def _apply(state: Conversation, recorded: ev.Recorded) -> Conversation:
    event = recorded.event
    match event.kind:
        case "started":
            return state._replace(status="active", channel=event.channel, sender=event.sender)
        case "received":
            return _receive(
                state,
                Turn(
                    recorded.turn, event.key, event.message, event.message.text, event.metadata, payloads=event.payloads
                ),
                recorded.at - state.at,
            )
        case "settled":
            return _settle(state)
        case "handed_off":
            return _in_turn(_done(state._replace(status="handed_off"), event.step), handed_off=True)
        case "resumed":
            return state._replace(status="active")
        case "ended":
            return state._replace(status="ended", stack=(), slots={}, doubt=None, last_flow=None)
        case "erased":
            return Conversation(id=state.id, turn=recorded.turn, status="erased")
        case "flow_entered" | "flow_left" | "slot_set" | "asked" | "action_ran":
            return _in_flow(state, event)
        case _:
            return _of_turn(state, event)


def _of_turn(state: Conversation, event: ev.Event) -> Conversation:
    match event.kind:
        case "transcribed":
            return _in_turn(state, text=event.text, transcribed=True)
        case "understood":
            return _in_turn(state, understood=event)
        case "predicted" if event.policy:
            return _of_script(state, event)
        case "predicted":
            missed = event.action in ("no_answer", "rephrase", "stay")
            return _in_turn(state._replace(misses=state.misses + 1 if missed else 0, doubt=None), predicted=event)
        case "retrieved":
            return _in_turn(state, retrieved=event)
        case "generated":
            return _in_turn(state, generated=event)
        case "failed":
            return _in_turn(state, failed=event)
        case "retried" if state.current is not None:
            return _in_turn(state, retries=state.current.retries + 1)
        case "replied":
            return _reply(state, event)
        case "delivered" | "interrupted" | "rated" | "corrected" | "consented":  # facts for others
            return state
        case _:
            return _of_script(state, event)


def _of_script(state: Conversation, event: ev.Event) -> Conversation:
    track, slots = after(state.track, state.slots, event, _said(state.current))
    return state._replace(track=track, slots=slots)


def _said(turn: Turn | None) -> Said | None:
    """A turn's message as policies see it, the intent left open."""
    if turn is None or turn.understood is None:
        return None
    return Said("", turn.text, turn.understood.entities)


def _in_turn(state: Conversation, **changes: Any) -> Conversation:
    return state if state.current is None else state._replace(current=state.current._replace(**changes))


def _remember(state: Conversation, speaker: str, text: str) -> Conversation:
    history = (*state.history, (speaker, text))
    return state._replace(history=history if len(history) <= 2 * HISTORY else history[-HISTORY:])


def _receive(state: Conversation, turn: Turn, idle: float) -> Conversation:
    status: Status = "active" if state.status == "ended" else state.status
    state = state._replace(turn=turn.number, status=status)
    if state.current is not None:
        return state._replace(waiting=(*state.waiting, turn))
    if state.track.begun:
        state = state._replace(track=received(state.track, state.slots, idle))
    return _remember(state._replace(current=turn), "user", turn.text)


def _settle(state: Conversation) -> Conversation:
    if state.track.begun:
        track = settled(state.track, state.slots)
        state = state._replace(track=received(track, state.slots, 0.0) if state.waiting else track)
    if not state.waiting:
        return state._replace(current=None)
    turn, *rest = state.waiting
    return _remember(state._replace(current=turn, waiting=tuple(rest)), "user", turn.text)


def _reply(state: Conversation, event: ev.Replied) -> Conversation:
    state = _remember(_done(state, event.step), "bot", event.message.text)
    turn = state.current
    if offers := event.message.offers:
        state = _offer(state, offers)
    if turn is None:
        return state
    if event.message.name == CLARIFICATION and turn.understood:
        state = state._replace(doubt=Doubt(turn.number, turn.text, turn.understood.entities))
    apologised = turn.apologised or event.message.name == FAILED
    return _in_turn(
        state, apologised=apologised, replies=turn.replies + 1, answered=turn.answered or event.step is None
    )


def _offer(state: Conversation, offers: tuple[Choice, ...]) -> Conversation:
    if state.offered_in == state.turn:
        return state._replace(offered=state.offered + offers)
    before = (*(choice.payload for choice in state.offered if choice.payload), *state.earlier)
    return state._replace(offered=offers, offered_in=state.turn, earlier=tuple(dict.fromkeys(before))[:EARLIER])


def _done(state: Conversation, step: str | None) -> Conversation:
    """The flow on top has done this step."""
    return state if step is None else _on_top(state, last=step, revisit=False)


def _on_top(state: Conversation, **changes: Any) -> Conversation:
    if not state.stack:
        return state
    return state._replace(stack=(*state.stack[:-1], state.stack[-1]._replace(**changes)))


_FlowEvent = ev.FlowEntered | ev.FlowLeft | ev.SlotSet | ev.Asked | ev.ActionRan


def _in_flow(state: Conversation, event: _FlowEvent) -> Conversation:
    match event.kind:
        case "flow_entered":
            state = _done(state, event.step)
            return state._replace(stack=(*state.stack, Frame(event.flow)))
        case "flow_left":
            last = event.flow if event.reason == "completed" else state.last_flow
            return _in_turn(state._replace(stack=state.stack[:-1], last_flow=last), left=True)
        case "asked":
            state = _on_top(state, step=event.step, slot=event.slot, attempts=event.attempt)
            return _in_turn(state, asked=True)
        case "action_ran":
            state = _of_script(state, event) if state.track.begun else state
            return _in_turn(_done(state, event.step), action_error=event.error)
        case _:
            return _set_slot(state, event)


def _set_slot(state: Conversation, event: ev.SlotSet) -> Conversation:
    state = state._replace(slots={**state.slots, event.name: event.value})
    if state.track.heard:
        state = state._replace(track=state.track._replace(filled=(*state.track.filled, event.name)))
    frame = state.top
    if frame is None or event.source == "reset":
        return state
    if event.source == "correction" and event.step:
        return _on_top(state, last=event.step, revisit=True, step=None)
    if frame.step and frame.slot == event.name and event.value is not None:
        return _on_top(state, last=frame.step, revisit=True, step=None)
    return _done(state, event.step)
