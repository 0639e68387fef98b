"""New intents from what was not understood; knowledge from people's answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli.proposing import told as told_of
from bot.core.events import Corrected
from tests.retrieval.embedder import BagOfWords
from tests.training.reviewing import agent, asked, bot, desk, logged, user, vectors
from training.discovery import discover, groups, survey
from training.judgements import note
from training.mining import Told, mine, outdated, read_rows, told, tried, write_rows

GIFT = (
    "can you wrap it as a gift",
    "can you wrap it as gift please",
    "please can you wrap it as a gift",
    "can you wrap this as a gift",
)


async def test_turns_that_no_intent_fits_are_proposed_together(tmp_path: Path) -> None:
    common = [f"please can you say where it is, my parcel {n}" for n in ("one", "two", "three", "four", "five", "six")]
    store = await asked(tmp_path, *GIFT, *common, "something else entirely", GIFT[0])
    (one,) = discover(store.log, desk())
    assert set(one.texts) == set(GIFT) and len(one.places) == 5
    assert one.name == "wrap_gift" and one.nearest[1] in ("track", "refund", "greet")


async def test_misfits_that_are_not_alike_are_told(tmp_path: Path) -> None:
    store = await asked(tmp_path, GIFT[0], "something else entirely", "where is it, my parcel")
    looked = survey(store.log, desk())
    assert (looked.turns, looked.found) == (3, ()) and GIFT[0] in looked.misfits
    words = told_of(looked)
    assert "3 messages looked at" in words and "little to go by" in words and "No three of them are alike" in words


async def test_few_texts_are_no_intent_and_judged_ones_are_settled(tmp_path: Path) -> None:
    store = await asked(tmp_path, *GIFT[:2], GIFT[0])
    assert discover(store.log, desk()) == []
    store = await asked(tmp_path, *GIFT)
    await note(store, "c0", Corrected(target=1, intent="greet"))
    await note(store, "c1", Corrected(target=1, intent="oos"))
    (one,) = discover(store.log, desk())
    assert set(one.texts) == set(GIFT[1:])  # called out of scope, so it may be something new


def test_names_that_exist_are_not_proposed_again() -> None:
    points = vectors(["a b", "a b", "c d"])
    assert groups(points, 0.75) == [[0, 1], [2]]
    assert groups(points[:1], 0.75) == [[0]]


def people(*pairs: tuple[str, str]) -> list[Told]:
    return [Told(question, answer, f"c{n}", float(n)) for n, (question, answer) in enumerate(pairs)]


OPEN = ("when are you open on sunday", "when are you open on a sunday", "when are you open sunday")
NOON = "The showroom is open from noon to five."


async def test_answers_of_people_after_a_hand_off_are_read_and_masked(tmp_path: Path) -> None:
    good = [
        user(OPEN[0]),
        bot("Hm."),
        user("give me a person", "talk"),
        agent(f"{NOON} Or mail a.b@shop.example"),
        user("thanks"),
    ]
    angry = [
        user(OPEN[1]),
        bot("Hm."),
        user("give me a person", "talk"),
        agent(NOON),
        user("useless, I want a manager!!!"),
    ]
    store = await logged(tmp_path, good, angry, outcome="handed_off")
    (one,) = told(store.log)
    assert one.conversation == "c0" and one.question == OPEN[0]
    assert "a.b@shop.example" not in one.answer and "<EMAIL_1>" in one.answer


def test_alike_questions_with_alike_answers_are_one_proposal() -> None:
    (pair,) = mine(people((OPEN[0], NOON), (OPEN[1], NOON), (OPEN[2], f"{NOON} Welcome.")), vectors)
    assert (pair.answer, pair.agreed, len(pair.told), pair.doubts) == (NOON, 1.0, 3, ())
    assert {*pair.questions, pair.held_out} == set(OPEN) and pair.held_out
    assert mine(people((OPEN[0], NOON)), vectors, known=[mine(people((OPEN[0], NOON)), vectors)[0].id]) == []


def test_nothing_is_proposed_where_people_answer_differently_or_the_same_to_everything() -> None:
    assert mine(people((OPEN[0], NOON), (OPEN[1], "We never do that, sorry.")), vectors) == []
    assert mine(people((OPEN[0], "One moment."), ("do you sell tea", "One moment.")), vectors) == []


def test_what_speaks_of_one_case_is_marked() -> None:
    (pair,) = mine(people((OPEN[0], "I have sent <EMAIL_1> a key.")), vectors)
    assert pair.doubts == ("it names a person or a number", "it speaks of one case")


def test_a_proposal_is_tested_with_the_question_left_out(tmp_path: Path) -> None:
    page = tmp_path / "tea.md"
    page.write_text("# Tea\n\nGreen tea wants eighty degrees.\n")
    pairs = mine(people((OPEN[0], NOON), (OPEN[1], NOON), ("who makes tea", "Ann grows it.")), vectors)
    by_id = {pair.id: pair for pair in tried(pairs, tmp_path / "none", [page], BagOfWords())}
    assert [by_id[pair.id].found for pair in pairs] == [True, None]
    assert not (tmp_path / "none").exists()


def test_approved_rows_are_what_ingest_reads_and_retire_when_people_disagree(tmp_path: Path) -> None:
    file = tmp_path / "knowledge" / "mined.jsonl"
    (pair,) = mine(people((OPEN[0], NOON), (OPEN[1], NOON)), vectors)
    write_rows(file, [pair.edited("").row("ann", "2026-11-22")])
    (row,) = read_rows(file)
    assert json.loads(file.read_text()) == row and row["answer"] == NOON and len(row["questions"]) == 2
    later = [Told(OPEN[2], "We are closed for good now, sorry about it", f"d{n}", 100.0 + n) for n in range(2)]
    assert outdated([row], later[:1], vectors) == []
    assert outdated([row], later, vectors) == [row]
    write_rows(file, [])
    assert not file.exists() and read_rows(file) == []


@pytest.mark.parametrize("answer", ["", "  "])
def test_an_empty_wording_changes_nothing(answer: str) -> None:
    (pair,) = mine(people((OPEN[0], NOON)), vectors)
    assert pair.edited(answer) == pair and pair.edited("Other.").answer == "Other."
