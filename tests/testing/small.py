"""A small scripted bot for tests of stories: greetings, a form, and classifiers that know a few sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot.core.events import Entity, Scored
from bot.core.program import EntityType, Program, Slot, SlotMapping
from bot.core.protocols import Ranked, Situation, Understanding
from bot.core.script import Did, Form, Gap, Heard, LoopIs, Script, Story, StoryStep
from bot.testing.playing import Compared, Subject, play_stories
from bot.testing.reading import read_stories

LISTEN = Did(action="action_listen")
KNOWN = {
    "hello": "greet",
    "bye": "goodbye",
    "I am fine": "good",
    "I am sad": "bad",
    "to Rome": "book",
    "a table please": "book",
    "what is this": "help",
    "when do you open": "faq/hours",
}


def rule(name: str, *steps: StoryStep) -> Story:
    return Story(name=name, rule=True, steps=(Gap(), *steps, LISTEN), where=f"data/rules.yml:{name}")


def says(intent: str, *actions: str) -> tuple[StoryStep, ...]:
    return (Heard(intent=intent), *(Did(action=action) for action in actions))


SCRIPT = Script(
    rules=(
        rule("bye", *says("goodbye", "utter_bye")),
        rule("faq", *says("faq", "utter_faq")),
        rule("book", *says("book", "trip_form"), LoopIs(loop="trip_form")),
        Story(
            name="booked",
            rule=True,
            steps=(
                LoopIs(loop="trip_form"), Gap(), Did(action="trip_form"), LoopIs(loop=None), Did(action="act"), LISTEN,
            ),
        ),
    ),
    stories=(
        Story(name="good", steps=(*says("greet", "utter_hi"), *says("good", "utter_glad"), LISTEN)),
        Story(name="bad", steps=(*says("greet", "utter_hi"), *says("bad", "utter_sorry", "utter_joke"), LISTEN)),
        Story(
            name="help in the form",
            steps=(
                *says("book", "trip_form"), LoopIs(loop="trip_form"), *says("help", "utter_help", "trip_form"), LISTEN,
            ),
        ),
    ),
    forms={"trip_form": Form(name="trip_form", required=("city",))},
)  # fmt: skip
PROGRAM = Program(
    id="small",
    entities={"city": EntityType(name="city")},
    slots={
        "city": Slot(name="city", influences=False, mappings=(SlotMapping(kind="from_entity", entity="city"),)),
        "happy": Slot(name="happy", type="bool", mappings=(SlotMapping(kind="controlled"),)),
    },
    actions=("act",),
    script=SCRIPT,
)


async def understand(text: str) -> Understanding:
    """Known sentences; any other is out of scope. `Rome` is a city, as is the made-up built-in type `number`."""
    name = KNOWN.get(text)
    at = text.find("Rome")
    spans = [("city", "Rome"), ("number", "Rome")] if at >= 0 else []
    entities = tuple(Entity(type=kind, value=value, text=value, start=at, end=at + 4) for kind, value in spans)
    scored = (Scored(name=name or "greet", score=0.9 if name else 0.2),)
    return Understanding(text, "en", True, scored, scored[0].score, 0.5, entities, "b1")


async def rank(situation: Situation) -> Ranked:
    """Says a joke when that may be done."""
    sure = "utter_joke" in situation.actions
    return Ranked((Scored(name="utter_joke", score=0.8),) if sure else (), "b1")


SUBJECT = Subject(PROGRAM, understand, rank)


async def played(folder: Path, steps: str, subject: Subject = SUBJECT) -> Compared:
    """One story, its steps given as YAML."""
    (tested,) = await play_stories(read_stories(write(folder, [("s", steps)])), subject)
    return tested


def write(folder: Path, stories: Sequence[tuple[str, str]]) -> Path:
    """A project folder with these test stories; the steps of the first begin in line 4."""
    (folder / "tests").mkdir(exist_ok=True)
    body = "".join(
        f"- story: {name}\n  steps:\n" + "".join(f"  {line}\n" for line in steps.strip().splitlines())
        for name, steps in stories
    )
    (folder / "tests" / "test_stories.yml").write_text("stories:\n" + body, encoding="utf-8")
    return folder
