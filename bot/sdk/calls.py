"""What an action server is sent: the action's name, the conversation as a Rasa tracker, the domain.

The keys and their order are those of Rasa 3.6.21. The domain does not change within a program, so its JSON is made
once. An action that validates slots finds the candidates as the last events of the tracker, where rasa-sdk looks for
them: it takes the unbroken run of `slot` events at the end.
"""

from __future__ import annotations

from functools import cached_property, partial
from urllib.parse import quote

from bot.core.program import Program
from bot.core.protocols import ActionCall
from bot.core.rasa.domain import rasa_domain
from bot.sdk.telling import Teller, Tracker, Wire, as_json

VERSION = "3.6.21"
"""The version of Rasa whose requests these are; servers compare it with their own and warn."""
GLOBAL_VALIDATION = "action_validate_slot_mappings"
FORM_VALIDATION = "validate_"


def validates(action: str) -> bool:
    """Whether the action checks new slot values."""
    return action == GLOBAL_VALIDATION or action.startswith(FORM_VALIDATION)


def sent_key(call: ActionCall) -> str:
    """The key as a header may hold it: a conversation's id may be any text."""
    return quote(call.key, safe="/:.@")


class Calls:
    """Makes the requests for one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._teller = Teller(program)

    @cached_property
    def domain(self) -> bytes:
        """The domain as JSON."""
        return as_json(rasa_domain(self.program))

    async def body(self, call: ActionCall, digest: str | None = None, domain: bool = True) -> bytes:
        """A request as JSON; with `digest`, the name under which the server may remember the domain."""
        head = as_json({"next_action": call.name, "sender_id": call.conversation})
        tail = as_json({"version": VERSION, **({"domain_digest": digest} if digest else {})})
        whole = head[:-1] + b',"tracker":' + (await tracker_of(call, self._teller)).json() + b"," + tail[1:]
        return whole[:-1] + b',"domain":' + self.domain + b"}" if domain else whole


async def tracker_of(call: ActionCall, teller: Teller) -> Tracker:
    """The conversation with all its events; new slot values that are to be validated come last."""
    change = partial(_with_candidates, call) if validates(call.name) else None
    return await teller.tracker(call.conversation, call.history, call.memo, change)


def _with_candidates(call: ActionCall, events: list[Wire]) -> list[Wire]:
    """The events with the candidates, and no other slots, as the run of slot events at the end."""
    if call.name == GLOBAL_VALIDATION:
        while events and events[-1]["event"] == "slot":
            events = events[:-1]
    else:
        form = call.name.removeprefix(FORM_VALIDATION)
        events = [*events, {"event": "action", "timestamp": call.now, "name": form}]
    new = [
        {"event": "slot", "timestamp": call.now, "name": name, "value": call.slots.get(name)}
        for name in call.candidates
    ]
    return [*events, *new]
