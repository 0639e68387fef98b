"""What a log says of how people word answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.events import Consented, Recorded
from tests.training.colleagues import PAGES, SAID, WordSearch, helped, log, many, talk
from training.consent import cleared
from training.preferences import preferences
from training.sides import SplitOptions
from training.wording import LIKED, NONE, Replies, replies


def found(folder: Path, *talks: dict[str, Any], **more: Any) -> Replies:
    return replies(cleared(log(folder, talks), None), WordSearch(), SplitOptions(), **more)


def test_a_colleagues_reply_is_a_row_with_what_was_at_hand(tmp_path: Path) -> None:
    question, answer = SAID["returns"]
    result = found(tmp_path, helped(1, question, answer))
    assert not result.enough  # to learn from
    rows = result.rows
    said = next(row for row in rows if row.reply)
    assert (said.text, said.reply, said.human) == (question, answer, True)
    assert said.passages[0] == PAGES["returns"]
    assert said.talk == (("user", question),)


def test_what_the_passages_do_not_say_is_cut_off_or_drops_the_reply(tmp_path: Path) -> None:
    question, answer = SAID["returns"]
    result = found(
        tmp_path,
        helped(1, question, f"{answer} I have put a scarf into your parcel. You have 30 days."),
        helped(2, f"{question} please", "My cousin collects it from you tomorrow."),
        helped(3, "is it raining", "No idea!"),
    )
    assert [row.reply for row in result.rows if row.reply] == [answer]
    assert result.counts == {"cut short": 1, "not supported by the passages": 1, "without a passage": 1}
    assert "1 cut short" in result.told()


def test_politeness_alone_is_no_reply_to_learn_from(tmp_path: Path) -> None:
    assert not found(tmp_path, helped(1, SAID["hours"][0], "You're welcome! Happy to help.")).rows


def test_what_was_disliked_never_teaches_but_its_correction_does(tmp_path: Path) -> None:
    question, answer = SAID["delivery"]
    bad = talk(1, ("user", question), {"speaker": "bot", "text": answer, "rating": -1})
    right = "Every parcel costs €4.90, and delivery takes three days."
    mended = talk(
        2,
        {"speaker": "user", "text": f"{question}?", "intent": "x", "correction": {"intent": "x", "reply": right}},
        {"speaker": "bot", "text": answer, "rating": -1},
    )
    assert [row.reply for row in found(tmp_path, bad, mended).rows if row.reply] == [right]


def test_a_liked_answer_teaches_unless_it_is_the_passage_itself(tmp_path: Path) -> None:
    question, answer = SAID["delivery"]
    liked = talk(1, ("user", question), {"speaker": "bot", "text": answer, "rating": 1})
    copied = talk(2, ("user", f"{question}?"), {"speaker": "bot", "text": PAGES["delivery"], "rating": 1})
    rows = [row for row in found(tmp_path, liked, copied).rows if row.reply]
    assert [(row.reply, row.human, row.marks[0].rule) for row in rows] == [(answer, False, LIKED)]


def test_what_was_masked_stays_masked_and_who_refuses_does_not_teach(tmp_path: Path) -> None:
    question, answer = SAID["delivery"]
    talk = helped(1, f"{question}, I am jo@home.example", answer)
    history = log(tmp_path, [talk])
    rows = replies(cleared(history, None), WordSearch(), SplitOptions()).rows
    assert rows[0].talk == (("user", f"{question}, I am <EMAIL_1>"),)
    refused = Recorded(
        conversation="talk-1", seq=99, turn=1, at=history[-1].at, event=Consented(train=False, by="user")
    )
    assert not replies(cleared([*history, refused], None), WordSearch(), SplitOptions()).rows


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    return cleared(log(tmp_path_factory.mktemp("quarter"), many(72)), None)


def test_the_newest_weeks_measure_and_what_taught_does_not(quarter: list[Recorded]) -> None:
    first = replies(quarter, WordSearch(), SplitOptions())
    assert first.since is not None and first.enough
    newest = [row for row in first.rows if row.at >= first.since]
    assert newest and all(row.side != "train" for row in newest)
    again = replies(quarter, WordSearch(), SplitOptions(), taught={newest[0].id})
    assert newest[0].id in {row.id for row in again.train}
    assert first.described().rows == len(first.train)
    assert {row.conversation for row in first.rows} == first.seen and not first.replayed
    _passages_are_taken_away_from_some(first)


def test_what_customers_say_elsewhere_keeps_their_language_and_counts_as_seen(tmp_path: Path) -> None:
    talks = (talk(n, ("user", f"hello number {n}")) for n in range(130))
    result = found(tmp_path, *talks)
    assert len(result.talks) == 100 and len(result.replayed) == 30
    assert not set(result.talks) & set(result.replayed.values())
    assert result.seen == result.replayed.keys()


def _passages_are_taken_away_from_some(found: Replies) -> None:
    rows = [row for row in found.rows if not row.reply]
    assert 4 <= len(rows) <= 28
    for row in rows:
        right = next(page for page, (question, _) in SAID.items() if row.text.startswith(question))
        assert row.marks[0].rule == NONE and row.passages and PAGES[right] not in row.passages


def test_thumbs_are_preferences_with_what_was_at_hand(tmp_path: Path) -> None:
    question, answer = SAID["delivery"]
    said = (("up", answer, 1), ("down", answer, -1), ("made up", f"{answer} And a scarf.", 1), ("none", answer, None))
    talks = [
        talk(n, ("user", f"{question} {word}"), {"speaker": "bot", "text": text, "rating": rating})
        for n, (word, text, rating) in enumerate(said)
    ]
    found = list(preferences(cleared(log(tmp_path, talks), None), WordSearch()))
    assert [(row.text.removeprefix(question), liked) for row, liked in found] == [(" up", True), (" down", False)]
    assert all(row.passages == (PAGES["delivery"],) and row.reply == answer for row, _ in found)
