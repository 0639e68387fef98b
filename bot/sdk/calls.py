"""What an action server is sent: the action's name, the conversation as a Rasa tracker, the domain.

The keys and their order are those of Rasa 3.6.21. The domain does not change within a program, so its JSON is made
once. An action that validates slots finds the candidates as the last events of the tracker, where rasa-sdk looks for
them: it takes the unbroken run of `slot` events at the end.
"""

from __future__ import annotations

import json
from functools import cached_property

from pydantic import JsonValue

from bot.core.program import Program
from bot.core.protocols import ActionCall
from bot.core.rasa.domain import rasa_domain
from bot.core.rasa.tracker import rasa_tracker

VERSION = "3.6.21"
"""The version of Rasa whose requests these are; servers compare it with their own and warn."""
GLOBAL_VALIDATION = "action_validate_slot_mappings"
FORM_VALIDATION = "validate_"


def validates(action: str) -> bool:
    """Whether the action checks new slot values."""
    return action == GLOBAL_VALIDATION or action.startswith(FORM_VALIDATION)


class Calls:
    """Makes the requests for one program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def domain(self) -> bytes:
        """The domain as JSON."""
        return _json(rasa_domain(self.program))

    async def tracker(self, call: ActionCall) -> dict[str, JsonValue]:
        """The conversation with all its events; new slot values that are to be validated come last."""
        history = await call.history() if call.history else ()
        tracker: dict[str, JsonValue] = dict(rasa_tracker(call.conversation, history, self.program, include="ALL"))
        if validates(call.name):
            events = tracker["events"]
            tracker["events"] = _with_candidates(events if isinstance(events, list) else [], call)
        return tracker

    async def body(self, call: ActionCall, digest: str | None = None, domain: bool = True) -> bytes:
        """A request as JSON; with `digest`, the name under which the server may remember the domain."""
        head = {
            "next_action": call.name,
            "sender_id": call.conversation,
            "tracker": await self.tracker(call),
            "version": VERSION,
            **({"domain_digest": digest} if digest else {}),
        }
        text = _json(head)
        return text[:-1] + b',"domain":' + self.domain + b"}" if domain else text


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _with_candidates(events: list[JsonValue], call: ActionCall) -> list[JsonValue]:
    """The events with the candidates, and no other slots, as the run of slot events at the end."""
    if call.name == GLOBAL_VALIDATION:
        while events and _is_slot(events[-1]):
            events = events[:-1]
    else:
        form = call.name.removeprefix(FORM_VALIDATION)
        events = [*events, {"event": "action", "timestamp": call.now, "name": form}]
    new: list[JsonValue] = [
        {"event": "slot", "timestamp": call.now, "name": name, "value": call.slots.get(name)}
        for name in call.candidates
    ]
    return [*events, *new]


def _is_slot(event: JsonValue) -> bool:
    return isinstance(event, dict) and event.get("event") == "slot"
