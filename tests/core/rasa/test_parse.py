"""Understood texts in Rasa's shape, and entities read back."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core import events as ev
from bot.core.program import Button, Intent, Program, SlotEquals, Variation
from bot.core.rasa.parse import rasa_entity, rasa_parse, rasa_response, read_entities, read_ranking
from bot.core.script import Script
from tests.core.rasa.wire import understood

FAQ = Program(
    intents={
        name: Intent(name=name, label=name, retrieval="/" in name) for name in ("greet", "faq/hours", "faq/place")
    },
    responses={"utter_faq/hours": (Variation(text="From nine to five."),)},
)


def scored(**scores: float) -> tuple[ev.Scored, ...]:
    return tuple(ev.Scored(name=name.replace("__", "/"), score=score) for name, score in scores.items())


def test_intents_are_ranked() -> None:
    found = rasa_parse(understood(intents=scored(greet=0.75, bye=0.25), text="hi there"), Program())
    assert found["intent"] == {"name": "greet", "confidence": 0.75}
    assert found["intent_ranking"] == [{"name": "greet", "confidence": 0.75}, {"name": "bye", "confidence": 0.25}]
    assert (found["text"], found["text_tokens"]) == ("hi there", [[0, 2], [3, 8]])
    assert found["response_selector"] == {"all_retrieval_intents": []}


def test_what_the_projects_thresholds_doubt_is_a_fallback() -> None:
    doubting = Program(script=Script(threshold=0.8))
    found = rasa_parse(understood(intents=scored(greet=0.75), in_scope=0.75), doubting)
    assert [intent["name"] for intent in found["intent_ranking"]] == ["nlu_fallback", "greet"]


@pytest.mark.parametrize("intents", [(), scored(greet=0.9)])
def test_what_fits_no_intent_is_a_fallback(intents: tuple[ev.Scored, ...]) -> None:
    found = rasa_parse(understood(intents=intents, in_scope=0.25), Program())
    assert found["intent"] == found["intent_ranking"][0] == {"name": "nlu_fallback", "confidence": 0.75}
    assert len(found["intent_ranking"]) == 1 + len(intents)


def test_a_retrieval_intent_is_ranked_whole_and_its_answer_selected() -> None:
    found = rasa_parse(understood(intents=scored(faq__hours=0.5, greet=0.25, faq__place=0.25)), FAQ)
    assert found["intent"] == {"name": "faq", "confidence": 0.75, "full_retrieval_intent_name": "faq/hours"}
    assert [row["name"] for row in found["intent_ranking"]] == ["faq", "greet"]
    selected = found["response_selector"]
    assert selected["all_retrieval_intents"] == ["faq"]
    assert selected["faq"]["response"] == {
        "responses": [{"text": "From nine to five."}],
        "confidence": 0.5,
        "intent_response_key": "faq/hours",
        "utter_action": "utter_faq/hours",
    }
    assert selected["faq"]["ranking"][1] == {"confidence": 0.25, "intent_response_key": "faq/place"}


def test_a_slash_alone_makes_no_retrieval_intent() -> None:
    odd = Program(intents={"a/b": Intent(name="a/b", label="x")})
    assert rasa_parse(understood("a/b"), odd)["intent"]["name"] == "a/b"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"confidence_entity": 0.5, "extractor": "x"}),
        ({"role": "to"}, {"confidence_entity": 0.5, "role": "to", "confidence_role": 0.5, "extractor": "x"}),
        ({"group": "1"}, {"confidence_entity": 0.5, "group": "1", "confidence_group": 0.5, "extractor": "x"}),
        ({"extractor": "RegexMessageHandler"}, {"extractor": "RegexMessageHandler"}),
    ],
)
def test_an_entity_has_the_keys_that_say_something(more: dict[str, Any], expected: dict[str, Any]) -> None:
    fields = {
        "type": "city",
        "value": "Bonn",
        "text": "Bonn",
        "start": 3,
        "end": 7,
        "confidence": 0.5,
        "extractor": "x",
    }
    found = rasa_entity(ev.Entity.model_validate(fields | more))
    assert found == {"entity": "city", "start": 3, "end": 7, "value": "Bonn"} | expected


def test_entities_are_read_from_lists_and_maps() -> None:
    (a, b, c) = read_entities({"a": "x", "b": ["y", 5]})
    assert [(e.type, e.value, e.text) for e in (a, b, c)] == [("a", "x", "x"), ("b", "y", "y"), ("b", 5, "5")]
    listed = [{"entity": "a", "value": None, "start": 1.0, "end": 2}, "no entity", {"value": 1}]
    (only,) = read_entities(listed, "xyz")
    assert (only.text, only.start, only.end, only.confidence) == ("y", 1, 2, 1.0)
    assert read_entities(None) == read_entities("x") == ()
    (bare,) = read_entities([{"entity": "a"}])
    assert bare.text == "" and bare.value is None


@pytest.mark.parametrize(
    ("parsed", "names", "sure"),
    [
        ({}, [], 0.0),
        ({"intent": {"name": "a"}}, ["a"], 1.0),
        ({"intent": None, "intent_ranking": [{"name": None}, "x"]}, [], 0.0),
        ({"intent_ranking": [{"name": "nlu_fallback", "confidence": 0.75}, {"name": "a"}]}, ["a"], 0.25),
        ({"intent": {"name": "faq", "full_retrieval_intent_name": "faq/x"}}, ["faq/x"], 1.0),
        ({"intent": {"name": "b", "full_retrieval_intent_name": "faq/x"}}, ["b"], 1.0),
    ],
)
def test_rankings_are_read(parsed: dict[str, Any], names: list[str], sure: float) -> None:
    found, in_scope = read_ranking(parsed)
    assert ([scored.name for scored in found], in_scope) == (names, sure)


def test_a_response_is_told_as_a_domain_writes_it() -> None:
    full = Variation(
        text="Hi", image="i", custom={"a": 1}, attachment={"type": "t"}, channel="rest", id="1",
        buttons=(Button(title="Go", payload="/go"),), quick_replies=(Button(title="No", payload="/no"),),
        elements=({"title": "T"},), conditions=(SlotEquals(slot="s", value=1),), metadata={"m": 1},
    )  # fmt: skip
    assert rasa_response(full) == {
        "text": "Hi",
        "image": "i",
        "custom": {"a": 1},
        "attachment": {"type": "t"},
        "channel": "rest",
        "id": "1",
        "buttons": [{"title": "Go", "payload": "/go"}],
        "quick_replies": [{"title": "No", "payload": "/no"}],
        "elements": [{"title": "T"}],
        "condition": [{"type": "slot", "name": "s", "value": 1}],
        "metadata": {"m": 1},
    }
