"""What a Rasa bot left is brought over whole, once, and in order."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.cli.main import main
from bot.core import events as ev
from bot.core.conversation import fold
from bot.core.errors import Conflict, InputError, NotFound, StorageUnavailable
from bot.core.program import Program
from bot.core.rasa.tracker import rasa_events
from bot.store import SqlStore
from tests.fakes import MemoryStore
from tests.training.rasa_past import Talk, made_up, store
from training.data import reviewed
from training.rasa_import import RasaImport, import_rasa, write_rejects
from training.rasa_rows import FilePast, SqlPast, is_rasa_file

pytestmark = pytest.mark.slow


async def bring(url: str, log: MemoryStore | SqlStore) -> RasaImport:
    source = SqlPast(url)
    try:
        return await import_rasa(source, log)
    finally:
        source.close()


async def the_same(talk: Talk, log: MemoryStore | SqlStore) -> None:
    history = await log.read(talk.sender)
    assert rasa_events(history, Program()) == talk.events
    state = fold(talk.sender, history)
    slots = {name: value for name, value in state.slots.items() if value is not None}
    assert slots == {name: value for name, value in talk.truth.slots.items() if value is not None}
    loop = state.track.loop
    assert (state.track.action, loop and loop.name) == (talk.truth.action, talk.truth.loop)


@pytest.mark.parametrize("episode", ["form", "remind", "reset", "restart", "odd", "session"])
async def test_every_kind_of_talk_survives(tmp_path: Path, episode: str) -> None:
    talk, log = Talk("ann/7", 3), MemoryStore()
    talk.session()
    getattr(talk, episode)()
    talk.user("thank")
    await bring(store(tmp_path / "rasa.db", [talk]), log)
    await the_same(talk, log)


async def test_many_conversations_whose_rows_are_mixed(tmp_path: Path) -> None:
    talks, log = [made_up(number) for number in range(6)], MemoryStore()
    result = await bring(store(tmp_path / "rasa.db", talks), log)
    total = sum(len(talk.events) for talk in talks)
    assert (result.written, result.events, result.added, result.rejects) == (6, total, total, ())
    for talk in talks:
        await the_same(talk, log)


async def test_a_second_import_adds_nothing(tmp_path: Path) -> None:
    url = store(tmp_path / "rasa.db", [made_up(number) for number in range(5)])
    async with SqlStore(tmp_path / "log.db") as log:
        first = await bring(url, log)
        before = await log.tail(0, 100_000)
        second = await bring(url, log)
        assert await log.tail(0, 100_000) == before
        assert await log.open_turns() == []
    assert (second.written, second.known, second.added, second.turns) == (0, 5, 0, 0)
    assert second.events == first.events


@pytest.mark.parametrize("cut", [1, 4, 9, 17, 30])
async def test_what_came_later_is_added_by_a_later_import(tmp_path: Path, cut: int) -> None:
    whole, log = made_up(3), MemoryStore()
    part = made_up(3)
    part.events = part.events[:cut]
    await bring(store(tmp_path / "early.db", [part]), log)
    url = store(tmp_path / "late.db", [whole])
    result = await bring(url, log)
    assert (result.extended, result.added, result.rejects) == (1, len(whole.events) - cut, ())
    assert rasa_events(log.log, Program()) == whole.events
    again = await bring(url, log)
    assert (again.known, again.added) == (1, 0)


class Full(MemoryStore):
    """A log whose disk is full after some appends."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    async def append(
        self, conversation: str, expected_seq: int, events: Sequence[ev.Recorded]
    ) -> Sequence[ev.Recorded]:
        if len({recorded.conversation for recorded in self.log}) >= self.room:
            raise StorageUnavailable("no space left")
        return await super().append(conversation, expected_seq, events)


async def test_an_import_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    talks, log = [made_up(number) for number in range(8)], Full(3)
    url = store(tmp_path / "rasa.db", talks)
    with pytest.raises(StorageUnavailable):
        await bring(url, log)
    log.room = 100
    result = await bring(url, log)
    assert (result.known, result.written) == (3, 5)
    for talk in talks:
        await the_same(talk, log)


