"""Imported conversations are facts like any others; importing twice changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.core import events as ev
from bot.core.conversation import fold
from bot.core.errors import InputError, NotFound, StorageUnavailable
from bot.store import SqlStore
from tests.fakes import MemoryStore
from training.data import reviewed
from training.import_rows import Talk
from training.importer import ImportResult, history_of, import_file

TALK: dict[str, Any] = {
    "id": "old-1",
    "channel": "web",
    "started_at": "2026-08-03T10:00:00Z",
    "turns": [
        {"speaker": "bot", "text": "Hello!", "at": "2026-08-03T10:00:00Z"},
        {"speaker": "user", "text": "my parcel", "at": "2026-08-03T10:00:05Z", "intent": "delivery_time",
         "correction": {"intent": "order_status"}},
        {"speaker": "bot", "text": "2 to 4 days.", "at": "2026-08-03T10:00:06Z", "rating": -1, "reason": "wrong topic"},
        {"speaker": "user", "text": "hello?"},
        {"speaker": "user", "text": "a person please", "intent": "talk_to_person"},
        {"speaker": "agent", "text": "Good morning, it is on its way."},
    ],
    "outcome": "handed_off",
}  # fmt: skip


def write(path: Path, *talks: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(talk) + "\n" for talk in talks), encoding="utf-8")
    return path


def kinds(history: Sequence[ev.Recorded]) -> list[str]:
    return [recorded.event.kind for recorded in history]


async def test_a_conversation_becomes_the_facts_it_would_have_left(tmp_path: Path) -> None:
    store = MemoryStore()
    result = await import_file(write(tmp_path / "old.jsonl", TALK), store)
    assert result == ImportResult(written=1, known=0, erased=0, turns=3, ratings=1, corrections=1)
    assert kinds(store.log) == [
        *("started", "replied"),
        *("received", "understood", "replied", "rated", "settled", "corrected"),
        *("received", "settled"),
        *("received", "understood", "handed_off", "replied", "settled"),
        "ended",
    ]


async def test_nothing_is_left_for_the_bot_to_answer(tmp_path: Path) -> None:
    store = MemoryStore()
    await import_file(write(tmp_path / "old.jsonl", TALK), store)
    state = fold("old-1", store.log)
    assert (state.status, state.current, state.waiting, state.turn) == ("ended", None, (), 3)
    outcomes = [item.event.outcome for item in store.log if isinstance(item.event, ev.Settled)]
    assert outcomes == ["replied", "unanswered", "replied"]


async def test_importing_again_changes_nothing_on_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "old.jsonl", TALK, {**TALK, "id": "old-2", "outcome": "resolved"})
    async with SqlStore(tmp_path / "log.db") as store:
        first = await import_file(path, store)
        before = await store.tail()
        second = await import_file(path, store)
        assert await store.tail() == before
    assert (first.written, first.known) == (2, 0)
    assert (second.written, second.known, second.turns) == (0, 2, 0)


async def test_an_import_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    store = MemoryStore()
    await import_file(write(tmp_path / "part.jsonl", TALK), store)
    result = await import_file(write(tmp_path / "whole.jsonl", TALK, {**TALK, "id": "old-2"}), store)
    assert (result.written, result.known) == (1, 1)


async def test_another_content_under_a_known_id_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = MemoryStore()
    await import_file(write(tmp_path / "one.jsonl", TALK), store)
    changed = {**TALK, "turns": [{"speaker": "user", "text": "something else"}]}
    size = len(store.log)
    with pytest.raises(InputError, match=r"old-1.*another content"):
        await import_file(write(tmp_path / "two.jsonl", {**TALK, "id": "new"}, changed), store)
    assert len(store.log) == size


async def test_what_was_erased_stays_erased(tmp_path: Path) -> None:
    path = write(tmp_path / "old.jsonl", TALK)
    async with SqlStore(tmp_path / "log.db") as store:
        await import_file(path, store)
        await store.erase("old-1", at=1.0)
        result = await import_file(path, store)
        assert (result.written, result.erased) == (0, 1)
        assert len(await store.read("old-1")) == 1


async def test_a_full_disk_is_reported_and_the_import_can_be_repeated(tmp_path: Path) -> None:
    store, path = MemoryStore(), write(tmp_path / "old.jsonl", TALK)
    store.refuse = StorageUnavailable("disk full")
    with pytest.raises(StorageUnavailable):
        await import_file(path, store)
    store.refuse = None
    assert (await import_file(path, store)).written == 1


async def test_corrections_become_training_rows(tmp_path: Path) -> None:
    store = MemoryStore()
    await import_file(write(tmp_path / "old.jsonl", TALK), store)
    intents, slots = reviewed(store.log)
    assert [(row.text, row.intent, row.where) for row in intents] == [("my parcel", "order_status", "old-1, turn 1")]
    assert slots == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "row: invalid JSON"),
        ("[]", "row: input should be an object"),
        ('{"id": "a", "turns": []}', "turns: tuple should have at least 1 item"),
        ('{"id": "a", "turns": [{"speaker": "cat", "text": "x"}]}', "turns.0.speaker: input should be 'user', 'bot'"),
        ('{"id": "a", "turns": [{"speaker": "user", "text": ""}]}', "turns.0.text: string should have at least 1"),
        ('{"id": "a", "turns": [{"speaker": "bot", "text": "x", "rating": 5}]}', "rating: input should be less"),
        (
            '{"id": "a", "turns": [{"speaker": "bot", "text": "x", "at": "soon"}]}',
            "turns.0.at: input should be a valid",
        ),
        ('{"turns": [{"speaker": "bot", "text": "x"}]}', "id: field required"),
        ('{"id": "a", "turns": [{"speaker": "bot", "text": "x"}], "outcome": "won"}', "outcome: input should be"),
        (
            '{"id": "a", "turns": [{"speaker": "user", "text": "x",'
            ' "correction": {"entities": [{"type": "t", "start": 0, "end": 9}]}}]}',
            "not within the text's 1",
        ),
    ],
)
async def test_bad_rows_are_named_and_nothing_is_written(tmp_path: Path, line: str, message: str) -> None:
    store, path = MemoryStore(), tmp_path / "bad.jsonl"
    path.write_text(json.dumps(TALK) + "\n\n" + line + "\n")
    with pytest.raises(InputError) as caught:
        await import_file(path, store)
    assert "bad.jsonl:3: " in str(caught.value)
    assert message.lower() in str(caught.value).lower()
    assert store.log == []


async def test_the_same_id_twice_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"old\.jsonl:2: conversation 'old-1' is in old\.jsonl:1 already"):
        await import_file(write(tmp_path / "old.jsonl", TALK, TALK), MemoryStore())


async def test_files_that_are_not_there_or_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await import_file(tmp_path / "none.jsonl", MemoryStore())
    with pytest.raises(InputError, match="at least one conversation"):
        await import_file(write(tmp_path / "empty.jsonl"), MemoryStore())


async def test_csv_rows_are_gathered_by_conversation(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text(
        "conversation,speaker,text,at,intent,correction,rating\n"
        'c1,user,"where, please?",2026-08-03T10:00:00Z,faq,order_status,\n'
        "c2,user,hi,2026-08-03T10:00:01Z,,,\n"
        "c1,bot,On its way.,2026-08-03T10:00:02Z,,,1\n",
        encoding="utf-8-sig",
    )
    store = MemoryStore()
    result = await import_file(path, store)
    assert (result.written, result.turns, result.ratings, result.corrections) == (2, 2, 1, 1)
    assert reviewed(store.log)[0][0].text == "where, please?"


async def test_csv_errors_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text("conversation,speaker\nc1,user\n")
    with pytest.raises(InputError, match=r"old\.csv:1: expected the columns \['text'\]"):
        await import_file(path, MemoryStore())
    path.write_text("conversation,speaker,text\nc1,user,hi\nc1,robot,ho\n")
    with pytest.raises(InputError, match=r"old\.csv:2: turns\.1\.speaker"):
        await import_file(path, MemoryStore())


def test_dialogue_rows_without_times_start_in_1970_and_are_no_hand_off() -> None:
    row = {"id": "star-1", "domain": "trivia", "lang": "en", "turns": [
        {"speaker": "user", "text": "Trivia please", "slots": []},
        {"speaker": "agent", "text": "Question 2", "action": "ask", "api_calls": []},
    ]}  # fmt: skip
    history = history_of(Talk.model_validate(row))
    assert kinds(history) == ["started", "received", "replied", "settled"]
    assert [recorded.at for recorded in history] == [0.0, 1.0, 2.0, 2.0]


def test_times_without_a_zone_are_utc() -> None:
    talk = Talk.model_validate({"id": "a", "turns": [{"speaker": "user", "text": "x", "at": "1970-01-01T00:01:00"}]})
    assert history_of(talk)[0].at == 60.0


def test_the_bot_resumes_when_it_speaks_after_a_person() -> None:
    speakers = ("user", "bot", "agent", "user", "bot")
    talk = Talk.model_validate({"id": "a", "turns": [{"speaker": speaker, "text": "x"} for speaker in speakers]})
    history = history_of(talk)
    assert "resumed" in kinds(history)
    assert fold("a", history).status == "active"
