"""Faults an author can make: each is found, with its file, its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import ProjectError
from bot.project import ProjectErrors, load_project
from tests.project.build import load, write

NLU, DOMAIN, FLOWS = "data/more.yml", "domain/more.yml", "data/my_flows.yml"

IN_EXAMPLES = [
    ("nlu:\n- intent: greet\n  examples: 5\n", 3, "`examples` must be lines or a list, found the number 5"),
    ("nlu:\n- intent: greet\n  examples: [5]\n", 3, "an example must be a text, found the number 5"),
    (f"nlu:\n- intent: greet\n  examples: |\n    - {'x' * 9000}\n", 4, "an example has 9,000 characters"),
    ("nlu: 5\n", 1, "must be a list"),
    ("nlu:\n- examples: |\n    - hi\n", 2, "expected an item with `intent:`"),
    ("nlu:\n- intent: greet\n  examples:\n    - hi\n    - {txt: you}\n", 5, "did you mean 'text'?"),
    ("nlu:\n- intent: greet\n  exampels: |\n    - hi\n", 3, "did you mean 'examples'?"),
    ("nlu:\n- intent: greet\n  examples: >\n    - hi\n    - you\n", 3, "`>` joins the lines; write `examples: |`"),
    ('nlu:\n- intent: greet\n  examples: |\n    - in [Rome]{"entity": city}\n', 4, "is not JSON"),
    ('nlu:\n- intent: greet\n  examples: |\n    - in [Rome]{"entty": "city"}\n', 4, "did you mean 'entity'?"),
    ('nlu:\n- intent: greet\n  examples: |\n    - in [Rome]{"role": "to"}\n', 4, 'needs "entity"'),
    ("nlu:\n- intent: greet\n  examples: |\n    - in [Rome](city:)\n", 4, "no value after the colon"),
    ("nlu:\n- regex: zip\n  examples: |\n    - \\d+\n    - (\\d+\n", 5, "not a regular expression"),
    ("nlu:\n- lookup: city\n  examples: cities.txt\n", 3, "no lookup file 'cities.txt'"),
    ("nlu:\n- lookup: city\n  examples: ../../etc/cities.txt\n", 3, "outside the project"),
    ("nlu:\n- intent: 12\n  examples: |\n    - hi\n", 2, "put it in quotes"),
]
IN_DOMAIN = [
    ("intents:\n- 5\n", 2, "expected the name of an intent, found the number 5"),
    ("intents:\n- greet: {use_entities: 5}\n", 2, "`use_entities` must be a list of entity names"),
    ("intents:\n- greet: {use_entities: [5]}\n", 2, "`use_entities` must be a list of entity names"),
    ("entities:\n- city: {roles: [1]}\n", 2, "`roles` must be a list of texts, found a list"),
    ("slots: []\n", 1, "`slots` must be a map of names, found a list"),
    ("slots:\n  a: {values: [x]}\n", 2, "`type` is missing"),
    ("slots:\n  a: {type: categorical, values: [[x]]}\n", 2, "a value must be a text, found a list"),
    ("slots:\n  a: {type: text, influence_conversation: 1}\n", 2, "must be true or false, found the number 1"),
    ("slots:\n  a: {type: float, min_value: low}\n", 2, "`min_value` must be a number, found the text 'low'"),
    ("slots:\n  a: {type: text, mappings: 5}\n", 2, "`mappings` must be a list, found the number 5"),
    ("slots:\n  a: {type: text, mappings: [{entity: b}]}\n", 2, "`type` is missing"),
    ("responses: []\n", 1, "`responses` must be a map of names"),
    ("responses:\n  utter_a:\n  - text: a\n    metadata: 5\n", 4, "`metadata` must be a map"),
    ("responses:\n  utter_a:\n  - elements: [5]\n", 3, "an element must be a map"),
    ("intents: greet\n", 1, "expected a list of intent names"),
    ("intents:\n- greet: {use_entites: []}\n", 2, "did you mean 'use_entities'?"),
    ("slots:\n  a:\n    tpye: text\n", 3, "did you mean 'type'?"),
    ("slots:\n  a: {type: txt}\n", 2, "did you mean 'text'?"),
    ("slots:\n  a: {type: categorical}\n", 2, "needs `values"),
    ("slots:\n  a:\n    type: text\n    mappings:\n    - type: from_entity\n", 5, "needs `entity: name`"),
    ("slots:\n  a:\n    type: text\n    mappings:\n    - type: from_entty\n", 5, "did you mean 'from_entity'?"),
    ("slots:\n  a:\n    type: bool\n    mappings:\n    - {type: from_intent, intent: greet}\n", 5, "needs `value:`"),
    ("slots:\n  a b: {type: text}\n", 2, "only letters, digits and _"),
    ("slots:\n  size: {type: text}\n", 2, "slot 'size' is written in domain.yml:8 already"),
    ("responses:\n  utter_a: hi\n", 2, "expected a list of variations"),
    ("responses:\n  utter_a:\n  - hi\n", 3, "expected a map (key: value), found the text 'hi'"),
    ("responses:\n  utter_a:\n  - txet: hi\n", 3, "did you mean 'text'?"),
    ("responses:\n  utter_a:\n  - text: 5\n", 3, "must be a text, found the number 5; put it in quotes"),
    ("responses:\n  utter_a:\n  - text: a\n    buttons:\n    - payload: /greet\n", 5, "`title` is missing"),
    (
        "responses:\n  utter_a:\n  - text: a\n    condition:\n    - {type: slot, name: sze, value: 1}\n",
        2,
        "mean 'size'",
    ),
    ("responses:\n  utter_hello: [{text: hi}]\n", 2, "written in domain.yml:10 already"),
    ("respones: {}\n", 1, "did you mean 'responses'?"),
]
IN_FLOWS = [
    ("flows: []\n", 1, "`flows` must be a map of flow ids"),
    ("flows:\n  a: 5\n", 2, "expected a map (key: value), found the number 5"),
    ("flows:\n  a:\n    nlu_trigger: [5]\n    steps:\n    - noop: true\n", 3, "a trigger must be `- intent: name`"),
    ("flows:\n  a:\n    if: 5\n    steps:\n    - noop: true\n", 3, "must be a condition such as slots.amount > 100"),
    ("flows:\n  a:\n    steps:\n    - {noop: true, id: END}\n", 4, "a step cannot be called END"),
    ("flows:\n  a:\n    steps:\n    - {noop: true, next: 5}\n", 4, "`next` must be the id of a step, END, or"),
    ("flows:\n  a:\n    steps:\n    - set_slots: [5]\n", 4, "expected `slot: value`, found the number 5"),
    ("flows:\n  a:\n    steps:\n    - set_slots: []\n", 4, "set_slots is empty"),
    (
        "flows:\n  a:\n    steps:\n    - noop: true\n      next: [{else: 5}]\n",
        5,
        "expected the id of a step, END, or a",
    ),
    ("flows:\n  a:\n    steps:\n    - noop: true\n      next: [{else: []}]\n", 5, "has no steps; write `then: END`"),
    (
        "flows:\n  a:\n    steps:\n    - noop: true\n      next: [{else: END}, {if: slots.size, then: END}]\n",
        5,
        "`else` must be the last branch",
    ),
    ("flows:\n  a:\n    steps: []\n", 2, "has no steps"),
    ("flows:\n  a:\n    step:\n    - action: utter_hello\n", 3, "did you mean 'steps'?"),
    ("flows:\n  a:\n    steps:\n    - colect: order_id\n", 4, "did you mean 'collect'?"),
    ("flows:\n  a:\n    steps:\n    - collect: order_id\n      action: utter_hello\n", 4, "found collect and action"),
    ("flows:\n  a:\n    steps:\n    - collect: oder_id\n", 4, "no slot 'oder_id'; did you mean 'order_id'?"),
    ("flows:\n  a:\n    steps:\n    - collect: size\n", 4, "no response 'utter_ask_size'"),
    ("flows:\n  a:\n    steps:\n    - action: utter_helo\n", 4, "did you mean 'utter_hello'?"),
    ("flows:\n  a:\n    steps:\n    - action: action_fnd\n", 4, "did you mean 'action_find'?"),
    ("flows:\n  a:\n    steps:\n    - link: ordr\n", 4, "no flow 'ordr'; did you mean 'order'?"),
    ("flows:\n  a:\n    steps:\n    - set_slots: [{size: huge}]\n", 4, "expected one of large, small"),
    ("flows:\n  a:\n    steps:\n    - set_slots: [{siz: small}]\n", 4, "did you mean 'size'?"),
    ("flows:\n  a:\n    nlu_trigger: [{intent: gret}]\n    steps:\n    - noop: true\n", 3, "did you mean 'greet'?"),
    (
        "flows:\n  a:\n    nlu_trigger: [order]\n    steps:\n    - noop: true\n",
        3,
        "starts a flow in data/flows.yml:7 already",
    ),
    ("flows:\n  a:\n    if: slots.size ==\n    steps:\n    - noop: true\n", 3, "expected a value"),
    ("flows:\n  a:\n    if: slots.sise is null\n    steps:\n    - noop: true\n", 3, "did you mean 'size'?"),
    (
        'flows:\n  a:\n    if: slots.size matches "("\n    steps:\n    - noop: true\n',
        3,
        "expected a regular expression",
    ),
    ("flows:\n  a:\n    steps:\n    - noop: true\n      next: b\n", 5, "which is no step"),
    (
        "flows:\n  a:\n    steps:\n    - {noop: true, id: b}\n    - {noop: true, id: b}\n",
        5,
        "used in data/my_flows.yml:4",
    ),
    ("flows:\n  a:\n    steps:\n    - noop: true\n      next: END\n    - noop: true\n", 6, "no path leads to"),
    ("flows:\n  a:\n    steps:\n    - {noop: true, id: b, next: b}\n", 4, "goes round for ever"),
    ("flows:\n  a:\n    steps:\n    - link: a\n", 2, "start one another without end: a -> a"),
    (
        "flows:\n  a:\n    steps:\n    - noop: true\n      next:\n      - {if: slots.size, then: END}\n",
        6,
        "- else: END",
    ),
    (
        "flows:\n  a:\n    steps:\n    - noop: true\n      next:\n      - {then: END}\n      - {else: END}\n",
        6,
        "`if` is missing",
    ),
    (
        "flows:\n  a:\n    steps:\n    - noop: true\n      next:\n      - else:\n        - action: utter_hello\n",
        7,
        "add `next: END`",
    ),
    ("flows:\n  a:\n    steps:\n    - {handoff: angry, next: b}\n", 4, "leaves the flow; remove its `next`"),
    (
        "flows:\n  a:\n    steps:\n    - collect: order_id\n      rejections:\n      - utter: utter_hello\n",
        6,
        "`if` is missing",
    ),
    ("flows:\n  order:\n    steps:\n    - noop: true\n", 2, "flow 'order' is written in data/flows.yml:6 already"),
]
IN_YAML = [
    ("nlu: []\nnlu: []\n", 2, "stands here again"),
    ("nlu:\n\t- intent: a\n", 2, "a tab in the indentation"),
    ("nlu: a: b\n", 1, "quotes"),
    ("nlu: [\n", 2, "not valid YAML"),
    ("a: *b\n", 1, "no anchor"),
    ("nlu: &a [*a]\n", 1, "inside what it refers to"),
    ("nlu: []\n---\nnlu: []\n", 2, "second document"),
    ("nlu: !!python/object:os.system x\n", 1, "not allowed"),
    ('nlu: "\\ud800"\n', 1, "surrogate"),
    ("nlu: []\n? [a]\n: b\n", 2, "cannot be a key"),
    (b"nlu:\n- \xff\n", 2, "not UTF-8"),
    (b"nlu:\n- \0\n", 2, "NUL"),
    ("- nlu\n", 1, "expected sections"),
    (f"nlu: {'[' * 70}{']' * 70}\n", 1, "nested deeper"),
]
IN_CONFIG = [
    ("language: [en]\n", 1, "`language` must be a text, found a list"),
    ("pipeline: [5]\n", 1, "expected a component such as `- name: DIETClassifier`"),
    ("piepline: []\n", 1, "did you mean 'pipeline'?"),
    ("a: b: c\n", 1, "not valid YAML"),
]
CASES = [
    *(("config.yml", *case) for case in IN_CONFIG),
    *((NLU, *case) for case in IN_EXAMPLES),
    *((DOMAIN, *case) for case in IN_DOMAIN),
    *((FLOWS, *case) for case in IN_FLOWS),
    *((NLU, *case) for case in IN_YAML),
]


@pytest.mark.parametrize(("name", "text", "line", "hint"), CASES)
def test_a_fault_is_named_with_its_place_and_a_hint(
    tmp_path: Path, name: str, text: str | bytes, line: int, hint: str
) -> None:
    with pytest.raises(ProjectErrors) as caught:
        load(tmp_path, {name: text})
    found = [error for error in caught.value.errors if hint in str(error)]
    assert found, f"{caught.value}"
    assert found[0].where == f"{name}:{line}"


def test_the_project_that_the_faults_are_added_to_has_none(tmp_path: Path) -> None:
    assert [str(warning) for warning in load(tmp_path).warnings] == []


def test_all_faults_of_a_project_are_shown_together(tmp_path: Path) -> None:
    with pytest.raises(ProjectErrors) as caught:
        load(tmp_path, {NLU: "nlu: 5\n", DOMAIN: "slots: 5\n", FLOWS: "flows: 5\n"})
    assert [error.where for error in caught.value.errors] == [f"{NLU}:1", f"{FLOWS}:1", f"{DOMAIN}:1"]
    assert "the project has 3 errors:" in str(caught.value)


def test_a_flood_of_faults_stays_on_one_screen(tmp_path: Path) -> None:
    with pytest.raises(ProjectErrors) as caught:
        load(tmp_path, {DOMAIN: "responses:\n" + "".join(f"  utter_{i}: 1\n" for i in range(100))})
    assert len(caught.value.errors) == 100
    assert len(str(caught.value).splitlines()) == 22


def test_a_fault_inside_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 12))
    with pytest.raises(ProjectErrors, match="aliases unfolded"):
        load(tmp_path, {NLU: f"l0: &l0 [x, x, x, x, x, x, x, x, x]\n{levels}"})


def test_a_folder_without_a_project_is_told_from_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ProjectErrors, match=r"expected domain\.yml or YAML files below data/"):
        load_project(tmp_path)
    with pytest.raises(ProjectError, match="there is no folder"):
        load_project(tmp_path / "nowhere")


def test_actions_that_are_no_python_are_refused_without_running_them(tmp_path: Path) -> None:
    with pytest.raises(ProjectErrors, match="not valid Python") as caught:
        load(tmp_path, {"actions.py": "x = 1\ndef broken(:\n"})
    assert caught.value.where == "actions.py:2"


def test_an_action_is_defined_once(tmp_path: Path) -> None:
    source = '@action("action_find")\ndef a(call): ...\n@action("action_find")\ndef b(call): ...\n'
    with pytest.raises(ProjectErrors, match=r"defined in actions\.py:2 already"):
        load(tmp_path, {"actions.py": source})


def test_missing_knowledge_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectErrors, match="no file or folder 'articles/'"):
        load(tmp_path, {"bot.yml": "knowledge: [articles/]\n"})


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"data/big.yml": b"# " + b"x" * 16_000_000})
    with pytest.raises(ProjectErrors, match="larger than 16,000,000 bytes"):
        load(tmp_path)
