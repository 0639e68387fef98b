"""Facts that only scripted conversations have: sessions, forms, follow-ups, reminders. Part of `bot.core.events`."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from bot.core.findings import Entity
from bot.core.messages import Value


class SessionStarted(Value):
    """A new session of a scripted bot began: what was said before no longer counts; slots stay if they are set anew."""

    kind: Literal["session_started"] = "session_started"


class Restarted(Value):
    """Everything that a scripted bot knew is forgotten, slots too."""

    kind: Literal["restarted"] = "restarted"


class Extracted(Value):
    """The slot mappings were applied to the turn's message; `slots` are those it filled.

    `intent` is what counts as the message's intent: a retrieval intent's name before the slash, `nlu_fallback` if the
    classifiers found none.
    """

    kind: Literal["extracted"] = "extracted"
    intent: str = ""
    slots: tuple[str, ...] = ()


class LoopChanged(Value):
    """A form became active, or none is (`None`)."""

    kind: Literal["loop_changed"] = "loop_changed"
    loop: str | None = None


class LoopInterrupted(Value):
    """The active form was interrupted by other talk; it does not check the next message as an answer."""

    kind: Literal["loop_interrupted"] = "loop_interrupted"
    interrupted: bool = True


class ActionRejected(Value):
    """An action refused to run now, as a form does when the message is no answer; something else may be done."""

    kind: Literal["action_rejected"] = "action_rejected"
    action: str


class FollowUp(Value):
    """What must be done next, whatever policies say; `None` takes an earlier one back."""

    kind: Literal["follow_up"] = "follow_up"
    action: str | None = None


class SlotsReset(Value):
    """All slots took their initial values."""

    kind: Literal["slots_reset"] = "slots_reset"


class Reverted(Value):
    """The last user message with all that followed it, or the last action, is as if it had not been."""

    kind: Literal["reverted"] = "reverted"
    what: Literal["message", "action"] = "message"


class Paused(Value):
    """A scripted bot does nothing until it is resumed (`paused` false)."""

    kind: Literal["paused"] = "paused"
    paused: bool = True


class ReminderSet(Value):
    """The intent is due at `due`, in seconds since 1970 UTC, unless the user speaks before (`cancelled_by_message`)."""

    kind: Literal["reminder_set"] = "reminder_set"
    name: str
    intent: str
    due: float
    entities: tuple[Entity, ...] = ()
    cancelled_by_message: bool = True


class ReminderCancelled(Value):
    """Reminders that fit every field given are no longer due; with none given, all."""

    kind: Literal["reminder_cancelled"] = "reminder_cancelled"
    name: str | None = None
    intent: str | None = None
    entities: tuple[Entity, ...] = ()


class Foreign(Value):
    """A fact of another system that means nothing here, kept as it came. `name` is its type there."""

    kind: Literal["foreign"] = "foreign"
    name: str
    data: dict[str, JsonValue] = {}
