"""The demo shops: as much in them as promised, nothing written twice, every reference leads somewhere."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import Counter
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.actions import LocalActions
from bot.core.protocols import ActionCall
from bot.project import Project, load_project
from bot.scenarios import read_scenarios

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHOP, CHINESE = EXAMPLES / "shop", EXAMPLES / "shop_zh"
NOW = 1_795_341_600.0
"""2026-11-22, a Sunday, 10:00 UTC."""


@cache
def project(root: Path) -> Project:
    return load_project(root)


def normal(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


@cache
def logs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SHOP / "logs" / "conversations.jsonl").read_text("utf-8").splitlines()]


def trained(root: Path) -> set[str]:
    return {normal(example.text) for example in project(root).nlu.examples}


def logged() -> set[str]:
    said = {turn["text"] for talk in logs() for turn in talk["turns"] if turn["speaker"] == "user"}
    pools = {text for pool in yaml(SHOP / "logs" / "phrasings.yml").values() for text in pool["ask"]}
    return {normal(text) for text in said | pools}


def spoken(root: Path) -> list[str]:
    """What users say in the tests, bare numbers left out."""
    said = [step.user for scenario in read_scenarios(root) for step in scenario.steps]
    return [text for text in map(normal, said) if text and not text.isdigit()]


@pytest.mark.parametrize("root", [SHOP, CHINESE], ids=["shop", "shop_zh"])
def test_loads_without_a_warning(root: Path) -> None:
    assert project(root).warnings == ()


def test_the_shop_has_intents_with_enough_examples() -> None:
    count = Counter(example.intent for example in project(SHOP).nlu.examples)
    assert len(count) >= 30 and min(count.values()) >= 24
    assert set(count) == set(project(SHOP).program.intents)


def test_the_chinese_shop_has_ten_intents_and_articles() -> None:
    count = Counter(example.intent for example in project(CHINESE).nlu.examples)
    assert len(count) >= 10 and min(count.values()) >= 15
    assert len(list((CHINESE / "knowledge").glob("*.md"))) == 10


@pytest.mark.parametrize("root", [SHOP, CHINESE], ids=["shop", "shop_zh"])
def test_no_training_example_is_written_twice(root: Path) -> None:
    count = Counter(normal(example.text) for example in project(root).nlu.examples)
    assert [text for text, times in count.items() if times > 1] == []


@pytest.mark.parametrize("root", [SHOP, CHINESE], ids=["shop", "shop_zh"])
def test_what_the_tests_say_was_not_trained_on(root: Path) -> None:
    assert trained(root).isdisjoint(spoken(root))


def test_logs_hold_new_sentences() -> None:
    assert trained(SHOP).isdisjoint(logged())
    assert logged().isdisjoint(spoken(SHOP))


@pytest.mark.parametrize(("root", "least"), [(SHOP, 60), (CHINESE, 10)], ids=["shop", "shop_zh"])
def test_there_are_enough_test_conversations(root: Path, least: int) -> None:
    names = [scenario.name for scenario in read_scenarios(root)]
    assert len(names) == len(set(names)) >= least


def test_the_demo_asks_twelve_questions() -> None:
    (demo,) = read_scenarios(SHOP / "demo.yml")
    assert len(demo.steps) == 12
    assert all(step.assertions for step in demo.steps)


def front_matter(path: Path) -> tuple[dict[str, str], str]:
    _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
    return YAML(typ="safe").load(head), body


@pytest.mark.parametrize(("root", "address"), [(SHOP, "help"), (CHINESE, "zh/help")], ids=["shop", "shop_zh"])
def test_every_article_has_a_title_and_its_address(root: Path, address: str) -> None:
    titles = []
    for path in sorted((root / "knowledge").glob("*.md")):
        head, _ = front_matter(path)
        titles.append(head["title"])
        assert head["url"] == f"https://kettle.example/{address}/{path.stem}"
    assert len(titles) == len(set(titles))


def test_articles_are_many_and_neither_short_nor_long() -> None:
    words = {path.stem: len(front_matter(path)[1].split()) for path in (SHOP / "knowledge").glob("*.md")}
    assert len(words) >= 44
    assert {stem: count for stem, count in words.items() if not 80 <= count <= 250} == {}


@pytest.mark.parametrize("root", [SHOP, CHINESE], ids=["shop", "shop_zh"])
def test_assertions_name_things_that_exist(root: Path) -> None:
    program = project(root).program
    known = {
        "flow": set(program.flows),
        "source": {path.stem for path in (root / "knowledge").glob("*.md")},
        "action": set(program.actions),
        "slot": set(program.slots),
        "utter": set(program.responses),
        "clarification": set(program.intents),
    }
    files = [root, SHOP / "demo.yml"] if root == SHOP else [root]
    for scenario in (scenario for path in files for scenario in read_scenarios(path)):
        for assertion in (assertion for step in scenario.steps for assertion in step.assertions):
            kind = assertion.name.split("_")[0].replace("bot", "utter")
            wanted = set(names(kind, assertion.value))
            assert wanted <= known.get(kind, wanted), assertion.where


def names(kind: str, value: Any) -> list[str]:
    """The names that an assertion's value refers to."""
    if kind == "utter":
        return [value["utter_name"]] if "utter_name" in value else []
    if kind == "slot":
        return [item["name"] for item in value]
    return list(value) if isinstance(value, list) else [str(value)]


