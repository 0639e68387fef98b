"""Diagrams of a project: what is shared, where boxes stand, what is written."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.drawing.graph import Diagram, Node, diagrams
from bot.drawing.layout import ROW_GAP, place
from bot.drawing.page import dot, html, mermaid
from bot.project import load_project

DOMAIN = """
version: "3.1"
intents: [greet, bye, help, buy, pay]
slots:
  size: {type: text, mappings: [{type: from_text}]}
  paid: {type: bool, mappings: [{type: custom}]}
responses:
  utter_hi: [{text: hi}]
  utter_bye: [{text: bye}]
  utter_ask_size: [{text: Which size?}]
actions: [action_pay]
forms:
  shop_form: {required_slots: [size]}
"""
RULES = """
version: "3.1"
rules:
- rule: farewell
  steps:
  - or:
    - intent: bye
    - intent: help
  - action: utter_bye
- rule: submit
  condition:
  - active_loop: shop_form
  steps:
  - action: shop_form
  - active_loop: null
  - action: action_pay
"""
STORIES = """
version: "3.1"
stories:
- story: one
  steps:
  - intent: greet
  - action: utter_hi
  - intent: buy
  - action: shop_form
  - active_loop: shop_form
- story: two
  steps:
  - intent: greet
  - action: utter_hi
  - intent: pay
  - slot_was_set: [{paid: true}]
  - action: action_pay
  - action: utter_bye
- story: three
  steps:
  - intent: help
  - action: action_pay
  - action: utter_bye
"""
FLOWS = """
version: "3.1"
flows:
  hello:
    name: Hello
    description: Say hello.
    nlu_trigger: [{intent: greet}]
    steps: [{action: utter_hi}]
  buying:
    name: Buying
    description: Sell something.
    nlu_trigger: [{intent: buy}]
    steps:
    - id: ask
      collect: size
      next:
      - if: slots.size = "none"
        then: [{set_slots: [{size: null}], next: ask}]
      - else: [{action: action_pay, next: END}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "domain.yml").write_text(DOMAIN)
    (tmp_path / "data").mkdir()
    return tmp_path


def drawn(root: Path, **files: str) -> dict[str, Diagram]:
    for name, text in files.items():
        (root / "data" / f"{name}.yml").write_text(text)
    return {diagram.title: diagram for diagram in diagrams(load_project(root))}


def ways(diagram: Diagram) -> set[tuple[str, str]]:
    names = {node.id: " | ".join(node.lines) for node in diagram.nodes}
    return {(names[start], names[end]) for start, end in diagram.arrows}


def test_stories_share_beginnings_and_endings(project: Path) -> None:
    stories = drawn(project, stories=STORIES)["Stories"]
    shown = [node.lines[0] for node in stories.nodes]
    assert (shown.count("greet"), shown.count("utter_hi"), shown.count("utter_bye"), shown.count("action_pay")) == (
        1, 1, 1, 1,
    )  # fmt: skip
    assert {("utter_hi", "buy"), ("utter_hi", "pay"), ("pay", "paid = true"), ("help", "action_pay")} <= ways(stories)


def test_every_box_knows_its_places(project: Path) -> None:
    stories = drawn(project, stories=STORIES)["Stories"]
    (box,) = [node for node in stories.nodes if node.lines == ("utter_hi",)]
    assert box.title == "data/stories.yml:7  one\ndata/stories.yml:14  two"


def test_a_form_is_marked_and_its_beginning_goes_without_saying(project: Path) -> None:
    kinds = {node.lines[0]: node.kind for node in drawn(project, stories=STORIES)["Stories"].nodes}
    assert (kinds["shop_form"], kinds["utter_hi"], kinds["action_pay"], kinds["buy"]) == (
        "form",
        "bot",
        "action",
        "user",
    )
    assert "form shop_form is active" not in kinds


def test_rules_stand_by_themselves_and_ways_of_or_are_one_box(project: Path) -> None:
    rules = drawn(project, rules=RULES)["Rules"]
    assert ways(rules) == {
        ("bye | help", "utter_bye"), ("form shop_form is active", "shop_form"), ("shop_form", "form ends"),
        ("form ends", "action_pay"),
    }  # fmt: skip


def test_flows_are_drawn_one_by_one_and_plain_answers_together(project: Path) -> None:
    found = drawn(project, flows=FLOWS)
    assert list(found) == ["Buying", "Plain answers"]
    assert ways(found["Plain answers"]) == {("greet", "utter_hi")}
    assert {('size = "none"', "size = empty"), ("size = empty", "ask: size"), ("action_pay", "")} <= ways(
        found["Buying"]
    )
    assert next(node.title for node in found["Buying"].nodes if node.lines == ("ask: size",)) == "data/flows.yml:14"


def test_the_page_needs_nothing_else_and_is_well_formed(project: Path) -> None:
    page = html(list(drawn(project, stories=STORIES, rules=RULES).values()), "A <bot>")
    assert "A &lt;bot&gt;" in page and "http" not in page.replace("http-equiv", "")
    for picture in re.findall(r'<svg width="\d{3,}".*?</svg>', page, re.DOTALL):
        ElementTree.fromstring(picture)
    assert page.count('class="arrow"') == sum(len(d.arrows) for d in drawn(project).values())


def test_a_project_without_any_of_them_has_an_empty_page() -> None:
    assert "no flows, rules or stories" in html([], "nothing")


def test_mermaid_and_dot_hold_every_box_and_arrow() -> None:
    odd = Node("a", ('say "hi" <b>#1', "two"), "user", "f.yml:1")
    diagram = Diagram("T", "", (odd, Node("b", ("x",), "form")), (("a", "b"),))
    assert 'd0a(["say #quot;hi#quot; #lt;b#gt;#35;1<br/>two"])' in mermaid([diagram])
    assert "d0a --> d0b" in mermaid([diagram])
    text = dot([diagram])
    assert 'd0a [label="say \\"hi\\" <b>#1\\ntwo", shape=ellipse, tooltip="f.yml:1"];' in text and "d0a -> d0b;" in text


graphs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25)


@given(graphs)
@settings(max_examples=30, deadline=None)
def test_boxes_never_overlap_and_arrows_join_them(pairs: list[tuple[int, int]]) -> None:
    arrows = [(str(one), str(two)) for one, two in dict.fromkeys(pairs)]
    sizes = {str(n): (40.0 + 10 * n, 20.0 + 5 * (n % 3)) for n in range(10)}
    placed = place(sizes, arrows)
    for one, (x, y) in placed.boxes.items():
        for two, (x2, y2) in placed.boxes.items():
            apart_x = abs(x - x2) >= (sizes[one][0] + sizes[two][0]) / 2
            apart_y = abs(y - y2) >= (sizes[one][1] + sizes[two][1]) / 2 + ROW_GAP - 1e-6
            assert one == two or apart_x or apart_y
    for (start, end), points in placed.lines.items():
        assert {round(points[0][1], 6), round(points[-1][1], 6)} == {
            round(placed.boxes[start][1], 6), round(placed.boxes[end][1], 6),
        }  # fmt: skip
    assert len(placed.lines) == sum(start != end for start, end in arrows)


def test_a_chain_runs_level_from_left_to_right() -> None:
    placed = place(dict.fromkeys("abc", (50.0, 20.0)), [("a", "b"), ("b", "c")])
    (ax, ay), (bx, by), (cx, cy) = (placed.boxes[name] for name in "abc")
    assert ax < bx < cx and ay == by == cy
