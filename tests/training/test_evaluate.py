"""An evaluation counts what was served, and its page needs nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from bot.core.errors import InputError
from bot.core.events import Entity, Hit, Scored
from bot.core.protocols import Hits, Query, Understanding, Utterance
from training import evaluate as ev
from training.examples import OOS, FaqExample, IntentExample, SlotExample
from training.report import render


class Scripted:
    """Understands what it was told: text -> (intent, score, in scope, entities)."""

    name = "scripted"

    def __init__(self, known: dict[str, tuple[str, float, float, tuple[Entity, ...]]]) -> None:
        self.known = known

    def run(self, batch: Sequence[Utterance]) -> list[Understanding]:
        return [self._one(item.text) for item in batch]

    def _one(self, text: str) -> Understanding:
        intent, score, in_scope, entities = self.known[text]
        intents = (Scored(name=intent, score=score),) if intent else ()
        return Understanding(text, "en", text != "bonjour", intents, in_scope, 0.5, entities, "b")


class Shelves:
    """Finds documents in a given order."""

    def __init__(self, found: dict[str, list[str]], score: float = 0.9) -> None:
        self.found, self.score = found, score

    def search(self, queries: Sequence[Query]) -> list[Hits]:
        return [Hits(tuple(self._hit(name) for name in self.found[query.text]), 0.5, "i") for query in queries]

    def _hit(self, name: str) -> Hit:
        return Hit(chunk=f"{name}#1", document=name, title=name, text="", score=self.score)


def intent_report() -> ev.Report:
    bundle = Scripted(
        {
            "buy <b>now</b>": ("buy", 0.9, 0.9, ()),
            "send back": ("buy", 0.8, 0.4, ()),
            "return it": ("return", 0.6, 0.9, ()),
            "bonjour": ("", 0.0, 0.0, ()),
            "the weather": ("buy", 0.7, 0.6, ()),
            "who won": ("buy", 0.3, 0.2, ()),
        }
    )
    gold = {
        "buy <b>now</b>": "buy",
        "send back": "return",
        "return it": "return",
        "bonjour": "greet",
        "the weather": OOS,
        "who won": OOS,
    }
    return ev.evaluate_intent(bundle, [IntentExample(text, intent, where="f:1") for text, intent in gold.items()])


def value(report: ev.Report, name: str) -> float:
    found: float = report["metrics"][name]["value"]
    return found


def test_in_scope_and_out_of_scope_rows_are_counted_apart() -> None:
    report = intent_report()
    assert (value(report, "accuracy"), report["metrics"]["accuracy"]["n"]) == (0.5, 4)
    assert (value(report, "oos_recall"), report["metrics"]["oos_recall"]["n"]) == (0.5, 2)
    assert value(report, "in_scope_acceptance") == 0.5
    assert report["rows"] == 6
    assert all(figure["low"] <= figure["value"] <= figure["high"] for figure in report["metrics"].values())


def test_the_surest_errors_come_first_with_their_place() -> None:
    worst = intent_report()["worst"]
    assert [item["text"] for item in worst] == ["send back", "the weather", "bonjour"]
    assert (worst[0]["gold"], worst[0]["predicted"], worst[0]["where"]) == ("return", "buy", "f:1")


def test_confusions_and_foreign_rows_are_named() -> None:
    report = intent_report()
    pairs = {(item["gold"], item["predicted"]): item["examples"] for item in report["confusions"]}
    assert pairs == {("return", "buy"): ["send back"], ("greet", "(none)"): ["bonjour"]}
    assert "1 of 6 rows" in report["notes"][0]


def test_a_report_is_plain_json() -> None:
    report = intent_report()
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def entity(text: str, part: str, kind: str, extractor: str = "head") -> Entity:
    start = text.index(part)
    return Entity(type=kind, value=part, text=part, start=start, end=start + len(part), extractor=extractor)


def test_slots_count_when_borders_and_kind_are_right() -> None:
    text = "play jazz by ella today"
    tags = ("O", "B-genre", "O", "B-artist", "O")
    found = (
        entity(text, "jazz", "genre"),
        entity(text, "by ella", "artist"),
        entity(text, "today", "time", "built-in"),
    )
    report = ev.evaluate_entities(Scripted({text: ("", 0, 0, found)}), [SlotExample(tuple(text.split()), tags)])
    assert value(report, "slot_f1") == 0.5
    assert value(report, "exact_match") == 0.0
    assert [row["label"] for row in report["per_class"]] == ["artist", "genre"]
    assert report["confusions"][0]["predicted"] == "artist (other border)"


def test_ranks_of_documents_are_scored() -> None:
    rows = [FaqExample("q1", "a"), FaqExample("q2", "b"), FaqExample("q3", None)]
    shelves = Shelves({"q1": ["a", "b"], "q2": ["a", "a", "b"], "q3": ["a"]})
    report = ev.evaluate_retrieval(shelves, rows)
    assert (value(report, "recall@1"), value(report, "recall@5"), value(report, "mrr")) == (0.5, 1.0, 0.75)
    assert (value(report, "answered"), value(report, "refused")) == (1.0, 0.0)
    assert [(item["text"], item["rank"]) for item in report["worst"]] == [("q2", 2)]


def test_a_row_of_an_ingested_file_is_known_by_its_own_id() -> None:
    report = ev.evaluate_retrieval(Shelves({"q": ["kb#x", "kb#a"]}), [FaqExample("q", "a")])
    assert value(report, "mrr") == 0.5


def test_nothing_found_below_the_floor_is_a_refusal() -> None:
    report = ev.evaluate_retrieval(Shelves({"q": ["a"]}, score=0.1), [FaqExample("q", None)])
    assert value(report, "refused") == 1.0


@pytest.mark.parametrize("measure", [ev.evaluate_intent, ev.evaluate_entities])
def test_no_rows_are_refused(measure: object) -> None:
    with pytest.raises(InputError, match="at least one row"):
        measure(Scripted({}), [])  # type: ignore[operator]


class Tags(HTMLParser):
    """Collects tags and where they point."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [content or "" for name, content in attrs if name in ("src", "href", "action")]


def test_the_page_is_whole_and_asks_for_nothing_from_outside() -> None:
    page, parser = render(intent_report()), Tags()
    parser.feed(page)
    assert parser.addresses == []
    assert not re.search(r"url\(|@import|https?://", page)
    assert parser.tags.count("table") == 3
    assert parser.tags.count("svg") > 5


def test_texts_of_customers_are_escaped() -> None:
    page = render(intent_report(), title="<script>")
    assert "buy &lt;b&gt;" not in page  # it was right, so it is in no table
    assert "&lt;script&gt;" in page
    report = intent_report()
    report["worst"][0]["text"] = "<img src=x onerror=alert(1)>"
    assert "<img" not in render(report)


def test_a_perfect_result_draws_a_page_without_errors() -> None:
    bundle = Scripted({"hi": ("greet", 1.0, 1.0, ())})
    page = render(ev.evaluate_intent(bundle, [IntentExample("hi", "greet")]))
    assert "What it mixes up" not in page
    assert "Label by label" in page
