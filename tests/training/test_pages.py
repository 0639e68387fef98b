"""Which pages answer which wishes: read from a log, and only kept when a turned search is better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.core.program import Act, Flow, Program
from retrieval.search import KnowledgeIndex
from tests.retrieval.embedder import BagOfWords
from tests.training.faq import faq_index
from training.harvest import LOG, Harvest
from training.labels import Label, Provenance, RuleBook, Signals
from training.lesson import Leakage
from training.pages import Asked, Pages, judged, learn_pages, refused
from training.recipes.projection import Pair
from training.rows import Row
from training.searching import Searching
from training.sides import Side
from training.signals.turns import LoggedTurn

ENTRIES = {
    "returns": ("How do I send a kettle back?", "Print a label and post the parcel within thirty days."),
    "pay": ("How can I pay?", "By card, transfer or invoice."),
    "hours": ("When are you open?", "From nine to five on weekdays."),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeIndex:
    return faq_index(tmp_path_factory.mktemp("pages"), ENTRIES)


def row(number: int, text: str, intent: str, side: Side = "train") -> Row:
    talk = f"talk {number}"
    return Row(id=f"r{number}", text=text, intent=intent, source=LOG, conversation=talk, turn=1, human=True, side=side)


def liked(number: int, answer: str) -> Label:
    vote = Provenance("answer_accepted", 2, (1,), 0.8, answer, 1)
    return Label(f"talk {number}", 1, "reply", answer, 0.8, (vote,))


def harvest(rows: Sequence[Row], labels: Sequence[Label] = ()) -> Harvest:
    turns = tuple(LoggedTurn(row.conversation, row.turn, text=row.text, intent=row.intent) for row in rows)
    return Harvest(tuple(rows), Signals(turns, (), RuleBook(), tuple(labels)), {}, Leakage(), None, 0)


def pages(index: KnowledgeIndex, found: Harvest, program: Program | None = None) -> Pages:
    documents = {chunk.id: chunk.document for chunk in index.chunks}
    return learn_pages(found, index, documents, program or Program())


ANSWER = "We are open from nine to five on weekdays."
HOURS = [row(1, "when are you open", "opening"), row(2, "till what time may I come", "opening")]


def test_a_liked_answer_shows_the_page_and_others_with_the_same_wish_follow(index: KnowledgeIndex) -> None:
    found = pages(index, harvest(HOURS, [liked(1, ANSWER)]))
    assert found.wishes == {"opening": ("faq#hours",)}
    chunk = next(chunk.id for chunk in index.chunks if chunk.document == "faq#hours")
    assert {(pair.text, pair.chunk) for pair in found.pairs} == {(one.text, chunk) for one in HOURS}
    assert {pair.weight for pair in found.pairs if pair.text.startswith("till")} == {0.5}


def test_an_answer_that_no_page_gives_shows_nothing(index: KnowledgeIndex) -> None:
    assert pages(index, harvest(HOURS, [liked(1, "I have put it right for you.")])).pairs == ()


def test_wishes_that_begin_a_flow_have_no_pages(index: KnowledgeIndex) -> None:
    program = Program(
        flows={"open": Flow(id="open", name="open", triggers=("opening",), steps=(Act(id="one", action="utter_x"),))}
    )
    assert pages(index, harvest(HOURS, [liked(1, ANSWER)]), program).pairs == ()


def test_what_is_held_out_measures_and_does_not_teach(index: KnowledgeIndex) -> None:
    rows = [*HOURS, row(3, "are you there at noon", "opening", "test")]
    found = pages(index, harvest(rows, [liked(number, ANSWER) for number in (1, 3)]))
    assert "are you there at noon" not in {pair.text for pair in found.pairs}
    assert {(one.text, one.documents) for one in found.asked} == {("are you there at noon", ("faq#hours",))}
    assert "talk 1" in found.seen


def test_a_question_scores_the_reciprocal_rank_of_its_first_right_page(index: KnowledgeIndex) -> None:
    first, other = judged(
        index, [Asked("when are you open", ("faq#hours",)), Asked("when are you open", ("faq#none",))]
    )
    assert (first.score, first.said, other.score) == (1.0, "faq#hours", 0.0)


def test_what_no_page_answers_is_refused(index: KnowledgeIndex) -> None:
    assert refused(index, ["zebra quantum"]) == 1.0


def test_a_projection_that_is_not_better_is_not_kept(index: KnowledgeIndex, tmp_path: Path) -> None:
    chunk = next(chunk.id for chunk in index.chunks if chunk.document == "faq#hours")
    pairs = tuple(Pair(f"when are you open {chr(97 + number)}", chunk) for number in range(20)) * 2
    asked = tuple(Asked(f"how can I pay {chr(97 + number)}", ("faq#pay",)) for number in range(20))
    tried = Searching(index, BagOfWords(), Pages(pairs, asked)).fit(tmp_path / "new", None, 0)
    assert tried.made is None
    assert "as before" in tried.told
    assert not (tmp_path / "new").exists()


def test_without_enough_pairs_what_is_in_use_is_taken_over(index: KnowledgeIndex, tmp_path: Path) -> None:
    (tmp_path / "old" / "retrieval").mkdir(parents=True)
    (tmp_path / "old" / "retrieval" / "kept").touch()
    (tmp_path / "new").mkdir()
    tried = Searching(index, BagOfWords(), Pages()).fit(tmp_path / "new", tmp_path / "old", 0)
    assert tried.made is None
    assert (tmp_path / "new" / "retrieval" / "kept").exists()
