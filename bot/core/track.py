"""What a script (rules, stories, forms) needs to know of a conversation: which action was chosen in which state.

A `State` is what policies look at. The list of them is Rasa's "tracker as states": one for every action chosen, with
the turns taken out in which a form only got its answers, so that a form counts as one action however long it asks.
`begun` is false until the first `SessionStarted`; before that, and in bots without a script, a track costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.findings import Entity
from bot.core.script import LISTEN, REQUESTED

STATES = 60
"""How many of the latest states are kept."""
REVERTS = 3
"""How many user messages can be taken back."""

Slots = Mapping[str, JsonValue]
NO_SLOTS: Slots = MappingProxyType({})


class Said(NamedTuple):
    """The user's message as policies see it; `intent` is a retrieval intent's name before the slash."""

    intent: str
    text: str
    entities: tuple[Entity, ...] = ()


class State(NamedTuple):
    """Where an action was chosen: the action before it (`None` at the beginning), the message, slots, active form.

    `rule` is the rule that chose the next action, "" if it was none.
    """

    action: str | None = None
    said: Said | None = None
    slots: Slots = NO_SLOTS
    loop: str | None = None
    rule: str = ""


class Loop(NamedTuple):
    """The active form. `rejected`: it refused the message; `strayed`: something else was done since it last ran.

    `states` and `said` are those right after it ran last (`ran`); a further answer leads back to them.
    """

    name: str
    rejected: bool = False
    interrupted: bool = False
    strayed: bool = False
    ran: bool = False
    states: tuple[State, ...] = ()
    said: Said | None = None


class Track(NamedTuple):
    """The track of a session.

    `action` was done last. `pending` was chosen and is not done yet, in state `at` and with `running` as active form;
    `ran` are helpers (validation, questions) that have run for it. `filled` are the slots set since the message.
    `idle` is the time in seconds between the last fact and the message. `heard`: slot mappings were applied to the
    message. `fresh`: the session has just begun. `closed`: nothing more is to be done in this turn. `earlier` are
    tracks and slots before the latest messages, for taking them back.
    """

    begun: bool = False
    states: tuple[State, ...] = ()
    action: str | None = None
    said: Said | None = None
    loop: Loop | None = None
    pending: ev.Predicted | None = None
    at: State = State()
    running: Loop | None = None
    followup: str | None = None
    rejected: str | None = None
    paused: bool = False
    closed: bool = False
    heard: bool = False
    fresh: bool = False
    filled: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    idle: float = 0.0
    earlier: tuple[tuple[Track, Slots], ...] = ()


def received(track: Track, slots: Slots, idle: float) -> Track:
    """A message came after `idle` seconds, and its turn begins; whatever was done by hand before, it was waited for."""
    if track.action not in (None, LISTEN):
        track = _push(track, here(track, slots))._replace(action=LISTEN)
    return track._replace(idle=idle, heard=False, closed=False, pending=None, rejected=None)


def settled(track: Track, slots: Slots) -> Track:
    """The turn is over: the bot listens."""
    if not track.begun or not track.heard:
        return track
    if track.action != LISTEN:
        track = _push(track, track.at if track.pending else here(track, slots))
    return track._replace(action=LISTEN, pending=None, closed=False, heard=False)


def after(track: Track, slots: Slots, event: ev.Event, said: Said | None) -> tuple[Track, Slots]:
    """The track and the slots after a fact of a script. `said` is the turn's message as policies see it."""
    match event:
        case ev.SessionStarted():
            return _fresh(track), NO_SLOTS
        case ev.Restarted():
            return _fresh(track)._replace(closed=True), NO_SLOTS
        case ev.SlotsReset():
            return track, NO_SLOTS
        case ev.Reverted():
            return _revert(track, slots, event)
        case ev.Extracted():
            earlier = (*track.earlier, (track._replace(earlier=()), slots))[-REVERTS:]
            said = said._replace(intent=event.intent) if said else None
            fresh = track._replace(
                said=said, heard=True, fresh=False, filled=(), ran=(), followup=None, earlier=earlier
            )
            return fresh, slots
        case ev.Predicted():
            return track._replace(pending=event, at=here(track, slots, event.reason), running=track.loop), slots
        case ev.ActionRan():
            return _ran(track, event), slots
        case _:
            return _of_loop(track, event), slots


def _fresh(track: Track) -> Track:
    """A new session. When one begins in the middle of a turn, the turn is over."""
    begun = Track(begun=True, fresh=True, states=(State(),), action=LISTEN)
    return begun._replace(heard=track.heard, closed=track.heard, said=track.said, ran=track.ran)


def here(track: Track, slots: Slots, rule: str = "") -> State:
    """The state of now; `rule` is the rule that chooses the next action."""
    return State(track.action, track.said, slots, track.loop.name if track.loop else None, rule)


def _push(track: Track, state: State) -> Track:
    return track._replace(states=(*track.states, state)[-STATES:])


def _revert(track: Track, slots: Slots, event: ev.Reverted) -> tuple[Track, Slots]:
    if event.what == "action":
        if not track.states:
            return track, slots
        last = track.states[-1]
        return track._replace(states=track.states[:-1], action=last.action, said=last.said, pending=None), slots
    if not track.earlier:
        return track._replace(closed=True, pending=None), slots
    *earlier, (before, kept) = track.earlier
    return before._replace(earlier=tuple(earlier), closed=True, heard=True, pending=None), kept


def _ran(track: Track, event: ev.ActionRan) -> Track:
    if track.pending is None or track.pending.action != event.action:
        return track._replace(ran=(*track.ran, event.action))
    done = _next(track)._replace(action=event.action, followup=None, rejected=None)
    loop = track.running
    if loop is None or loop.name != event.action:
        return _stray(_push(done, track.at), event.action)
    again = loop.ran and not loop.strayed  # one more answer: as if the form had not been left
    return _mark(done._replace(states=loop.states, said=loop.said) if again else _push(done, track.at))


def _next(track: Track) -> Track:
    """What was pending is over: helpers of the next action run anew, and no slot is asked for by this one."""
    filled = tuple(name for name in track.filled if name != REQUESTED)
    return track._replace(pending=None, ran=(), filled=filled)


def _stray(track: Track, action: str) -> Track:
    """Something was done that may not be the active form."""
    if track.loop is None:
        return track
    if track.loop.name == action:
        return _mark(track)
    return track._replace(loop=track.loop._replace(strayed=True))


def _mark(track: Track) -> Track:
    """The active form has just run."""
    if track.loop is None:
        return track
    return track._replace(loop=Loop(track.loop.name, ran=True, states=track.states, said=track.said))


def _of_loop(track: Track, event: ev.Event) -> Track:
    match event:
        case ev.LoopChanged():
            if track.loop is not None and track.loop.name == event.loop:
                return track
            return track._replace(loop=Loop(event.loop) if event.loop else None)
        case ev.LoopInterrupted() if track.loop is not None:
            return track._replace(loop=track.loop._replace(interrupted=event.interrupted))
        case ev.ActionRejected():
            track = _next(track)._replace(rejected=event.action)
            if track.loop is None or track.loop.name != event.action:
                return track
            return track._replace(loop=track.loop._replace(rejected=True, strayed=True))
        case ev.FollowUp():
            return track._replace(followup=event.action)
        case ev.Paused():
            return track._replace(paused=event.paused)
        case _:  # reminders, foreign facts: for others
            return track
