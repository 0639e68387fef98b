"""Answers that a generator words: asked for once, said with the passages they rest on, or as approved."""

from __future__ import annotations

import pytest

from bot.core import events as ev
from bot.core.errors import IllegalHistory
from bot.core.messages import Message
from tests.core.talk import Talk, hit, program

DAYS = hit("Thirty days.", 0.9)
PAYS = DAYS.model_copy(update={"chunk": "k2", "document": "fees", "title": "Fees", "score": 0.8})
POOR = DAYS.model_copy(update={"chunk": "k3", "score": 0.1})
WORDS = "You have thirty days. It is free."


def talk(wording: ev.Generated) -> Talk:
    found = Talk(program(generates=True), hits=[DAYS, PAYS, POOR])
    found.wording = wording
    return found


def said(found: Talk) -> Message:
    reply = found.last(ev.Replied)
    assert isinstance(reply, ev.Replied)
    return reply.message


def test_an_answer_is_worded_from_the_passages_above_the_floor() -> None:
    found = talk(ev.Generated(model="m", text=WORDS, cited=(ev.Cited(start=0, end=21, chunk="k1"),)))
    assert found.say("how long can I return?", "refunds") == WORDS
    assert found.asked is not None and found.asked.approved == "Thirty days."
    assert [item.chunk for item in found.asked.hits] == ["k1", "k2"]
    assert found.kinds(1)[2:] == ["predicted", "retrieved", "generated", "replied", "settled"]


def test_each_source_names_the_sentences_that_rest_on_it() -> None:
    cited = (ev.Cited(start=0, end=21, chunk="k1"), ev.Cited(start=22, end=33, chunk="k2"))
    found = talk(ev.Generated(model="m", text=WORDS, cited=cited))
    found.say("how long?", "refunds")
    assert [(source.title, source.spans) for source in said(found).sources] == [
        ("Returns", ((0, 21),)), ("Fees", ((22, 33),)),
    ]  # fmt: skip


def test_a_text_that_cites_nothing_is_said_with_the_best_passage() -> None:
    found = talk(ev.Generated(model="m", text=WORDS))
    found.say("how long?", "refunds")
    assert [source.chunk for source in said(found).sources] == ["k1"]


def test_a_refused_wording_leaves_the_approved_text_with_its_source() -> None:
    found = talk(ev.Generated(model="m", fallback="support", rejected="It is free."))
    assert found.say("how long?", "refunds") == "Thirty days."
    assert [(source.chunk, source.spans) for source in said(found).sources] == [("k1", ())]


def test_below_the_floor_nothing_is_worded() -> None:
    found = Talk(program(generates=True), hits=[POOR])
    found.say("how long?", "refunds")
    assert found.asked is None


def test_nothing_is_worded_outside_a_turn() -> None:
    found = talk(ev.Generated(model="m", text=WORDS))
    with pytest.raises(IllegalHistory, match="generated"):
        found.add(ev.Generated(model="m", text=WORDS))