def test_every_flow_of_an_order_is_tested_to_its_end() -> None:
    done = {
        a.value for s in read_scenarios(SHOP) for step in s.steps for a in step.assertions if a.name.startswith("flow")
    }
    assert {flow.id for flow in project(SHOP).program.flows.values() if flow.collects} <= done


def test_log_has_its_conversations_ratings_and_corrections() -> None:
    turns = [turn for talk in logs() for turn in talk["turns"]]
    assert len(logs()) == 300 == len({talk["id"] for talk in logs()})
    assert sum("correction" in turn for turn in turns) >= 120
    assert {turn["rating"] for turn in turns if "rating" in turn} == {1, -1}
    assert {talk["outcome"] for talk in logs()} == {"resolved", "handed_off", "abandoned"}


def test_log_uses_known_intents_and_times_in_order() -> None:
    intents = {*project(SHOP).program.intents, "oos"}
    for talk in logs():
        users = [turn for turn in talk["turns"] if turn["speaker"] == "user"]
        assert {turn["intent"] for turn in users} <= intents
        assert {turn["correction"]["intent"] for turn in users if "correction" in turn} <= intents
        assert [turn["at"] for turn in talk["turns"]] == sorted(turn["at"] for turn in talk["turns"])


def test_log_can_be_made_again_byte_for_byte() -> None:
    spec = spec_from_file_location("make_logs", SHOP / "logs" / "make_logs.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "".join(module.lines()) == (SHOP / "logs" / "conversations.jsonl").read_text(encoding="utf-8")
    assert "".join(module.agent_lines()) == (SHOP / "logs/people/agents.jsonl").read_text(encoding="utf-8")


def test_lookups_and_annotations_use_declared_entities() -> None:
    nlu, declared = project(SHOP).nlu, set(project(SHOP).program.entities)
    used = {entity.type for example in nlu.examples for entity in example.entities}
    assert used | set(nlu.lookups) | set(nlu.regexes) == declared


# The actions, on a database of their own ----------------------------------------------------------------------------


class Desk:
    """The shop's actions in a folder of their own, at a fixed time."""

    def __init__(self, folder: Path) -> None:
        for name in ("actions.py", "orders.sql"):
            shutil.copy(SHOP / name, folder / name)
        self.actions = LocalActions(folder, program=project(SHOP).program)

    def run(self, name: str, key: str = "k", conversation: str = "c", now: float = NOW, **slots: str) -> dict[str, Any]:
        call = ActionCall(name, key, conversation, "s", slots, "", now)
        return dict(asyncio.run(self.actions.run(call)).slots)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_domain_declares_the_actions_of_the_file(desk: Desk) -> None:
    assert set(desk.actions.names) == set(project(SHOP).program.actions)


@pytest.mark.parametrize(
    ("order_id", "state"),
    [("48213", "shipped"), ("48240", "placed"), ("48234", "packed"), ("48190", "delivered"), ("48118", "cancelled")],
)
def test_an_order_is_found_in_its_state(desk: Desk, order_id: str, state: str) -> None:
    assert desk.run("action_find_order", order_id=order_id)["order_state"] == state


def test_an_unknown_order_is_not_found(desk: Desk) -> None:
    assert desk.run("action_find_order", order_id="48999") == {"order_found": False}


@pytest.mark.parametrize(
    ("order_id", "state"),
    [
        ("48202", "allowed"),
        ("48153", "too_late"),
        ("48219", "not_delivered"),
        ("48184", "already"),
        ("48222", "cancelled"),
    ],
)
@pytest.mark.parametrize("later", [0, 3, 40, 400, 4000])
def test_whether_a_return_is_allowed_does_not_change_as_the_demo_grows_old(
    desk: Desk, order_id: str, state: str, later: int
) -> None:
    slots = desk.run("action_check_return", order_id=order_id, now=NOW + later * 86_400)
    assert slots["return_state"] == state


def test_a_repeated_call_gives_the_same_result_and_does_nothing_twice(desk: Desk) -> None:
    first = desk.run("action_open_return", key="one", order_id="48202", return_reason="damaged")
    again = desk.run("action_open_return", key="one", order_id="48202", return_reason="damaged")
    assert first == again == {"return_state": "opened", "return_code": "R48202-1"}
    assert desk.run("action_open_return", key="two", order_id="48202") == {"return_state": "refused"}


def test_a_cancelled_order_is_cancelled_for_this_conversation_only(desk: Desk) -> None:
    assert desk.run("action_cancel_order", key="one", order_id="48246")["order_cancelled"] is True
    assert desk.run("action_find_order", order_id="48246")["order_state"] == "cancelled"
    assert desk.run("action_find_order", order_id="48246", conversation="other")["order_state"] == "placed"


def test_what_has_left_can_be_neither_cancelled_nor_sent_elsewhere(desk: Desk) -> None:
    assert desk.run("action_cancel_order", key="one", order_id="48213") == {"order_cancelled": False}
    assert desk.run("action_change_address", key="two", found_order="48213") == {"address_changed": False}


@pytest.mark.parametrize(
    ("order_id", "state"),
    [("48160", "paid"), ("48184", "checking"), ("48222", "cancelled"), ("48205", "none_due")],
)
def test_a_refund_is_where_it_is(desk: Desk, order_id: str, state: str) -> None:
    assert desk.run("action_refund_status", order_id=order_id)["refund_state"] == state


@pytest.mark.parametrize(
    ("day", "time", "state"),
    [
        ("2026-11-24", "11:00", "booked"),
        ("Tuesday", "at 11:00", "booked"),
        ("tomorrow", "3pm", "booked"),
        ("2026-11-24T00:00:00", "2026-11-24T15:00:00", "taken"),
        ("2026-11-29", "10:30", "closed"),
        ("Wednesday", "18:30", "closed"),
        ("2026-11-20", "10:30", "past"),
        ("one fine day", "soon", "unclear"),
    ],
)
def test_a_call_is_booked_when_somebody_is_free(desk: Desk, day: str, time: str, state: str) -> None:
    slots = desk.run("action_book_callback", callback_date=day, callback_time=time, phone="0470 12 34 56")
    assert slots["callback_state"] == state


def test_complaints_and_invoices_are_written_down(desk: Desk) -> None:
    assert desk.run("action_file_complaint", key="one", complaint_details="wet")["complaint_number"] == "C0001"
    assert desk.run("action_send_invoice", key="two", order_id="48190", email="a@b.example") == {"invoice_sent": True}


def test_the_chinese_shop_finds_its_orders() -> None:
    actions = LocalActions(CHINESE, program=project(CHINESE).program)
    call = ActionCall("action_find_order", "k", "c", "s", {"order_id": "48213"}, "", NOW)
    assert asyncio.run(actions.run(call)).slots["order_state"] == "运输中"
