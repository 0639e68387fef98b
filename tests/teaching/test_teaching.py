"""Correcting a live talk: what is asked, what is noted, what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.core import events as ev
from bot.core.program import Button, Intent, Variation
from bot.core.protocols import Understanding, Utterance
from bot.core.rasa.stories import Line
from bot.core.script import Did, Heard
from bot.models import Deadlines, Models
from bot.project import NluData
from bot.project.nlu import NluExample
from bot.teaching.asking import Asker
from bot.teaching.files import keep_examples, keep_story, new_examples, told
from bot.teaching.session import Session
from bot.yaml import read_yaml
from tests.fakes import MemoryStore
from tests.testing.small import PROGRAM, rank, understand

NAMES = ("utter_hi", "utter_bye", "utter_glad", "utter_sorry", "utter_joke", "utter_help")
TALKING = PROGRAM.model_copy(
    update={
        "id": "talking",
        "intents": {name: Intent(name=name, label=name) for name in ("greet", "goodbye", "good", "bad", "book")},
        "responses": {
            **{name: (Variation(text=f"<{name}>"),) for name in (*NAMES, "utter_default", "utter_ask_city")},
            "utter_hi": (Variation(text="<utter_hi>", buttons=(Button(title="Go", payload="/goodbye"),)),),
        },
    }
)


async def understood(utterance: Utterance) -> Understanding:
    return await understand(utterance.text)


class Person:
    """Answers in order, and remembers what was shown."""

    def __init__(self, *answers: str) -> None:
        self.answers: Iterator[str] = iter(answers)
        self.shown: list[str] = []

    def asker(self) -> Asker:
        return Asker(TALKING, self.shown.append, lambda prompt: next(self.answers, None))


async def talk(person: Person, *texts: str) -> Sequence[ev.Recorded]:
    models = Models("b1", TALKING, understood, rank=rank)
    session = Session(MemoryStore(), models, person.asker(), Deadlines())
    for text in texts:
        await session.say(text)
    return await session.history()


def kinds(history: Sequence[ev.Recorded], kind: str) -> list[ev.Event]:
    return [recorded.event for recorded in history if recorded.event.kind == kind]


def steps(history: Sequence[ev.Recorded]) -> list[str]:
    found = [line.step for line in told(history)]
    return [
        step.intent or "" if isinstance(step, Heard) else step.action for step in found if isinstance(step, Heard | Did)
    ]


async def test_accepting_everything_leaves_the_talk_as_it_would_be() -> None:
    person = Person()
    history = await talk(person, "hello", "I am fine")
    assert steps(history) == ["greet", "utter_hi", "good", "utter_glad"]
    assert not kinds(history, "corrected")
    assert "bot  <utter_hi>" in person.shown and "  intent    greet (0.90)" in person.shown


async def test_a_corrected_intent_is_a_label_and_leads_the_talk() -> None:
    history = await talk(Person("", "", "", "", "bad"), "hello", "I am fine")
    assert steps(history)[2:] == ["bad", "utter_sorry", "utter_joke"]
    (label,) = kinds(history, "corrected")
    assert label == ev.Corrected(target=2, intent="bad", source="reviewer")
    model, person = kinds(history, "understood")[1:]
    assert isinstance(model, ev.Understood) and isinstance(person, ev.Understood)
    assert (model.intents[0].name, model.bundle, person.intents[0].name, person.bundle) == ("good", "b1", "bad", "")


async def test_corrected_entities_are_marked_in_the_text() -> None:
    person = Person("book", "from Rome", "to [Rome](town)", "to [Rome](city:)", "to Rome")
    history = await talk(person, "to Rome")
    (label,) = kinds(history, "corrected")
    assert isinstance(label, ev.Corrected) and (label.intent, label.entities) == (None, ())
    assert any("must stay as it is" in line for line in person.shown)
    assert any("no entity 'town'" in line for line in person.shown) and any("no value" in line for line in person.shown)


async def test_a_corrected_action_is_done_instead() -> None:
    history = await talk(Person("", "", "utter_help"), "hello")
    assert steps(history)[:2] == ["greet", "utter_help"]
    chosen = kinds(history, "predicted")[0]
    assert isinstance(chosen, ev.Predicted)
    assert (chosen.policy, chosen.reason) == ("External", "instead of utter_hi by MemoizationPolicy")


async def test_names_are_listed_and_unknown_ones_asked_again() -> None:
    person = Person("gret", "?", "greet")
    await talk(person, "qwertz")
    assert any("there is no 'gret'" in line and "greet" in line for line in person.shown)
    assert "  bad, book, good, goodbye, greet, nlu_fallback" in person.shown


async def test_what_is_not_understood_may_stay_so() -> None:
    history = await talk(Person("nlu_fallback"), "hello")
    label, meant = kinds(history, "corrected")[0], kinds(history, "understood")[1]
    assert isinstance(meant, ev.Understood) and not meant.accepted
    assert isinstance(label, ev.Corrected) and label.intent is None


async def test_a_turn_that_was_looked_at_is_rated() -> None:
    (rated,) = kinds(await talk(Person(), "hello"), "rated")
    assert isinstance(rated, ev.Rated) and (rated.score, rated.by) == (1.0, "reviewer")


async def test_a_turn_that_broke_is_not_rated() -> None:
    history = await talk(Person("", "", "act"), "hello")
    assert kinds(history, "settled") == [ev.Settled(outcome="failed")]
    assert not kinds(history, "rated")


async def test_payloads_are_taken_without_a_question() -> None:
    person = Person()
    assert steps(await talk(person, "/goodbye")) == ["goodbye", "utter_bye"]
    assert not any("intent" in line for line in person.shown)


async def test_the_number_of_a_button_presses_it() -> None:
    person = Person()
    assert steps(await talk(person, "hello", "1")) == ["greet", "utter_hi", "goodbye", "utter_bye"]
    assert "     1) Go  /goodbye" in person.shown


def test_candidates_can_be_chosen_by_number() -> None:
    person = Person("2")
    ranked = (ev.Scored(name="utter_joke", score=0.6), ev.Scored(name="utter_hi", score=0.3))
    event = ev.Predicted(action="utter_joke", policy="RankingPolicy", candidates=ranked)
    assert person.asker().predicted(event) == "utter_hi"
    assert "2) utter_hi 0.30" in person.shown[0]


# Keeping ------------------------------------------------------------------------------------------------------------

LINES = (
    Line(Heard(intent="greet"), "hello there"), Line(Did(action="utter_hi")), Line(Heard(intent="book"), "to Rome"),
    Line(Heard(intent="book"), "/book"), Line(Heard(intent="nlu_fallback"), "??"),
    Line(Heard(intent="book"), "To  Rome"),
)  # fmt: skip


def stories(path: Path) -> list[str]:
    return [str(item.map["story"].plain()) for item in read_yaml(path, path.name).map["stories"].items]


def test_stories_are_added_and_comments_kept(tmp_path: Path) -> None:
    path = keep_story(tmp_path / "data", "one", LINES)
    path.write_text("# mine\n" + path.read_text() + "# the end\n")
    assert keep_story(tmp_path / "data", "two", LINES) == path == tmp_path / "data" / "interactive_stories.yml"
    assert stories(path) == ["one", "two"]
    assert path.read_text().startswith("# mine\n") and "# the end\n" in path.read_text()


def test_the_indentation_of_the_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "interactive_stories.yml"
    path.write_text("stories:\n  - story: zero\n    steps:\n      - intent: a")
    keep_story(tmp_path, "one", LINES)
    assert stories(path) == ["zero", "one"]


def test_a_file_that_cannot_be_added_to_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "interactive_stories.yml"
    path.write_text("stories: []\nrules: []\n")
    other = keep_story(tmp_path, "one", LINES)
    assert (path.read_text(), other.name, stories(other)) == (
        "stories: []\nrules: []\n", "interactive_stories_2.yml", ["one"],
    )  # fmt: skip


def test_only_new_examples_are_kept_once(tmp_path: Path) -> None:
    known = NluData((NluExample("Hello there", "greet"),))
    found = new_examples(LINES, known)
    assert found == {"book": ["to Rome"]}
    keep_examples(tmp_path, found)
    path = keep_examples(tmp_path, {"a b": ["x [y](city)", "- z"]})
    items = read_yaml(path, "n").map["nlu"].items
    assert [item.map["examples"].plain() for item in items] == ["- to Rome\n", "- x [y](city)\n- - z\n"]


def test_examples_keep_their_marks() -> None:
    rome = ev.Entity(type="city", value="Rome", text="Rome", start=3, end=7)
    assert new_examples([Line(Heard(intent="book"), "to Rome", (rome,))], NluData()) == {"book": ["to [Rome](city)"]}
