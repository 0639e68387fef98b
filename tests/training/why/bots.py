"""Small bots and talks whose answers are explained, and classifiers that know a handful of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bot.core import events as ev
from bot.core.messages import Message, Text
from bot.core.program import Act, Edge, Flow, Intent, Program, Slot
from bot.core.script import Did, Form, Gap, Heard, LoopIs, Script, Story, StoryStep
from skills.intent import IntentScores
from tests.core.talk import SYSTEM, Talk, mapped, program, says
from training.why.chain import Turn, find

PLACES = {
    "flow order_status": "data/flows.yml:3",
    "step order_status ask_id": "data/flows.yml:6",
    "response utter_status": "domain.yml:9",
    "action action_find": "domain.yml:20",
    "form table_form": "domain.yml:30",
    "intent refunds": "data/nlu.yml:8",
}


def turn(talk: Talk, number: int = 0) -> Turn:
    """A turn of a talk, the last one by default."""
    found = find(talk.log, number or talk.conversation.turn)
    assert found is not None
    return found


def shop() -> Program:
    """The shop of the core's tests, with a flow that goes on as an action finds."""
    look = Flow(
        id="stock",
        name="Stock",
        triggers=("stock",),
        steps=(
            Act(id="look", action="action_look", next=(Edge(to="yes", when="slots.found"), Edge(to="no"))),
            Act(id="yes", action="utter_in_stock"),
            Act(id="no", action="utter_sold_out"),
        ),
    )
    shop = program()
    return shop.model_copy(
        update={
            "flows": {**shop.flows, "stock": look},
            "slots": {**shop.slots, "found": Slot(name="found", type="bool")},
            "intents": {**shop.intents, "stock": Intent(name="stock", label="Stock")},
            "responses": {
                **shop.responses,
                "utter_in_stock": says("we have {size}"),
                "utter_sold_out": says("sold out"),
            },
            "actions": (*shop.actions, "action_look"),
        }
    )


def rule(name: str, intent: str, *actions: str, form: str = "") -> Story:
    inside: tuple[StoryStep, ...] = (LoopIs(loop=form),) if form else ()
    steps: tuple[StoryStep, ...] = (
        *inside, Gap(), Heard(intent=intent), *(Did(action=name) for name in (*actions, "action_listen")),
    )  # fmt: skip
    return Story(name=name, rule=True, steps=steps, where=f"data/rules.yml:{len(name)}")


def restaurant(**script: object) -> Program:
    """A scripted bot: a rule, a form that a helper checks, a story, and a ranking for all else."""
    book = Story(
        name="book",
        rule=True,
        steps=(Gap(), Heard(intent="book"), Did(action="table_form"), LoopIs(loop="table_form")),
        where="data/rules.yml:9",
    )
    told = Story(
        name="sad",
        steps=(Heard(intent="unhappy"), Did(action="utter_cheer_up"), Did(action="action_listen")),
        where="data/stories.yml:4",
    )
    fields: dict[str, object] = {
        "rules": (rule("hours", "ask_hours", "utter_hours"), book),
        "stories": (told,),
        "forms": {"table_form": Form(name="table_form", required=("guests", "day"))},
    }
    names = ("hours", "cheer_up", "ask_guests", "ask_day", "ask_rephrase", "default")
    return Program(
        id="rest",
        intents={name: Intent(name=name, label=name) for name in ("ask_hours", "book", "unhappy", "odd")},
        slots={"guests": mapped("guests"), "day": mapped("day")},
        responses={name: says(text) for name, text in SYSTEM.items()} | {f"utter_{n}": says(n) for n in names},
        actions=("validate_table_form",),
        script=Script.model_validate({**fields, **script}),
    )


def asked_order() -> Talk:
    """A talk in which an order was asked for and given; the action found it."""
    from bot.core.protocols import ActionResult
    from tests.core.talk import entity

    talk = Talk(program(), {"action_find": ActionResult(slots={"status": "on its way"})})
    talk.say("where is it", ("order_status", 0.9), ("refunds", 0.05))
    talk.say("48213", entities=[entity("order_id", "48213")])
    return talk


def received(number: int, text: str, **more: object) -> ev.Received:
    message = Message(id=f"u{number}", parts=(Text(text=text),))
    return ev.Received.model_validate({"message": message, "key": f"k{number}", "channel": "web", **more})


class WordJudge:
    """Classifiers that add up weights of words. Without a word that it knows, a text is out of scope."""

    threshold = 0.5

    def __init__(self, weights: Mapping[str, Mapping[str, float]]) -> None:
        self.intents = tuple(weights)
        self.weights = weights
        self.batches: list[list[str]] = []

    def judge(self, texts: Sequence[str]) -> IntentScores:
        self.batches.append(list(texts))
        totals = np.array(
            [[sum(self.weights[name].get(word, 0.0) for word in text.lower().split()) for name in self.intents]
             for text in texts]
        )  # fmt: skip
        odds = np.exp(totals)
        shares = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        scope = (1 / (1 + np.exp(1 - totals.max(axis=1)))).astype(np.float32)
        return IntentScores(shares, scope)


class BagEncoder:
    """Vectors that count words; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked += texts
        rows = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[sum(word.encode()) % 512] += 1
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(norms, 1e-6), np.float32)
