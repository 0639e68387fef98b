"""Reading test stories: Rasa's format, with places, and what is said about mistakes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import ProjectError
from bot.core.script import Did, Heard, LoopIs, SlotWas, Uttered
from bot.testing.reading import MAX_STORIES, GoldStory, read_stories
from tests.testing.small import write


def read(folder: Path, *stories: str) -> tuple[GoldStory, ...]:
    return read_stories(write(folder, [(f"s{number}", steps) for number, steps in enumerate(stories)]))


def actions(story: GoldStory) -> list[str]:
    return [step.line.step.action for step in story.steps if isinstance(step.line.step, Did)]


def test_every_kind_of_step_is_read_with_its_place(tmp_path: Path) -> None:
    (story,) = read(
        tmp_path,
        """
- user: |
    to [Rome](city) now
  intent: /book
- action: form
- active_loop: form
- slot_was_set:
  - city: Rome
  - seen
- slot_was_set: {done: null}
- active_loop: null
- bot: Have a nice day
""",
    )
    first = story.steps[0]
    assert isinstance(first.line.step, Heard)
    assert (first.line.step.intent, first.line.text, first.where) == ("book", "to Rome now", "tests/test_stories.yml:4")
    assert [entity.type for entity in first.line.entities] == ["city"]
    assert [step.line.step for step in story.steps[1:]] == [
        Did(action="form"), LoopIs(loop="form"), SlotWas(name="city", value="Rome"), SlotWas(name="seen", any=True),
        SlotWas(name="done", value=None), LoopIs(loop=None), Uttered(text="Have a nice day"),
    ]  # fmt: skip


def test_a_payload_names_intent_and_entities(tmp_path: Path) -> None:
    (story,) = read(tmp_path, """- user: '/inform{"city": "Rome"}'""")
    line = story.steps[0].line
    assert isinstance(line.step, Heard) and line.step.intent == "inform"
    assert [(entity.type, entity.value) for entity in line.entities] == [("city", "Rome")]


def test_entities_of_a_step_without_words(tmp_path: Path) -> None:
    (story,) = read(tmp_path, "- intent: inform\n  entities:\n  - city: Rome\n    role: to\n  - size")
    found = story.steps[0].line.entities
    assert [(entity.type, entity.value, entity.role) for entity in found] == [
        ("city", "Rome", "to"),
        ("size", None, None),
    ]


def test_entities_listed_beside_the_words_are_found_in_them(tmp_path: Path) -> None:
    (story,) = read(tmp_path, "- user: to John\n  intent: send\n  entities:\n  - person: John\n  - size: XL")
    found = story.steps[0].line.entities
    assert [(entity.start, entity.end) for entity in found] == [(3, 7), (0, 0)]


def test_or_makes_a_story_of_each_way(tmp_path: Path) -> None:
    stories = read(tmp_path, "- or:\n  - intent: a\n  - intent: b\n- action: x\n- or: [{slot_was_set: [{s: 1}]}]")
    assert [story.steps[0].line.step for story in stories] == [Heard(intent="a"), Heard(intent="b")]


def test_checkpoints_join_stories(tmp_path: Path) -> None:
    begin = "- intent: a\n- action: one\n- checkpoint: c"
    stories = read(
        tmp_path, begin, "- checkpoint: c\n- action: two", "- checkpoint: c\n- action: three\n- checkpoint: d"
    )
    assert [(story.name, actions(story)) for story in stories] == [
        ("s0 > s1", ["one", "two"]), ("s0 > s2", ["one", "three"]),
    ]  # fmt: skip


def test_files_beside_and_below_tests_are_read_and_others_left_alone(tmp_path: Path) -> None:
    write(tmp_path, [("s", "- action: a")])
    (tmp_path / "test_more.yml").write_text("stories: [{story: m, steps: [{action: b}]}]")
    (tmp_path / "other.yml").write_text("stories: [{story: o, steps: [{action: c}]}]")
    (tmp_path / "tests" / "cases.yml").write_text("test_cases: []")
    assert [story.name for story in read_stories(tmp_path)] == ["m", "s"]
    assert [story.where for story in read_stories(tmp_path / "other.yml")] == ["other.yml:1"]


@pytest.mark.parametrize(
    ("steps", "where", "part"),
    [
        ("- hello", 4, "expected one of user, intent"),
        ("- intent: a\n  user: to [Rome](city:)", 5, "no value"),
        ("- intent: a\n  entities: [{a: 1, b: 2}]", 5, "name: value"),
        ("- slot_was_set: 3", 4, "expected a slot"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, steps: str, where: int, part: str) -> None:
    with pytest.raises(ProjectError, match=part) as caught:
        read(tmp_path, steps)
    assert caught.value.where == f"tests/test_stories.yml:{where}"


def test_a_story_needs_steps(tmp_path: Path) -> None:
    (tmp_path / "test_a.yml").write_text("stories:\n- story: a\n")
    with pytest.raises(ProjectError, match=r"test_a.yml:2: expected a story"):
        read_stories(tmp_path)


def test_too_many_ways_are_refused(tmp_path: Path) -> None:
    several = "- or:\n" + "  - intent: a\n" * 10
    with pytest.raises(ProjectError, match=str(MAX_STORIES)):
        read(tmp_path, several * 4)


def test_stories_must_be_a_list(tmp_path: Path) -> None:
    (tmp_path / "test_a.yml").write_text("stories: {story: a}")
    with pytest.raises(ProjectError, match="must be a list"):
        read_stories(tmp_path)


KEYS = st.sampled_from(
    ["story", "steps", "user", "intent", "action", "or", "checkpoint", "slot_was_set", "active_loop", "entities", "bot"]
)
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "[x](y)", "[x](", "/a{", "/a", ""])
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
STORY = st.fixed_dictionaries(
    {"story": LEAVES, "steps": st.lists(st.dictionaries(KEYS, ANYTHING, max_size=3), max_size=4)}
)


@given(st.lists(STORY | ANYTHING, max_size=3) | ANYTHING)
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_is_read_or_refused_with_its_place(stories: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test_x.yml"
        path.write_text(json.dumps({"stories": stories}), encoding="utf-8")
        try:
            assert all(story.where for story in read_stories(path))
        except ProjectError as error:
            assert error.where.startswith("test_x.yml:1")
