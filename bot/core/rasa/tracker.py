"""Rasa's tracker: what its events add up to, by Rasa's own rules.

The state is made from the wire events and from nothing else, so that what a tool sees agrees with what it could work
out itself. Events that undo others make the state anew from those that still count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from bot.core.events import Recorded
from bot.core.program import Program
from bot.core.rasa.events import rasa_events
from bot.core.rasa.parse import Wire
from bot.core.script import LISTEN, REQUESTED

__all__ = ["SESSION_METADATA", "Include", "all_slots", "applied", "rasa_events", "rasa_tracker", "tracker_of"]

Include = Literal["NONE", "APPLIED", "AFTER_RESTART", "ALL"]
SESSION_METADATA = "session_started_metadata"
"""The slot that holds the metadata of a session's first message."""


def rasa_tracker(
    sender: str, history: Iterable[Recorded], program: Program, include: Include = "AFTER_RESTART", model: str = ""
) -> Wire:
    """The tracker of a history. `model` as in `rasa_events`."""
    return tracker_of(sender, rasa_events(history, program, model), program, include)


def tracker_of(sender: str, events: Sequence[Wire], program: Program, include: Include = "AFTER_RESTART") -> Wire:
    """The tracker that Rasa's events make; `include` tells which of them it shows."""
    state = _State(all_slots(program))
    for number, event in enumerate(events, start=1):
        if event["event"] in ("rewind", "undo"):
            state.reset()
            for kept in applied(events[:number]):
                state.apply(kept)
        else:
            state.apply(event)
    users = [event for event in events if event["event"] == "user"]
    return {
        "sender_id": sender,
        "slots": state.slots,
        "latest_message": state.message,
        "latest_event_time": events[-1]["timestamp"] if events else None,
        "followup_action": state.followup,
        "paused": state.paused,
        "events": _shown(events, include),
        "latest_input_channel": users[-1].get("input_channel") if users else None,
        "active_loop": state.loop,
        "latest_action": state.action,
        "latest_action_name": state.action.get("action_name") or state.action.get("action_text"),
    }


def all_slots(program: Program) -> Wire:
    """Every slot with its initial value, those that Rasa adds by itself included."""
    own: Wire = dict(program.initial_slots)
    if program.script is not None:
        own.setdefault(SESSION_METADATA, None)
        if program.script.forms:
            own.setdefault(REQUESTED, None)
    return own


class _State:
    """What Rasa keeps of a conversation besides its events."""

    def __init__(self, initial: Wire) -> None:
        self._initial = initial
        self.reset()

    def reset(self) -> None:
        self.slots: Wire = dict(self._initial)
        self.message: Wire = {"intent": {}, "entities": [], "text": None, "message_id": None, "metadata": {}}
        self.action: Wire = {}
        self.loop: Wire = {}
        self.followup: str | None = LISTEN
        self.paused = False

    def apply(self, event: Wire) -> None:
        match event["event"]:
            case "user":
                self.message = {**self.message_of(event)}
                self.followup = None
            case "action":
                self._act(event)
            case "slot":
                self.slots[event["name"]] = event.get("value")
            case "reset_slots":
                self.slots = dict(self._initial)
            case "session_started":
                self.reset()
            case "restart":
                self.reset()
                self.followup = "action_session_start"
            case "entities":
                found = event.get("entities") or []
                self.message["entities"] += [entity for entity in found if entity not in self.message["entities"]]
            case _:
                self._control(event)

    def message_of(self, event: Wire) -> Wire:
        parsed = {**event.get("parse_data", {})}
        return {**parsed, "entities": list(parsed.get("entities", ()))}

    def _act(self, event: Wire) -> None:
        name = event.get("name")
        self.action = {"action_name": name} if name else {"action_text": event.get("action_text")}
        self.followup = None
        if self.loop:
            self.loop = {**self.loop, "is_interrupted": False}
            if name == self.loop["name"]:
                self.loop = {**self.loop, "rejected": False}

    def _control(self, event: Wire) -> None:
        match event["event"]:
            case "active_loop":
                name = event.get("name")
                fresh: Wire = {"name": name, "is_interrupted": False, "rejected": False}
                self.loop = {**fresh, "trigger_message": self.message} if name else {}
            case "loop_interrupted" if self.loop:
                self.loop = {**self.loop, "is_interrupted": bool(event.get("is_interrupted"))}
            case "action_execution_rejected" if self.loop and self.loop["name"] == event.get("name"):
                self.loop = {**self.loop, "rejected": True}
            case "followup":
                self.followup = event.get("name")
            case "pause" | "resume":
                self.paused = event["event"] == "pause"
            case _:  # what was said, and facts for others
                pass


def _shown(events: Sequence[Wire], include: Include) -> list[Wire] | None:
    if include == "NONE":
        return None
    if include == "APPLIED":
        return applied(events)
    if include == "ALL":
        return list(events)
    last = max((place for place, event in enumerate(events, start=1) if event["event"] == "restart"), default=0)
    return list(events[last:])


def applied(events: Iterable[Wire]) -> list[Wire]:
    """The events that still count: what was undone is left out, and a form that ran many times ran once."""
    events = list(events)
    loops = {event.get("name") for event in events if event["event"] == "active_loop" and event.get("name")}
    kept: list[Wire] = []
    for event in events:
        match event["event"]:
            case "restart" | "session_started":
                kept = []
            case "undo":
                _undo(kept, "action")
            case "rewind":
                _undo(kept, "user")
                _undo(kept, "action")
            case "action" if event.get("name") in loops and _ran_before(event["name"], kept):
                _leave_out(event["name"], kept)
            case _:
                kept.append(event)
    return kept


def _undo(kept: list[Wire], kind: str) -> None:
    """Take back everything from the last event of this kind on."""
    while kept and kept.pop()["event"] != kind:
        pass


def _ran_before(loop: str, kept: Sequence[Wire]) -> bool:
    """Whether the form ran already and only got an answer since."""
    later: Any = None
    for event in reversed(kept):
        kind, name = event["event"], event.get("name")
        if kind == "active_loop" and name is None:
            return False
        if kind == "action_execution_rejected" and name == loop:
            return False
        if kind == "user" and later is not None and later != loop:
            return False
        if kind == "action":
            if name == loop:
                return True
            later = name
    return False


def _leave_out(loop: str, kept: list[Wire]) -> None:
    """Leave out what was said and done since the form ran last; slots and the like stay."""
    runs = [place for place, event in enumerate(kept) if event["event"] == "action" and event.get("name") == loop]
    since = runs[-1] + 1
    kept[since:] = [event for event in kept[since:] if event["event"] not in ("action", "user", "user_featurization")]
