"""The facts of a conversation.

A conversation is an append-only list of `Recorded` events. Events say what happened, never what should happen next;
model outputs are facts too, stamped with the bundle that made them. What cannot be rebuilt later (candidates, scores,
thresholds, propensities, what was shown) is stored here, because a log without it cannot be learned from.

Offsets count characters (code points) of the text they belong to. Scores and probabilities lie in 0..1.
Events refer to each other by turn number or by message id, both unique within a conversation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from bot.core.findings import Check as Check
from bot.core.findings import Cited as Cited
from bot.core.findings import Entity as Entity
from bot.core.findings import Hit as Hit
from bot.core.findings import Scored as Scored
from bot.core.messages import Message, Value
from bot.core.script_events import ActionRejected as ActionRejected
from bot.core.script_events import Extracted as Extracted
from bot.core.script_events import FollowUp as FollowUp
from bot.core.script_events import Foreign as Foreign
from bot.core.script_events import LoopChanged as LoopChanged
from bot.core.script_events import LoopInterrupted as LoopInterrupted
from bot.core.script_events import Paused as Paused
from bot.core.script_events import ReminderCancelled as ReminderCancelled
from bot.core.script_events import ReminderSet as ReminderSet
from bot.core.script_events import Restarted as Restarted
from bot.core.script_events import Reverted as Reverted
from bot.core.script_events import SessionStarted as SessionStarted
from bot.core.script_events import SlotsReset as SlotsReset


class Started(Value):
    """The conversation began."""

    kind: Literal["started"] = "started"
    channel: str
    sender: str
    program: str = ""


class Received(Value):
    """A message from the user; committed before it is acknowledged.

    `payloads` and `claimed` are as in `Inbound`. `live`: this bot took it, as opposed to a history written afterwards.
    """

    kind: Literal["received"] = "received"
    message: Message
    key: str
    channel: str
    metadata: dict[str, JsonValue] = {}
    payloads: bool = False
    claimed: str = ""
    live: bool = False


class Transcribed(Value):
    """What speech recognition heard in the turn's audio."""

    kind: Literal["transcribed"] = "transcribed"
    text: str
    language: str
    bundle: str


class Understood(Value):
    """What the classifiers made of the turn's text.

    `in_scope` is the probability that the text belongs to any trained intent; below `threshold` it does not count as
    one. `source` is "model", "payload" when the user pressed a button that we had sent, or "external" when something
    outside triggered the intent (a reminder, a web service).
    """

    kind: Literal["understood"] = "understood"
    text: str
    language: str
    supported: bool = True
    intents: tuple[Scored, ...] = ()
    in_scope: float = 0.0
    threshold: float = 0.5
    entities: tuple[Entity, ...] = ()
    bundle: str = ""
    source: Literal["model", "payload", "external"] = "model"

    @property
    def accepted(self) -> bool:
        """Whether the best intent may be acted on."""
        return bool(self.intents) and self.in_scope >= self.threshold


class Predicted(Value):
    """A decision, with what else was possible: the route of a turn, or the next action of a script.

    `policy` names what chose a script's action: RulePolicy, MemoizationPolicy, RankingPolicy, FormPolicy, Followup,
    External or Fallback; it is empty for routes. `reason` is the rule or story that says so, if one does.
    """

    kind: Literal["predicted"] = "predicted"
    action: str
    argument: str | None = None
    reason: str = ""
    policy: str = ""
    candidates: tuple[Scored, ...] = ()
    propensity: float = 1.0


class FlowEntered(Value):
    """A flow was put on top of the stack. `step` is the step of the flow below that called it."""

    kind: Literal["flow_entered"] = "flow_entered"
    flow: str
    reason: Literal["trigger", "link", "call"] = "trigger"
    step: str | None = None


class FlowLeft(Value):
    """The flow on top of the stack ended."""

    kind: Literal["flow_left"] = "flow_left"
    flow: str
    reason: Literal["completed", "cancelled", "linked", "failed"] = "completed"


SlotSource = Literal["entity", "text", "intent", "payload", "action", "flow", "reset", "correction", "import"]


class SlotSet(Value):
    """A slot took a value; `None` empties it.

    `step` is the flow step that did it, if any; `source` tells how the value was found. A "correction" moves the
    flow on top of the stack back to the step that collected the slot.
    """

    kind: Literal["slot_set"] = "slot_set"
    name: str
    value: JsonValue = None
    step: str | None = None
    source: SlotSource = "flow"


class Asked(Value):
    """The user was asked for a slot. `attempt` counts from 1."""

    kind: Literal["asked"] = "asked"
    slot: str
    flow: str
    step: str
    attempt: int = 1


class Retrieved(Value):
    """Passages found for the turn. `floor` is the score below which none of them may be used as an answer."""

    kind: Literal["retrieved"] = "retrieved"
    query: str
    hits: tuple[Hit, ...]
    floor: float
    index: str