async def test_a_conversation_that_moves_on_meanwhile_is_left_for_the_next_import(tmp_path: Path) -> None:
    log = MemoryStore()
    log.refuse = Conflict("'user-1' has moved on")
    url = store(tmp_path / "rasa.db", [made_up(1)])
    assert "moved on" in (await bring(url, log)).rejects[0].reason
    log.refuse = None
    assert (await bring(url, log)).written == 1


async def test_a_conversation_that_went_on_here_is_left_alone(tmp_path: Path) -> None:
    talk, log = made_up(2), MemoryStore()
    url = store(tmp_path / "rasa.db", [talk])
    await bring(url, log)
    last = log.log[-1]
    fact = last.model_copy(update={"seq": last.seq + 1, "at": last.at + 9, "event": ev.Rated(message="1", score=1)})
    await log.append(talk.sender, last.seq, [fact])
    assert (await bring(url, log)).known == 1


async def test_another_conversation_of_the_same_name_is_reported_and_kept(tmp_path: Path) -> None:
    log = MemoryStore()
    first, other = made_up(1), made_up(8)
    other.sender = first.sender
    await bring(store(tmp_path / "one.db", [first]), log)
    before = list(log.log)
    result = await bring(store(tmp_path / "other.db", [other]), log)
    assert (result.differ, len(result.rejects), log.log) == (1, len(other.events), before)


async def test_an_erased_conversation_stays_erased(tmp_path: Path) -> None:
    url = store(tmp_path / "rasa.db", [made_up(1)])
    async with SqlStore(tmp_path / "log.db") as log:
        await bring(url, log)
        await log.erase("user-1", 2e9)
        assert (await bring(url, log)).erased == 1
        assert len(await log.read("user-1")) == 1


BAD = [
    "not json",
    "[1]",
    "{}",
    '{"event": "slot"}',
    '{"event": "user", "timestamp": 1e999}',
    '{"event": "slot", "name": "x", "value": NaN}',
    '{"event": "slot", "name": "\\ud800", "value": 1}',
    "[" * 100_000,
    '{"event": "reminder", "intent": "x", "date_time": "soon"}',
    '{"event": 7, "timestamp": "noon"}',
]


@pytest.mark.parametrize("data", BAD)
async def test_a_bad_row_is_told_with_its_id_and_the_rest_is_taken(tmp_path: Path, data: str) -> None:
    talk, log = made_up(4), MemoryStore()
    url = store(tmp_path / "rasa.db", [talk])
    with sqlite3.connect(tmp_path / "rasa.db") as connection:
        connection.execute("UPDATE events SET data = ?, type_name = '' WHERE id = 5", (data,))
    result = await bring(url, log)
    assert [(reject.where, reject.sender) for reject in result.rejects] == [("5", talk.sender)]
    assert (result.added, len(result.rejects[0].reason) > 10) == (len(talk.events) - 1, True)
    write_rejects(tmp_path / "sub" / "rejects.jsonl", result.rejects)
    kept = json.loads((tmp_path / "sub" / "rejects.jsonl").read_text())
    assert kept["id"] == "5" and kept["data"]


async def test_senders_that_a_database_sorts_as_one_are_told_apart(tmp_path: Path) -> None:
    one, other, log = made_up(1), made_up(2), MemoryStore()
    one.sender, other.sender = "Ann", "ann"
    url = store(tmp_path / "rasa.db", [one, other], "NOCASE")
    assert (await bring(url, log)).written == 2
    await the_same(one, log)
    await the_same(other, log)


async def test_rows_without_a_sender_are_rejected(tmp_path: Path) -> None:
    talk, log = made_up(4), MemoryStore()
    talk.sender = ""
    result = await bring(store(tmp_path / "rasa.db", [talk]), log)
    assert (len(result.rejects), log.log) == (len(talk.events), [])


