"""What a bot's author wrote, checked and frozen: the `Program` that `decide` follows.

`bot.project` reads project folders into a Program; nothing here touches a file. Flow steps are flat: each has an id and
edges to the steps that may come next, so that a position in a flow is one string that can be stored as a fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from bot.core.conditions import Condition
from bot.core.messages import Value
from bot.core.script import Script

SlotType = Literal["text", "bool", "float", "list", "categorical", "any"]


class Intent(Value):
    """A trained intent. `label` is what a customer reads on a button; `entities` are those it may use (None: all)."""

    name: str
    label: str
    retrieval: bool = False
    entities: tuple[str, ...] | None = None


class EntityType(Value):
    """An entity type with its roles and groups."""

    name: str
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class MappingCondition(Value):
    """When a slot mapping counts: the active form ("": none is; `None`: any or none) and the slot asked for."""

    loop: str | None = None
    requested: str | None = None


class SlotMapping(Value):
    """How a slot may be filled from a message. `controlled` means: only by an action or a set step.

    It counts when one of its conditions holds, or when it has none.
    """

    kind: Literal["from_entity", "from_intent", "from_trigger_intent", "from_text", "controlled"]
    entity: str | None = None
    role: str | None = None
    group: str | None = None
    intents: tuple[str, ...] = ()
    not_intents: tuple[str, ...] = ()
    value: JsonValue = None
    action: str | None = None
    conditions: tuple[MappingCondition, ...] = ()


class Slot(Value):
    """A named value of the conversation."""

    name: str
    type: SlotType = "text"
    values: tuple[str, ...] = ()
    initial: JsonValue = None
    minimum: float | None = None
    maximum: float | None = None
    influences: bool = True
    mappings: tuple[SlotMapping, ...] = ()


class SlotEquals(Value):
    """A Rasa response condition: the slot equals the value (text without regard to case)."""

    slot: str
    value: JsonValue


class Button(Value):
    """A button of a response; both fields may hold `{slot}`."""

    title: str
    payload: str


class Variation(Value):
    """One way to word a response. Strings may hold `{slot}`."""

    text: str | None = None
    image: str | None = None
    custom: dict[str, JsonValue] | None = None
    attachment: dict[str, JsonValue] | str | None = None
    buttons: tuple[Button, ...] = ()
    quick_replies: tuple[Button, ...] = ()
    elements: tuple[dict[str, JsonValue], ...] = ()
    channel: str | None = None
    conditions: tuple[SlotEquals, ...] = ()
    id: str | None = None
    metadata: dict[str, JsonValue] = {}


class Edge(Value):
    """Go to step `to` (None: the flow ends) when the condition holds (None: always)."""

    to: str | None
    when: Condition | None = None


class Rejection(Value):
    """An answer for which `when` holds is refused with response `utter`."""

    when: Condition
    utter: str | None = None


class _Step(Value):
    id: str
    next: tuple[Edge, ...] = (Edge(to=None),)


class Collect(_Step):
    """Ask for a slot until it has an acceptable value."""

    kind: Literal["collect"] = "collect"
    slot: str
    utter: str
    ask_before_filling: bool = False
    reset_after_flow_ends: bool = True
    rejections: tuple[Rejection, ...] = ()


class Act(_Step):
    """Say a response (`utter_...`) or run a custom action."""

    kind: Literal["act"] = "act"
    action: str


class SetSlots(_Step):
    """Give slots fixed values."""

    kind: Literal["set"] = "set"
    values: dict[str, JsonValue]


class Link(_Step):
    """Leave this flow and start another."""

    kind: Literal["link"] = "link"
    flow: str


class Call(_Step):
    """Run another flow, then go on here."""

    kind: Literal["call"] = "call"
    flow: str


class HandOff(_Step):
    """Give the conversation to a person."""

    kind: Literal["handoff"] = "handoff"
    reason: str


class Noop(_Step):
    """A branch point."""

    kind: Literal["noop"] = "noop"


FlowStep = Annotated[Collect | Act | SetSlots | Link | Call | HandOff | Noop, Field(discriminator="kind")]


class Flow(Value):
    """A business process. `triggers` are the intents that start it; `guard` must hold for it to start."""

    id: str
    name: str
    description: str = ""
    triggers: tuple[str, ...] = ()
    guard: Condition | None = None
    persisted_slots: tuple[str, ...] = ()
    steps: tuple[FlowStep, ...] = Field(min_length=1)

    @cached_property
    def by_id(self) -> Mapping[str, FlowStep]:
        """The steps by id."""
        return {step.id: step for step in self.steps}

    @cached_property
    def collects(self) -> Mapping[str, Collect]:
        """The collect steps by slot, the first of each."""
        found: dict[str, Collect] = {}
        for step in self.steps:
            if isinstance(step, Collect):
                found.setdefault(step.slot, step)
        return found


class Behaviour(Value):
    """Choices of the author that are not in a project's YAML files but in bot.yml."""

    languages: tuple[str, ...] = Field(
        default=("en",), description="Languages the bot is made for; the first is its own."
    )
    clarify_margin: float = Field(
        default=0.15, ge=0, le=1, description='The best two intents closer than this lead to a "did you mean" question.'
    )
    digress_at: float = Field(
        default=0.6, ge=0, le=1, description="Probability an intent needs to interrupt a flow that waits for an answer."
    )
    attempts: int = Field(
        default=3, ge=1, le=20, description="How often a slot is asked for before a person is offered."
    )
    cancel_intent: str = Field(default="cancel", description="Intent that stops the flow in progress.")
    affirm_intent: str = Field(default="affirm", description="Intent that means yes.")
    deny_intent: str = Field(default="deny", description="Intent that means no.")
    handoff_intent: str = Field(default="talk_to_person", description="Intent that asks for a person.")
    max_steps: int = Field(default=40, ge=1, le=1000, description="Most steps of one turn before it counts as failed.")


class Program(Value):
    """Everything `decide` may consult. `id` is the sha256 of its content."""

    id: str = ""
    intents: dict[str, Intent] = {}
    entities: dict[str, EntityType] = {}
    slots: dict[str, Slot] = {}
    responses: dict[str, tuple[Variation, ...]] = {}
    flows: dict[str, Flow] = {}
    actions: tuple[str, ...] = ()
    behaviour: Behaviour = Behaviour()
    knowledge: bool = False
    """Whether there are documents to answer from."""
    generates: bool = False
    """Whether a generator words the answers that come from documents."""
    script: Script | None = None
    assistant: str = ""
    """The `assistant_id` of a Rasa project's config.yml."""

    @cached_property
    def flow_for(self) -> Mapping[str, str]:
        """Flow id by the intent that starts it."""
        return {intent: flow.id for flow in self.flows.values() for intent in flow.triggers}

    @cached_property
    def telling(self) -> tuple[Slot, ...]:
        """The slots that say something to policies."""
        return tuple(slot for slot in self.slots.values() if slot.influences and slot.type != "any")

    @cached_property
    def initial_slots(self) -> Mapping[str, JsonValue]:
        """The value that each slot begins with."""
        return {slot.name: slot.initial for slot in self.slots.values()}
