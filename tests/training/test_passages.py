"""Passages that answered: which rows a log gives, on which side they are, and how they are judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.projection import QueryProjection
from retrieval.search import KnowledgeIndex
from tests.retrieval.embedder import BagOfWords
from tests.training.faq import faq_index
from training.examples import Origin, PassageExample
from training.labels import Label, Provenance, RuleBook, Signals
from training.passages import by_weeks, judged, passages
from training.recipes.projection import Pair, ProjectionOptions, fit_projection, smallest
from training.signals.turns import LoggedTurn

WEEK = 7 * 86_400.0
ENTRIES = {
    "returns": ("How do I send a kettle back?", "Print a label and post the parcel within thirty days."),
    "pay": ("How can I pay?", "By card, transfer or invoice."),
    "hours": ("When are you open?", "From nine to five on weekdays."),
    "lost": ("Where is my parcel?", "Track it with the number in the message."),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeIndex:
    return faq_index(tmp_path_factory.mktemp("passages"), ENTRIES)


def chunk(index: KnowledgeIndex, name: str) -> str:
    return next(chunk.id for chunk in index.chunks if chunk.document == f"faq#{name}")


def row(index: KnowledgeIndex, text: str, name: str, user: str = "", week: float = 0) -> PassageExample:
    where = Origin(group=f"talk of {user}", user=user)
    return PassageExample(text, chunk(index, name), f"faq#{name}", origin=where, at=1 + week * WEEK)


def liked(turn: LoggedTurn, value: str, confidence: float) -> Label:
    vote = Provenance("thumb_up", 1, (1,), confidence, value, 1)
    return Label(turn.conversation, turn.turn, "passage", value, confidence, (vote,))


def test_liked_passages_of_the_index_become_rows(index: KnowledgeIndex) -> None:
    turns = tuple(LoggedTurn("a", number, text=f"wares go home {number}", user="u") for number in range(3))
    known = chunk(index, "returns")
    labels = (liked(turns[0], known, 0.8), liked(turns[1], known, 0.5), liked(turns[2], "gone", 0.9))
    documents = {item.id: item.document for item in index.chunks}
    found = passages(Signals(turns, (), RuleBook(), labels), documents)
    (only,) = (*found.train, *found.held_out)
    assert (only.text, only.document, only.weight) == ("wares go home 0", "faq#returns", 0.8)


def test_the_newest_weeks_measure_and_share_no_customer_with_training(index: KnowledgeIndex) -> None:
    rows = [row(index, f"question {name} of mine", "pay", user=f"u{name % 50}", week=name / 5) for name in range(80)]
    found = by_weeks(rows)
    assert found.since is not None
    assert all(one.at < found.since for one in found.train)
    assert {one.origin.user for one in found.train}.isdisjoint(one.origin.user for one in found.held_out)


def test_the_same_words_are_on_one_side(index: KnowledgeIndex) -> None:
    rows = [row(index, f"open on sunday {number % 10}?", "hours", f"u{number}", number / 3) for number in range(60)]
    found = by_weeks(rows)
    assert {one.text for one in found.train}.isdisjoint(one.text for one in found.held_out)


def test_a_row_scores_the_reciprocal_rank_of_its_document(index: KnowledgeIndex) -> None:
    first, not_there = judged(
        index, [row(index, "how can I pay?", "pay"), replace(row(index, "zzz", "pay"), document="none")]
    )
    assert (first.score, first.said, not_there.score) == (1.0, "faq#pay", 0.0)


def pairs(index: KnowledgeIndex) -> list[Pair]:
    return [Pair(f"wares home again {number}", chunk(index, "returns")) for number in range(20)]


def test_a_projection_turns_questions_towards_what_answered_them(index: KnowledgeIndex) -> None:
    found = fit_projection(pairs(index), index.contents, BagOfWords(), ProjectionOptions(steps=60))
    asked = [row(index, "wares home again please", "returns")]
    before, after = (judged(index.projected(turn), asked)[0].score for turn in (None, found.projection))
    assert before < after == 1.0


def test_the_same_pairs_give_the_same_projection(index: KnowledgeIndex) -> None:
    one, other = (
        fit_projection(pairs(index), index.contents, BagOfWords(), ProjectionOptions(steps=20)) for _ in range(2)
    )
    assert (one.projection.up == other.projection.up).all()
    assert one.projection.up.any()


def test_documents_are_not_moved(index: KnowledgeIndex) -> None:
    before = index.contents.vectors.copy()
    fit_projection(pairs(index), index.contents, BagOfWords(), ProjectionOptions(steps=20))
    assert (index.contents.vectors == before).all()


def test_pairs_that_the_search_answers_already_turn_nothing(index: KnowledgeIndex) -> None:
    said = [Pair(f"how can I pay {number}", chunk(index, "pay")) for number in range(20)]
    found = fit_projection(said, index.contents, BagOfWords(), ProjectionOptions(steps=20))
    assert found.share == 0
    assert not found.projection.up.any()


def test_the_smallest_turn_is_taken_that_is_about_as_good_as_the_best() -> None:
    weights, none = np.ones(40, np.float32), np.zeros(40, np.float32)
    half, best, luck = none.copy(), none.copy(), none.copy()
    half[:20], best[:21], luck[:1] = 1, 1, 1
    assert smallest([none, half, best], weights) == 1
    assert smallest([none, luck], weights) == 0
    assert smallest([none, none], weights) == 0


def test_a_projection_is_saved_and_read_again(index: KnowledgeIndex, tmp_path: Path) -> None:
    found = fit_projection(pairs(index), index.contents, BagOfWords(), ProjectionOptions(steps=20)).projection
    found.save(tmp_path)
    again = QueryProjection.load(tmp_path, found.encoder)
    assert (again.up == found.up).all()
    assert again.encoder == found.encoder