@pytest.mark.parametrize("shape", ["tracker", "list", "lines", "broker"])
async def test_tracker_dumps_say_the_same_as_the_store(tmp_path: Path, shape: str) -> None:
    talks = [made_up(number) for number in range(1, 2 if shape == "tracker" else 4)]
    dumps = [{"sender_id": talk.sender, "slots": {}, "events": talk.events} for talk in talks]
    loose = [{**event, "sender_id": talk.sender} for talk in talks for event in talk.events]
    lines = loose if shape == "broker" else dumps
    text = "\n".join(json.dumps(item) for item in lines)
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(dumps, indent=1) if shape == "list" else text, encoding="utf-8")
    assert is_rasa_file(path)
    log = MemoryStore()
    result = await import_rasa(FilePast(path), log)
    assert (result.rejects, result.written) == ((), len(talks))
    for talk in talks:
        await the_same(talk, log)


def test_our_own_formats_are_not_taken_for_rasas(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text('{"id": "1", "turns": [{"speaker": "user", "text": "hi"}]}\n')
    (tmp_path / "talks.csv").write_text("conversation,speaker,text\n")
    assert not is_rasa_file(path) and not is_rasa_file(tmp_path / "talks.csv")


async def test_a_reviewed_turn_of_the_old_bot_teaches_the_new_one(tmp_path: Path) -> None:
    talk, log = made_up(3), MemoryStore()
    await bring(store(tmp_path / "rasa.db", [talk]), log)
    heard = next(item for item in log.log if isinstance(item.event, ev.Received) and item.event.message.text)
    last = log.log[-1]
    correction = ev.Corrected(target=heard.turn, intent="ask_state")
    await log.append(talk.sender, last.seq, [last.model_copy(update={"seq": last.seq + 1, "event": correction})])
    intents, _ = reviewed(log.log)
    assert isinstance(heard.event, ev.Received)
    assert [(row.text, row.intent) for row in intents] == [(heard.event.message.text, "ask_state")]


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("rasa.db", InputError, "database URL"),
        ("sqlite:///nowhere/rasa.db", NotFound, "no file"),
        ("nosuchdb://host/x", InputError, "driver"),
    ],
)
def test_a_wrong_url_is_told(url: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        SqlPast(url)


def test_a_database_that_is_not_rasas_is_told(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    with pytest.raises(InputError, match="no table"):
        SqlPast(f"sqlite:///{tmp_path}/empty.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE events (id INTEGER, name TEXT)")
    with pytest.raises(InputError, match="sender_id"):
        SqlPast(f"sqlite:///{tmp_path}/other.db")
    (tmp_path / "text.db").write_text("not a database at all, only text that is long enough" * 20)
    with pytest.raises(InputError, match="cannot be read"):
        SqlPast(f"sqlite:///{tmp_path}/text.db")


@pytest.mark.slow
async def test_ten_thousand_events_keep_their_order_and_lead_to_the_same_state(tmp_path: Path) -> None:
    talks: list[Talk] = []
    while sum(len(talk.events) for talk in talks) < 10_000:
        talks.append(made_up(len(talks), turns=4 + len(talks) % 9))
    total = sum(len(talk.events) for talk in talks)
    async with SqlStore(tmp_path / "log.db") as log:
        result = await bring(store(tmp_path / "rasa.db", talks), log)
        assert (result.added, result.rejects) == (total, ())
        for talk in talks:
            await the_same(talk, log)


def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "bot"
    (root / "data").mkdir(parents=True)
    talk = made_up(5)
    url = store(tmp_path / "rasa.db", [talk])
    with sqlite3.connect(tmp_path / "rasa.db") as connection:
        connection.execute("UPDATE events SET data = 'no json' WHERE id = 7")
    told = []
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["bot", "import", "--rasa-store", url, "-p", str(root), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (0, None)
        told.append(json.loads(capsys.readouterr().out))
    assert (told[0]["written"], told[0]["added"], told[0]["rejects"]) == (1, len(talk.events) - 1, 1)
    assert (told[1]["known"], told[1]["added"]) == (1, 0)
    assert '"id": "7"' in Path(told[0]["rejects_file"]).read_text("utf-8")
