"""A small scripted bot, and word vectors in place of the encoder: fits in a fraction of a second."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from bot.core.features import Features
from bot.core.program import Intent, Program, Slot
from bot.core.protocols import Situation
from bot.core.script import Did, Form, Gap, Heard, LoopIs, Script, SlotWas, Story, StoryStep
from skills.ranking import Floats
from training.ranking_rows import RankingData, ranking_data
from training.recipes.ranking import RankingOptions

LISTEN = "action_listen"
QUICK = RankingOptions(fewest=900, steps=170, rehearsal=40, folds=2)
EXAMPLES = {
    "greet": ("hello there", "good morning", "hi bot"),
    "tea": ("i want tea", "some tea please", "a pot of tea"),
    "cake": ("i want cake", "some cake please", "a piece of cake"),
    "yes": ("yes", "sure", "of course"),
    "no": ("no", "not now", "never"),
    "who": ("who are you", "are you a bot"),
    "weather": ("is it raining", "what is the weather"),
}


class WordVectors:
    """Unit vectors from hashed words; counts the texts it was asked for."""

    identity = "words"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def vectors(self, texts: Sequence[str]) -> Floats:
        self.asked += texts
        rows = np.zeros((len(texts), 32), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % 32] += 1
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return rows


def said(intent: str) -> Heard:
    return Heard(intent=intent)


def did(*actions: str) -> tuple[Did, ...]:
    return tuple(Did(action=action) for action in actions)


def story(name: str, *steps: StoryStep) -> Story:
    return Story(name=name, steps=(*steps, *did(LISTEN)), where=f"stories.yml:{name}")


STORIES = (
    story("tea, yes", said("tea"), *did("utter_milk"), said("yes"), *did("utter_with_milk", "action_order_tea")),
    story("tea, no", said("tea"), *did("utter_milk"), said("no"), *did("utter_black", "action_order_tea")),
    story("cake, yes", said("cake"), *did("utter_cream"), said("yes"), *did("utter_with_cream", "action_order_cake")),
    story("cake, no", said("cake"), *did("utter_cream"), said("no"), *did("utter_plain", "action_order_cake")),
    story("greet", said("greet"), *did("utter_greet")),
    story(
        "known", SlotWas(name="regular", value=True), said("greet"), *did("utter_back_again"), said("yes"),
        *did("action_usual"),
    ),
)  # fmt: skip
RULES = (
    Story(name="who", rule=True, steps=(Gap(), said("who"), *did("utter_bot", LISTEN)), where="rules.yml:1"),
    Story(
        name="table", rule=True, where="rules.yml:9",
        steps=(Gap(), LoopIs(loop="table_form"), *did("table_form"), LoopIs(loop=None), *did("utter_done", LISTEN)),
    ),
)  # fmt: skip
IN_FORM = story(
    "in a form", said("tea"), *did("table_form"), LoopIs(loop="table_form"), said("who"), *did("utter_bot"),
    *did("table_form"), LoopIs(loop=None), *did("utter_done"),
)  # fmt: skip


def program(*stories: Story, rules: tuple[Story, ...] = RULES, **script: object) -> Program:
    fields = {"stories": stories or STORIES, "rules": rules, "forms": {"table_form": Form(name="table_form")}}
    return Program(
        id="",
        intents={name: Intent(name=name, label=name) for name in EXAMPLES},
        slots={"regular": Slot(name="regular", type="bool"), "city": Slot(name="city")},
        script=Script.model_validate({**fields, **script}),
    )


def data(*stories: Story) -> RankingData:
    examples = [(text, intent) for intent, texts in EXAMPLES.items() for text in texts]
    found = ranking_data(program(*stories), examples)
    assert found is not None
    return found


def talk(*steps: str, slots: frozenset[tuple[str, str]] = frozenset(), text: str = "") -> Situation:
    """Where a talk stands: intents and actions in order, as "intent" or "action_x"; `text` is the last message."""
    states, texts, action, intent = [Features()], [""], LISTEN, ""
    for step in steps:
        if step.startswith(("action_", "utter_")):
            action = step
        else:
            action, intent = LISTEN, step
        states.append(Features(action=action, intent=intent, slots=slots))
        texts.append(text if action == LISTEN else "")
    actions = tuple(sorted({cell.action for story in data().stories for cell in story.cells} | {"utter_bot"}))
    return Situation(tuple(states), tuple(texts), actions)