class Generated(Value):
    """A generator's wording of an answer, or why the approved text is said instead.

    `text` may be said; it is empty when there is a `fallback`: abstained, failed, late, or the name of the check that
    refused `rejected`, the sentence in question. `first` and `seconds` are the time to the first words and to the end.
    """

    kind: Literal["generated"] = "generated"
    model: str
    text: str = ""
    fallback: str = ""
    rejected: str = ""
    checks: tuple[Check, ...] = ()
    cited: tuple[Cited, ...] = ()
    first: float = 0.0
    seconds: float = 0.0


class ActionRan(Value):
    """A custom action returned or failed. `key` is the idempotency key it was given; `seconds` is wall time."""

    kind: Literal["action_ran"] = "action_ran"
    action: str
    key: str
    step: str | None = None
    error: str | None = None
    seconds: float = 0.0


class Replied(Value):
    """The bot said something. Not visible to the user before it is committed."""

    kind: Literal["replied"] = "replied"
    message: Message
    step: str | None = None


class Delivered(Value):
    """A channel outside this process accepted a message."""

    kind: Literal["delivered"] = "delivered"
    message: str
    channel: str
    external: str = ""


class Interrupted(Value):
    """The user cut an answer short. `heard` is what had reached them."""

    kind: Literal["interrupted"] = "interrupted"
    message: str
    heard: str


class HandedOff(Value):
    """A person takes over. `summary` is what they need to know, in a few lines."""

    kind: Literal["handed_off"] = "handed_off"
    reason: str
    step: str | None = None
    summary: str = ""


class Resumed(Value):
    """The bot takes over again."""

    kind: Literal["resumed"] = "resumed"
    by: str


class Rated(Value):
    """Somebody judged a message of ours. `score` lies in -1..1."""

    kind: Literal["rated"] = "rated"
    message: str
    score: float = Field(ge=-1, le=1)
    reason: str = ""
    by: str = "user"


class Corrected(Value):
    """What would have been right in an earlier turn. Fields left `None` were not judged.

    `audit`: the turn was drawn uniformly at random from all, whatever it looked like. Only such answers measure.
    `by` is who says it. `usable`: whether anything can be learned from the turn. `hidden` are places (start, end) of
    its text that nothing may learn. `withdrawn`: all that `by` said of the turn before is taken back. `metadata` tells
    how the turn came to be judged and what was shown; see docs/review.md.
    """

    kind: Literal["corrected"] = "corrected"
    target: int
    intent: str | None = None
    entities: tuple[Entity, ...] | None = None
    reply: str | None = None
    source: Literal["click", "reviewer", "agent", "import"] = "reviewer"
    audit: bool = False
    by: str = ""
    usable: bool = True
    hidden: tuple[tuple[int, int], ...] = ()
    withdrawn: bool = False
    metadata: dict[str, JsonValue] = {}


class Consented(Value):
    """Whether this person's words may be learned from; the latest word of a person counts, for all their conversations.

    `by` is who wrote it down. What is learned from others is not touched: a refusal is no reason to be served worse.
    """

    kind: Literal["consented"] = "consented"
    train: bool
    by: Literal["user", "operator", "import"] = "user"


class Retried(Value):
    """The process ended while this turn was open; the next process goes on where the facts end."""

    kind: Literal["retried"] = "retried"


class Failed(Value):
    """Something broke. `detail` is for operators and holds no user data."""

    kind: Literal["failed"] = "failed"
    code: str
    stage: str
    detail: str = ""


class Settled(Value):
    """The turn is over and its outcome was made visible.

    "unanswered" is for imported conversations only: another system left the message without a reply.
    """

    kind: Literal["settled"] = "settled"
    outcome: Literal["replied", "failed", "handed_off", "unanswered"]


class Ended(Value):
    """The conversation is closed; a later message opens it again."""

    kind: Literal["ended"] = "ended"
    reason: str = ""


class Erased(Value):
    """Tombstone: everything before this was deleted. Holds no content."""

    kind: Literal["erased"] = "erased"
    events: int


Event = Annotated[
    Started
    | Received
    | Transcribed
    | Understood
    | Predicted
    | FlowEntered
    | FlowLeft
    | SlotSet
    | Asked
    | Retrieved
    | Generated
    | ActionRan
    | Replied
    | Delivered
    | Interrupted
    | HandedOff
    | Resumed
    | Rated
    | Corrected
    | Consented
    | Retried
    | Failed
    | SessionStarted
    | Restarted
    | Extracted
    | LoopChanged
    | LoopInterrupted
    | ActionRejected
    | FollowUp
    | SlotsReset
    | Reverted
    | Paused
    | ReminderSet
    | ReminderCancelled
    | Foreign
    | Settled
    | Ended
    | Erased,
    Field(discriminator="kind"),
]


class Recorded(Value):
    """An event in its place: `seq` counts from 1 without gaps within the conversation, `at` is seconds since 1970 UTC.

    `turn` counts the user's messages from 1; 0 is before the first. `position` orders the whole log; the store gives
    it, and it is 0 before that.
    """

    conversation: str
    seq: int
    turn: int
    at: float
    event: Event
    position: int = 0
