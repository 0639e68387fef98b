"""What an action server answers: responses to say, then events.

A response with a name is worded from the domain, with the keys that are not its own as further values; what it holds
besides adds to that wording. Everything else is said as it is: unlike an author's wording, an action's text is final.
Numbers need care: gRPC knows only floating-point ones, so whole numbers become integers again, except in float slots,
where every transport gives a float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.errors import BotError, SkillError
from bot.core.messages import Message
from bot.core.program import Program
from bot.core.protocols import ActionResult, Worded
from bot.core.rasa.facts import facts, read_parts
from bot.core.script import NLU_FALLBACK

Names = Mapping[str, JsonValue]
_OWN = frozenset(
    ("text", "buttons", "quick_replies", "elements", "custom", "template", "response", "image", "attachment")
)
"""Keys of a response that are no values for its wording."""


_NOT_HERE = ev.Received | ev.Ended
"""An action runs within a turn, it cannot begin or end one."""


class Reader:
    """Reads the answers to one action."""

    def __init__(self, action: str, program: Program) -> None:
        self._action, self._program = action, program

    def result(self, answer: object) -> ActionResult:
        """The result of an answer; none at all (`null`) is an empty one.

        Raises:
            SkillError: it is no answer of an action server; says where.
        """
        if answer is None:
            return ActionResult()
        if not isinstance(answer, dict):
            raise self._wrong("an object with `events` and `responses`", answer)
        messages = (self.said(item) for item in self._objects(answer, "responses"))
        events = (event for item in self._objects(answer, "events") for event in self._facts(item))
        return ActionResult(messages=tuple(said for said in messages if said is not None), events=tuple(events))

    @staticmethod
    def said(response: Names) -> Message | Worded | None:
        """One response; None when there is nothing in it."""
        parts = read_parts(response.get("text"), response)
        name = response.get("response") or response.get("template")
        if name:
            values = {key: value for key, value in response.items() if key not in _OWN}
            return Worded(str(name), values, parts)
        return Message(id="", parts=parts) if parts else None

    def _facts(self, event: Names) -> Iterable[ev.Event]:
        try:
            found = facts(self._event(event))
        except BotError as error:
            raise SkillError(self._action, f"the action server's answer is not understood: {error}") from error
        if isinstance(found[0], _NOT_HERE):
            found = tuple(fact for fact in found if isinstance(fact, ev.Understood))
        for fact in found:
            match fact:
                case ev.SlotSet():
                    yield fact.model_copy(update={"source": "action"})
                case ev.Understood():  # the action says what the user meant; policies look at that from here on
                    yield fact.model_copy(update={"source": "external"})
                    yield ev.Extracted(intent=fact.intents[0].name.partition("/")[0] if fact.accepted else NLU_FALLBACK)
                case _:
                    yield fact

    def _event(self, event: Names) -> Names:
        """The event, with a float as the value of a float slot, whether or not the transport tells 1 from 1.0."""
        slot = self._program.slots.get(str(event.get("name"))) if event.get("event") == "slot" else None
        value = event.get("value")
        if slot is None or slot.type != "float" or not isinstance(value, int) or isinstance(value, bool):
            return event
        return {**event, "value": float(value)}

    def _objects(self, answer: Names, key: str) -> list[Names]:
        items = answer.get(key) or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self._wrong(f"`{key}` to be a list of objects", items)
        return [item for item in items if isinstance(item, dict)]

    def _wrong(self, expected: str, found: object) -> SkillError:
        """Says what kind of thing was found, not what it holds: that may be the user's."""
        kind = found if isinstance(found, str) else type(found).__name__
        return SkillError(self._action, f"the action server's answer is wrong: expected {expected}, found {kind}")


def whole(value: JsonValue) -> JsonValue:
    """The value with every whole floating-point number as an integer."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    return {key: whole(item) for key, item in value.items()} if isinstance(value, dict) else value
