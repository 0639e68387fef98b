"""Rows are read whole or refused with their places."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bot.core import events as ev
from bot.core.errors import InputError, NotFound
from bot.core.messages import Message, Text
from bot.project.nlu import NluData, NluExample
from training import data
from training.examples import IntentExample, Origin, SlotExample
from training.metrics import spans


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_intent_rows_are_read_with_their_places(tmp_path: Path) -> None:
    rows = data.read_intents(write(tmp_path / "rows.jsonl", '{"text": "cafe\\u0301", "intent": "eat", "x": 1}'))
    assert rows == (IntentExample("café", "eat", "en"),)
    assert rows[0].where == "rows.jsonl:1"


def test_packed_files_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "hi", "intent": "greet", "lang": "de"}\n'))
    assert data.read_intents(path)[0].lang == "de"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged"):
        data.read_intents(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "expected one JSON object"),
        ("[" * 100_000, "expected one JSON object"),
        ("3", "expected a JSON object, found a number"),
        ('{"intent": "a"}', "'text': expected a text, found nothing"),
        ('{"text": " ", "intent": "a"}', "'text': expected a text, found an empty string"),
        ('{"text": ["x"], "intent": "a"}', "'text': expected a text, found a list"),
        ('{"text": "x", "intent": null}', "'intent': expected a text, found nothing"),
        ('{"text": "x", "intent": "a", "lang": 1}', "'lang': expected a language code"),
        ('{"text": "\\ud800", "intent": "a"}', "half a surrogate pair"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "rows.jsonl", '{"text": "x", "intent": "a"}', "", line)
    with pytest.raises(InputError) as caught:
        data.read_intents(path)
    assert "rows.jsonl:3: " in str(caught.value)
    assert message in str(caught.value)


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"12 bad rows(.|\n)*and 2 more"):
        data.read_intents(write(tmp_path / "rows.jsonl", *["{}"] * 12))


def test_files_that_are_not_there_empty_or_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        data.read_intents(tmp_path / "none")
    with pytest.raises(InputError, match="found a folder"):
        data.read_intents(tmp_path)
    with pytest.raises(InputError, match="at least one row"):
        data.read_intents(write(tmp_path / "empty.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes('{"text": "é", "intent": "a"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.jsonl:1: expected UTF-8"):
        data.read_intents(tmp_path / "latin.jsonl")


def test_slot_rows_get_a_text_and_offsets(tmp_path: Path) -> None:
    line = {"tokens": ["fly", "to", "São", "Paulo"], "tags": ["O", "O", "B-to", "I-to"], "intent": "fly"}
    (row,) = data.read_slots(write(tmp_path / "rows.jsonl", json.dumps(line)))
    assert row.text == "fly to São Paulo"
    assert [row.text[start:end] for start, end in row.offsets] == list(row.tokens)


def test_chinese_tokens_are_joined_without_spaces() -> None:
    row = SlotExample(("北", "京"), ("B-city", "I-city"), lang="zh")
    assert (row.text, row.offsets) == ("北京", ((0, 1), (1, 2)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"tokens": ["a"], "tags": ["O", "O"]}', "1 tokens and 2 tags"),
        ('{"tokens": ["a"], "tags": ["X-a"]}', "expected O, B-NAME or I-NAME, found 'X-a'"),
        ('{"tokens": [], "tags": []}', "'tokens': expected a list of strings"),
        ('{"tokens": ["a", ""], "tags": ["O", "O"]}', "'tokens': expected a list of strings"),
    ],
)
def test_bad_slot_rows_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        data.read_slots(write(tmp_path / "rows.jsonl", line))


def test_queries_of_faq_and_qa_files_are_read(tmp_path: Path) -> None:
    faq = '{"query": "open?", "id": null}'
    qa = '{"id": "q1", "question": "who?", "context_id": "p1", "answers": []}'
    first, second = data.read_queries(write(tmp_path / "rows.jsonl", faq, qa))
    assert (first.text, first.id) == ("open?", None)
    assert (second.text, second.id) == ("who?", "p1")
    entry = '{"id": "e", "question": "Q?", "answer": "A."}'
    passage = '{"id": "p", "title": "T", "text": "body"}'
    one, two = data.read_passages(write(tmp_path / "kb.jsonl", entry, passage))
    assert (one.question, one.answer, two.title, two.text) == ("Q?", "A.", "T", "body")


def span(text: str, part: str, kind: str, role: str | None = None) -> ev.Entity:
    start = text.index(part)
    return ev.Entity(type=kind, value=part, text=part, start=start, end=start + len(part), role=role)


def test_annotated_examples_become_tagged_words() -> None:
    text = "from New York to Oslo, 10kg"
    entities = (
        span(text, "New York", "city", "from"),
        span(text, "Oslo", "city", "to"),
        span(text, "10", "weight"),
    )
    nlu = NluData(examples=(NluExample(text, "fly", entities, "nlu.yml:3"), NluExample("hi", "greet")))
    intents, slots = data.from_project(nlu, "en")
    assert [row.intent for row in intents] == ["fly", "greet"]
    found = {
        (slots[0].text[slots[0].offsets[a][0] : slots[0].offsets[b - 1][1]], kind)
        for a, b, kind in spans(slots[0].tags)
    }
    assert found == {("New York", "city#from"), ("Oslo", "city#to"), ("10", "weight")}
    assert set(slots[1].tags) == {"O"}


def test_projects_without_annotations_have_no_slot_rows() -> None:
    assert data.from_project(NluData(examples=(NluExample("hi", "greet"),)), "en")[1] == ()


def recorded(*events: ev.Event) -> list[ev.Recorded]:
    return [ev.Recorded(conversation="c", seq=seq, turn=1, at=0.0, event=event) for seq, event in enumerate(events, 1)]


def said(text: str) -> ev.Received:
    return ev.Received(message=Message(id="m", parts=(Text(text=text),)), key="k", channel="web")


def test_the_last_correction_counts_and_unjudged_parts_stay() -> None:
    entity = span("to Oslo", "Oslo", "city")
    history = recorded(
        said("to Oslo"),
        ev.Corrected(target=1, intent="fly"),
        ev.Corrected(target=1, intent="book"),
        ev.Corrected(target=1, intent="fly", source="click"),
        ev.Corrected(target=1, entities=(entity,)),
    )
    intents, slots = data.reviewed(history)
    assert [row.intent for row in intents] == ["book"]
    assert slots[0].tags == ("O", "B-city")


def test_what_speech_recognition_heard_is_the_text() -> None:
    heard = ev.Transcribed(text="to oslo", language="en", bundle="b")
    history = recorded(said(""), heard, ev.Corrected(target=1, intent="fly"))
    assert data.reviewed(history)[0][0].text == "to oslo"


def test_button_presses_and_turns_that_nobody_judged_teach_nothing() -> None:
    pressed = ev.Understood(text="/fly", language="en", source="payload")
    assert data.reviewed(recorded(said("/fly"), pressed, ev.Corrected(target=1, intent="fly"))) == ((), ())
    assert data.reviewed(recorded(said("hello"))) == ((), ())


def test_the_digest_of_rows_depends_on_content_alone() -> None:
    one, two = IntentExample("a", "x", where="f:1"), IntentExample("b", "x", where="f:2")
    assert data.data_set("n", [one, two]) == data.data_set("n", [two, IntentExample("a", "x", where="g:9")])
    assert data.data_set("n", [one]).sha256 != data.data_set("n", [two]).sha256


def test_rows_tell_where_they_come_from(tmp_path: Path) -> None:
    line = '{"text": "hi", "intent": "greet", "conversation": "c7", "channel": "web", "at": "2026-03-09T10:00:00Z"}\n'
    (tmp_path / "rows.jsonl").write_text(line + '{"text": "bye", "intent": "leave", "at": "yesterday"}\n')
    told, untold = data.read_intents(tmp_path / "rows.jsonl")
    assert told.origin == Origin("c7", "web", "2026-03", "")
    assert untold.origin == Origin()
