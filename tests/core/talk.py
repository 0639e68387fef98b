"""Drives `decide` and `evolve` by hand: a manager of thirty lines without I/O, for tests of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.core import events as ev
from bot.core.conversation import Conversation, evolve
from bot.core.errors import Rejected
from bot.core.events import Entity, Hit, Recorded, Scored
from bot.core.messages import Message, Part, Text
from bot.core.policy import decide
from bot.core.program import Act, Behaviour, Collect, Edge, Flow, Intent, Program, Slot, SlotMapping, Variation
from bot.core.protocols import ActionResult
from bot.core.responses import render
from bot.core.steps import Generate, Listen, Rank, Record, Retrieve, Run, Say, Settle, Step, Transcribe, Understand

Action = ActionResult | Exception


class Talk:
    """One conversation with a program. `hits` is what every retrieval finds; `actions` what custom actions return.

    `ranking` is what the learned ranking says after an action; without an entry it is not sure. `wording` is what every
    answer is worded as, `asked` the last step that had one worded.
    """

    def __init__(self, program: Program, actions: Mapping[str, Action] | None = None, hits: Sequence[Hit] = ()) -> None:
        self.program, self.actions, self.hits = program, dict(actions or {}), tuple(hits)
        self.conversation = Conversation(id="c")
        self.log: list[Recorded] = []
        self.steps: list[Step] = []
        self.ranking: dict[str, Scored] = {}
        self.wording = ev.Generated(model="m", fallback="failed")
        self.asked: Generate | None = None
        self.at = 1000.0
        self.add(ev.Started(channel="test", sender="s"))

    def add(self, *events: ev.Event) -> None:
        for event in events:
            turn = self.conversation.turn + isinstance(event, ev.Received)
            if self.conversation.current and not isinstance(event, ev.Received):
                turn = self.conversation.current.number
            recorded = Recorded(conversation="c", seq=self.conversation.seq + 1, turn=turn, at=self.at, event=event)
            self.conversation = evolve(self.conversation, recorded)
            self.log.append(recorded)

    def receive(self, text: str, *parts: Part) -> None:
        number = self.conversation.turn + 1
        message = Message(id=f"u{number}", parts=parts or (Text(text=text),))
        self.add(ev.Received(message=message, key=f"k{number}", channel="test"))

    def say(self, text: str, *intents: tuple[str, float] | str, entities: Sequence[Entity] = (), **more: object) -> str:
        """Send a text that the classifiers understand as given; returns all replies, joined by " | "."""
        self.receive(text)
        return self.run(intents, tuple(entities), more)

    def run(
        self,
        intents: Sequence[tuple[str, float] | str] = (),
        entities: tuple[Entity, ...] = (),
        more: Mapping[str, object] | None = None,
    ) -> str:
        start, self.steps = len(self.log), []
        for _ in range(60):
            step = decide(self.conversation, self.program)
            self.steps.append(step)
            if isinstance(step, Listen):
                replies = [r.event.message.text for r in self.log[start:] if isinstance(r.event, ev.Replied)]
                return " | ".join(replies)
            self.perform(step, intents, entities, more or {})
        raise AssertionError("the turn does not end")

    def perform(
        self,
        step: Step,
        intents: Sequence[tuple[str, float] | str],
        entities: tuple[Entity, ...],
        more: Mapping[str, object],
    ) -> None:
        match step:
            case Understand(text=text):
                ranked = tuple(Scored(name=i, score=0.95) if isinstance(i, str) else scored(*i) for i in intents)
                fields = {"text": text, "language": "en", "intents": ranked, "in_scope": float(bool(ranked)), **more}
                self.add(ev.Understood.model_validate({**fields, "entities": entities}))
            case Transcribe():
                self.add(ev.Transcribed(text="spoken words", language="en", bundle="b"))
            case Retrieve(query=query):
                self.add(ev.Retrieved(query=query, hits=self.hits, floor=0.5, index="i"))
            case Generate():
                self.asked = step
                self.add(self.wording)
            case Run():
                self.act(step)
            case Rank(otherwise=otherwise, below=below):
                best = self.ranking.get(self.conversation.track.action or "", scored(otherwise, 0.0))
                sure = best.score >= below
                policy = "RankingPolicy" if sure else "Fallback"
                self.add(ev.Predicted(action=best.name if sure else otherwise, policy=policy))
            case Record(events=events):
                self.add(*events)
            case Say():
                for message in step.messages:
                    named = message.model_copy(update={"id": f"b{self.conversation.seq}"})
                    self.add(ev.Replied(message=named, step=step.step))
                self.add(*step.events)
            case Settle(outcome=outcome):
                self.add(ev.Settled(outcome=outcome))

    def act(self, step: Run) -> None:
        result = self.actions.get(step.action, ActionResult())
        if isinstance(result, Rejected):
            self.add(ev.ActionRejected(action=step.action))
            return
        error = str(result) if isinstance(result, Exception) else None
        self.add(ev.ActionRan(action=step.action, key="k", step=step.step, error=error))
        if isinstance(result, ActionResult):
            for name, value in result.slots.items():
                self.add(ev.SlotSet(name=name, value=value, step=step.step, source="action"))
            for said in result.messages:
                for message in render(said, self.conversation, self.program) if isinstance(said, str) else (said,):
                    self.add(ev.Replied(message=message.model_copy(update={"id": "a"}), step=step.step))
            self.add(*result.events)

    def last(self, kind: type[ev.Event]) -> ev.Event:  # type: ignore[valid-type]
        """The latest event of a kind."""
        return next(r.event for r in reversed(self.log) if isinstance(r.event, kind))

    def kinds(self, turn: int) -> list[str]:
        """The kinds of the events of one turn."""
        return [r.event.kind for r in self.log if r.turn == turn]


def scored(name: str, score: float) -> Scored:
    return Scored(name=name, score=score)


def entity(kind: str, value: str, start: int = 0) -> Entity:
    return Entity(type=kind, value=value, text=value, start=start, end=start + len(value), extractor="test")


def says(text: str, **more: object) -> tuple[Variation, ...]:
    return (Variation.model_validate({"text": text, **more}),)


def hit(text: str, score: float) -> Hit:
    return Hit(chunk="k1", document="returns", title="Returns", text=text, score=score)


def mapped(name: str, kind: str = "from_entity", **more: object) -> Slot:
    fields = {"kind": kind, "entity": name, **more} if kind == "from_entity" else {"kind": kind, **more}
    return Slot(name=name, mappings=(SlotMapping.model_validate(fields),))


def chain(*steps: Act | Collect | object) -> tuple[object, ...]:
    """Link steps one after another; the last one ends the flow."""
    linked = []
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        edges = (Edge(to=after.id if after else None),)  # type: ignore[attr-defined]
        linked.append(step.model_copy(update={"next": edges}))  # type: ignore[attr-defined]
    return tuple(linked)


SYSTEM = {
    "utter_ask_rephrase": "please rephrase",
    "utter_did_you_mean": "did you mean",
    "utter_no_answer": "no answer",
    "utter_handed_off": "a person comes",
    "utter_with_person": "passed on",
    "utter_resumed": "bot is back",
    "utter_failed": "failed",
    "utter_cancelled": "cancelled",
    "utter_nothing_to_cancel": "nothing to cancel",
    "utter_unsupported_language": "only English",
    "utter_back_to": "back to {flow}",
    "utter_corrected": "corrected",
    "utter_anything_else": "anything else",
    "utter_offer_person": "a person?",
}


def program(**more: object) -> Program:
    """A shop with two business flows, one-step flows and a knowledge base."""
    status = Flow(
        id="order_status",
        name="Order status",
        triggers=("order_status",),
        steps=chain(
            Collect(
                id="ask_id",
                slot="order_id",
                utter="utter_ask_order_id",
                rejections=({"when": 'not (slots.order_id matches "^[0-9]{5}$")', "utter": "utter_bad_id"},),
            ),
            Act(id="find", action="action_find"),
            Act(id="tell", action="utter_status"),
        ),
    )
    address = Flow(
        id="change_address",
        name="Change of address",
        triggers=("change_address",),
        steps=chain(
            Collect(id="c_id", slot="order_id", utter="utter_ask_order_id"),
            Collect(id="c_city", slot="city", utter="utter_ask_city"),
            Collect(id="c_sure", slot="sure", utter="utter_ask_sure", ask_before_filling=True),
            Act(id="done", action="utter_changed"),
        ),
    )
    greet = Flow(id="greet", name="Greeting", triggers=("greet",), steps=(Act(id="g", action="utter_greet"),))
    fields: dict[str, object] = {
        "intents": {n: Intent(name=n, label=n.title()) for n in ("order_status", "change_address", "greet", "refunds")},
        "slots": {
            "order_id": mapped("order_id"),
            "city": Slot(name="city"),
            "sure": Slot(name="sure", type="bool"),
            "status": mapped("status", "controlled"),
        },
        "responses": {name: says(text) for name, text in SYSTEM.items()}
        | {
            "utter_ask_order_id": says("which order?"),
            "utter_bad_id": says("{order_id} is no order"),
            "utter_status": says("{order_id} is {status}"),
            "utter_ask_city": says("which city?"),
            "utter_ask_sure": says("sure?"),
            "utter_changed": says("goes to {city}"),
            "utter_greet": says("hello"),
        },
        "flows": {flow.id: flow for flow in (status, address, greet)},
        "actions": ("action_find",),
        "behaviour": Behaviour(),
        "knowledge": True,
    }
    return Program.model_validate({**fields, **more})
