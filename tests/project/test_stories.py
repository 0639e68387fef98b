"""Rules and stories as they are written, and the straight ones they become."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from bot.core.script import Did, Gap, Heard, LoopIs, Mention, SlotWas, Story, StoryStep, Uttered
from bot.project import ProjectErrors
from tests.project.build import script

LISTEN = Did(action="action_listen")
HELLO, BYE, SURE = Did(action="utter_hello"), Did(action="utter_bye"), Did(action="utter_sure")
GREET, AFFIRM, DENY = Heard(intent="greet"), Heard(intent="affirm"), Heard(intent="deny")


def straight(tmp_path: Path, *stories: str) -> tuple[Story, ...]:
    """The straight stories of stories given by their steps, one step a line."""
    text = "stories:\n" + "".join(
        f"- story: s{number}\n  steps:\n{indent(steps, '  ')}\n" for number, steps in enumerate(stories)
    )
    found = script(tmp_path, text).program.script
    assert found is not None
    return found.stories


def paths(stories: tuple[Story, ...]) -> list[list[str]]:
    """The actions of each story, without prefix and listening."""
    return [
        [s.action.removeprefix("utter_") for s in story.steps if isinstance(s, Did) and s != LISTEN]
        for story in stories
    ]


STEPS: list[tuple[str, list[StoryStep]]] = [
    ("- intent: greet", [GREET]),
    ("- intent: /greet", [GREET]),
    ("- intent: faq/hours", [Heard(intent="faq")]),
    ("- intent: greet\n  entities: [city]", [Heard(intent="greet", mentions=(Mention(type="city"),))]),
    ("- intent: greet\n  entities: [{city: Rome, role: to, group: 1}]", []),
    ("- intent: greet\n  entities: [{entity: city, role: to, value: Rome, group: '1'}]", []),
    (
        "- user: go to [Rome](city)",
        [Heard(text="go to Rome", mentions=(Mention(type="city", value="Rome"),)), SlotWas(name="city", value="Rome")],
    ),
    (
        "- user: go on [today](day)\n  intent: inform",
        [Heard(intent="inform", mentions=(Mention(type="day", value="today"),)), SlotWas(name="day", value="today")],
    ),
    (
        '- user: /inform{"day":"today"}',
        [Heard(intent="inform", mentions=(Mention(type="day", value="today"),)), SlotWas(name="day", value="today")],
    ),
    ("- action: utter_hello", [HELLO]),
    ("- bot: Hello there", [Uttered(text="Hello there")]),
    ("- slot_was_set: [city]", [SlotWas(name="city", any=True)]),
    ("- slot_was_set: city", [SlotWas(name="city", any=True)]),
    (
        "- slot_was_set:\n  - city: Rome\n  - sure: true",
        [SlotWas(name="city", value="Rome"), SlotWas(name="sure", value=True)],
    ),
    ("- slot_was_set: {city: Rome}", [SlotWas(name="city", value="Rome")]),
    ("- slot_was_set: [{city: null}]", [SlotWas(name="city")]),
    ("- slot_was_set: [sure]", [SlotWas(name="sure")]),
    ("- active_loop: trip_form", [LoopIs(loop="trip_form")]),
    ("- active_loop: null", [LoopIs(loop=None)]),
    ("- metadata: {a: 1}\n- action: utter_hello", [HELLO]),
]
ROME = Heard(intent="greet", mentions=(Mention(type="city", role="to", group="1", value="Rome"),))


@pytest.mark.parametrize(("text", "steps"), STEPS)
def test_every_kind_of_step_is_read(tmp_path: Path, text: str, steps: list[StoryStep]) -> None:
    (story,) = straight(tmp_path, text)
    implied = [SlotWas(name="city", any=True)] if text.endswith("entities: [city]") else []
    assert list(story.steps) == [*(steps or [ROME]), *implied, LISTEN]


def test_a_story_knows_its_place_and_its_steps_theirs(tmp_path: Path) -> None:
    project = script(tmp_path, "stories:\n- story: a\n  metadata: {b: 1}\n  steps:\n  - intent: greet\n  - bot: Hi\n")
    read = project.stories[-1]
    assert (read.story.name, read.story.where, read.story.rule) == ("a", "data/stories.yml:2", False)
    assert read.places == ("data/stories.yml:5", "data/stories.yml:6", "data/stories.yml:6")


RULES = """\
    rules:
    - rule: a
      condition:
      - slot_was_set: [city, {day: today}]
      - active_loop: null
      steps: [{intent: greet}, {action: utter_hello}]
    - rule: b
      conversation_start: true
      steps: [{intent: greet}, {action: utter_hello}]
    - rule: c
      wait_for_user_input: false
      steps: [{slot_was_set: [{city: Rome}]}, {action: utter_hello}]
    - rule: d
      steps: [{action: trip_form}, "...", {action: utter_bye}, {action: "..."}]
    - rule: e
      steps: [{or: [{intent: affirm}, {intent: deny}]}, {action: action_listen}]
    """


def test_rules_have_gaps_where_anything_may_have_happened(tmp_path: Path) -> None:
    found = script(tmp_path, data__rules=RULES).program.script
    assert found is not None
    rules: dict[str, list[list[StoryStep]]] = {}
    for rule in found.rules:
        rules.setdefault(rule.name, []).append(list(rule.steps))
    conditions = [SlotWas(name="city", any=True), SlotWas(name="day", value="today"), LoopIs(loop=None)]
    assert rules["a"] == [[*conditions, Gap(), GREET, HELLO, LISTEN]]
    assert rules["b"] == [[GREET, HELLO, LISTEN]]
    assert rules["c"] == [[Gap(), SlotWas(name="city", value="Rome"), HELLO, Gap()]]
    assert rules["d"] == [[Gap(), Did(action="trip_form"), Gap(), BYE, Gap()]]
    assert rules["e"] == [[Gap(), AFFIRM, LISTEN], [Gap(), DENY, LISTEN]]


def test_or_makes_a_story_of_each_way(tmp_path: Path) -> None:
    steps = "- or:\n  - intent: affirm\n  - user: yep\n  - slot_was_set: [city, {day: today}]\n- action: utter_hello"
    ways = (AFFIRM, Heard(text="yep"), SlotWas(name="city", any=True), SlotWas(name="day", value="today"))
    assert [story.steps for story in straight(tmp_path, steps)] == [(way, HELLO, LISTEN) for way in ways]


def test_a_checkpoint_joins_stories(tmp_path: Path) -> None:
    first = "- intent: greet\n- action: utter_hello\n- checkpoint: asked"
    stories = straight(
        tmp_path,
        first,
        "- checkpoint: asked\n- intent: affirm\n- action: utter_sure",
        "- checkpoint: asked\n- intent: deny\n- action: utter_bye",
    )
    assert [story.steps for story in stories] == [
        (GREET, HELLO, AFFIRM, SURE, LISTEN),
        (GREET, HELLO, DENY, BYE, LISTEN),
    ]
    assert [story.name for story in stories] == ["s0 / s1", "s0 / s2"]


def test_a_checkpoint_inside_a_story_is_an_end_and_a_beginning(tmp_path: Path) -> None:
    stories = straight(
        tmp_path,
        "- intent: greet\n- checkpoint: mid\n- action: utter_hello",
        "- intent: deny\n- checkpoint: mid",
        "- checkpoint: mid\n- action: utter_bye",
    )
    assert [(s.steps[0], s.steps[1]) for s in stories] == [(GREET, HELLO), (GREET, BYE), (DENY, HELLO), (DENY, BYE)]


def test_a_checkpoint_is_passed_only_with_the_slots_it_wants(tmp_path: Path) -> None:
    stories = straight(
        tmp_path,
        "- intent: greet\n- slot_was_set: [{city: Rome}]\n- checkpoint: x",
        "- intent: deny\n- checkpoint: x",
        "- checkpoint: x\n  slot_was_set: [{city: Rome}]\n- action: utter_hello",
        "- checkpoint: x\n  slot_was_set: [{city: null}]\n- action: utter_bye",
        "- checkpoint: x\n  slot_was_set: [city]\n- action: utter_sure",
    )
    assert [(story.steps[0], *path) for story, path in zip(stories, paths(stories), strict=True)] == [
        (GREET, "hello"),
        (GREET, "sure"),
        (DENY, "bye"),
    ]


def test_a_circle_of_checkpoints_is_gone_through_once(tmp_path: Path) -> None:
    stories = straight(
        tmp_path,
        "- intent: greet\n- action: utter_hello\n- checkpoint: hub",
        "- checkpoint: hub\n- intent: affirm\n- action: utter_sure\n- checkpoint: hub",
        "- checkpoint: hub\n- intent: deny\n- action: utter_bye",
    )
    assert paths(stories) == [["hello", "bye"], ["hello", "sure", "bye"], ["hello", "sure", "sure", "bye"]]


def test_a_circle_without_an_end_is_cut(tmp_path: Path) -> None:
    stories = straight(
        tmp_path,
        "- intent: greet\n- checkpoint: hub",
        "- checkpoint: hub\n- action: utter_sure\n- checkpoint: hub",
    )
    assert [story.steps for story in stories] == [(GREET, SURE, SURE)]


def test_checkpoints_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    text = (
        "stories:\n- story: a\n  steps:\n  - intent: greet\n  - checkpoint: axked\n    slot_was_set: [city]\n"
        "- story: b\n  steps:\n  - checkpoint: asked\n  - action: utter_bye\n"
    )
    project = script(tmp_path, text)
    assert [str(warning) for warning in project.warnings] == [
        "data/stories.yml:5: no story begins with checkpoint 'axked'; did you mean 'asked'?",
        "data/stories.yml:6: story 'a': conditions count where a story begins with checkpoint 'axked', not "
        "where it ends",
        "data/stories.yml:9: no story leads to checkpoint 'asked'; did you mean 'axked'?; what follows it is left out",
    ]
    assert project.program.script and [s.steps for s in project.program.script.stories] == [(GREET, LISTEN)]


def test_more_ways_through_or_than_can_be_learnt_are_refused(tmp_path: Path) -> None:
    either = "- or: [{intent: greet}, {intent: affirm}, {intent: deny}, {intent: bye}]\n- action: utter_hello\n"
    with pytest.raises(ProjectErrors, match=r"its `or` steps stand for 16,384 stories, more than 10,000; split it"):
        straight(tmp_path, either * 7)


@pytest.mark.slow
def test_more_ways_through_checkpoints_than_can_be_learnt_are_cut(tmp_path: Path) -> None:
    hub = "- checkpoint: hub\n- intent: greet\n- action: utter_hello\n- checkpoint: hub"
    stories = ["- intent: greet\n- checkpoint: hub", *[hub] * 13, "- checkpoint: hub\n- action: utter_bye"]
    text = "stories:\n" + "".join(f"- story: s{n}\n  steps:\n{indent(s, '  ')}\n" for n, s in enumerate(stories))
    project = script(tmp_path, text)
    assert project.program.script and len(project.program.script.stories) == 10_000
    assert "only the 10,000 shortest are used" in str(project.warnings[0])


def test_entities_do_not_fill_slots_in_stories_when_the_domain_says_so(tmp_path: Path) -> None:
    text = "stories:\n- story: a\n  steps:\n  - {intent: inform, entities: [{city: Rome}]}\n"
    plain = script(tmp_path / "a", text).program.script
    off = script(tmp_path / "b", text, domain__off="config: {store_entities_as_slots: false}\n").program.script
    assert plain and SlotWas(name="city", value="Rome") in plain.stories[0].steps
    assert off and [type(step) for step in off.stories[0].steps] == [Heard, Did]


@pytest.mark.parametrize(
    ("kind", "filled"),
    [("text", [SlotWas(name="x", any=True)]), ("categorical", [SlotWas(name="x", value="")]), ("float", [])],
)
def test_an_entity_without_a_value_is_some_text(tmp_path: Path, kind: str, filled: list[StoryStep]) -> None:
    text = "stories:\n- story: a\n  steps:\n  - {intent: inform, entities: [day]}\n"
    values = ", values: [a]" if kind == "categorical" else ""
    slots = f"slots: {{x: {{type: {kind}{values}, mappings: [{{type: from_entity, entity: day}}]}}}}\n"
    found = script(tmp_path, text, domain__more=slots).program.script
    assert (
        found and [step for step in found.stories[0].steps if isinstance(step, SlotWas) and step.name == "x"] == filled
    )


def test_a_list_slot_takes_all_entities_of_a_message(tmp_path: Path) -> None:
    text = "stories:\n- story: a\n  steps:\n  - {intent: inform, entities: [{city: Rome}, {city: Oslo}]}\n"
    slots = "slots: {all: {type: list, mappings: [{type: from_entity, entity: city}]}}\n"
    found = script(tmp_path, text, domain__more=slots).program.script
    assert found and SlotWas(name="all", value=["Rome", "Oslo"]) in found.stories[0].steps


def test_the_checkpoint_of_the_beginning_is_the_beginning(tmp_path: Path) -> None:
    (told,) = straight(tmp_path, "- checkpoint: STORY_START\n- intent: greet\n- action: utter_hello")
    assert told.steps == (GREET, HELLO, LISTEN)
