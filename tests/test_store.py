from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core import events as ev
from bot.core.errors import Conflict, InputError, IntegrityError, NotFound, SettingsError, StorageUnavailable
from bot.core.messages import Audio, Message
from bot.store import SqlStore
from bot.store_open import open_file, open_writer, upgrade
from tests.contracts import EventStoreContract, received, recorded, settled, started
from tests.fakes import MemoryStore


class TestMemoryStore(EventStoreContract):
    @pytest.fixture
    async def store(self) -> MemoryStore:
        return MemoryStore()


class TestSqlStore(EventStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqlStore]:
        async with SqlStore(tmp_path / "log.db") as store:
            yield store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with SqlStore(tmp_path / "log.db") as store:
        yield store


def sounding(seq: int, blob: str, conversation: str = "c") -> ev.Recorded:
    message = Message(id="a", parts=(Audio(blob=blob),))
    event = ev.Received(message=message, key=f"{seq}", channel="test")
    return recorded(seq, event, conversation, 1)


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with SqlStore(tmp_path / "log.db") as store:
        written = await store.append("c", 0, [started(), received(2, "a", "grüße 你好 \x00")])
    async with SqlStore(tmp_path / "log.db") as store:
        assert list(await store.read("c")) == list(written)


async def test_concurrent_appends_share_commits(store: SqlStore) -> None:
    names = [f"c{n}" for n in range(200)]
    await asyncio.gather(*(store.append(name, 0, [started(name)]) for name in names))
    assert sorted({item.conversation for item in await store.tail()}) == sorted(names)


async def test_what_builds_on_a_refused_append_is_refused_though_its_place_is_free(store: SqlStore) -> None:
    await store.append("c", 0, [started(), received(2, "a")])
    await store.append("c", 2, [settled(3)])  # somebody else, between two looks at the conversation
    stale = [store.append("c", 2, [received(3, "b", turn=2)]), store.append("c", 3, [settled(4)])]
    results = await asyncio.gather(*stale, return_exceptions=True)
    assert [type(result) for result in results] == [Conflict, Conflict]
    assert len(await store.read("c")) == 3
    await store.append("c", 3, [received(4, "b", turn=2)])


async def test_a_very_long_append_is_one_commit(store: SqlStore) -> None:
    events = [started(), *(received(seq, f"k{seq}", turn=seq - 1) for seq in range(2, 5001))]
    stored = await store.append("c", 0, events)
    assert [item.position for item in stored] == list(range(1, 5001)) and await store.last_seq("c") == 5000


async def test_tail_pages_through_the_whole_log(store: SqlStore) -> None:
    for name in "abcde":
        await store.append(name, 0, [started(name), received(2, "k", conversation=name)])
    seen: list[ev.Recorded] = []
    while page := await store.tail(seen[-1].position if seen else 0, limit=3):
        seen += page
    assert [item.conversation for item in seen] == list("aabbccddee")


async def test_conversations_are_listed_by_latest_activity(store: SqlStore) -> None:
    for name in "abc":
        await store.append(name, 0, [started(name)])
    await store.append("a", 1, [received(2, "k", conversation="a")])
    first = await store.conversations(limit=2)
    rest = await store.conversations(limit=2, before=first[-1].position)
    assert [(item.id, item.seq, item.waiting, item.channel) for item in first] == [
        ("a", 2, 1, "test"),
        ("c", 1, 0, "test"),
    ]
    assert [item.id for item in rest] == ["b"]


async def test_last_seq(store: SqlStore) -> None:
    await store.append("c", 0, [started(), received(2, "a")])
    assert (await store.last_seq("c"), await store.last_seq("x")) == (2, 0)


async def test_blobs_are_kept_once_by_content(store: SqlStore) -> None:
    first, second = await store.put_blob(b"sound"), await store.put_blob(b"sound")
    assert first == second and await store.get_blob(first) == b"sound"
    with pytest.raises(NotFound):
        await store.get_blob("0" * 64)


async def test_erasing_deletes_the_blobs_that_nobody_else_uses(store: SqlStore) -> None:
    mine, shared = await store.put_blob(b"mine"), await store.put_blob(b"shared")
    await store.append("c", 0, [started(), sounding(2, mine), sounding(3, shared)])
    await store.append("d", 0, [started("d"), sounding(2, shared, "d")])
    await store.erase("c", 9.0)
    assert await store.get_blob(shared) == b"shared"
    with pytest.raises(NotFound):
        await store.get_blob(mine)


def occurrences(word: str, folder: Path) -> dict[str, int]:
    return {path.name: path.read_bytes().count(word.encode()) for path in folder.iterdir()}


async def test_erased_content_is_in_no_file(tmp_path: Path) -> None:
    canary = "canary-7f3a"
    chance = random.Random(5)
    async with SqlStore(tmp_path / "log.db") as store:
        blob = await store.put_blob(canary.encode() * 2000)
        await store.append("c", 0, [started(), sounding(2, blob)])
        at = {"c": 2}
        for turn in range(2, 300):  # other conversations in between, so that pages are split and moved
            name = chance.choice(["c", f"d{chance.randrange(60)}"])
            seq, word = at.get(name, 0), canary if name == "c" else "plain"
            filler = word * chance.randrange(1, 600)
            events = [received(seq + 1, f"{word}-{turn}", filler, name, turn)]
            if seq == 0:
                events = [started(name), received(2, f"{word}-{turn}", filler, name, turn)]
            await store.append(name, seq, events)
            at[name] = seq + len(events)
        assert sum(occurrences(canary, tmp_path).values()) > 0
        await store.erase("c", 9.0)
        assert occurrences(canary, tmp_path) == {"log.db": 0, "log.db-wal": 0, "log.db-shm": 0}


def impatient(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.05)


async def test_erasing_says_so_when_another_process_holds_the_wal(tmp_path: Path) -> None:
    async with SqlStore(tmp_path / "log.db", impatient) as store:
        await store.append("c", 0, [started()])
        other = open_file(store.path)
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM events").fetchall()
        with pytest.raises(StorageUnavailable, match="erase again"):
            await store.erase("c", 9.0)
        other.close()
        assert await store.erase("c", 9.0) == 1


async def test_text_that_is_not_unicode_is_refused_alone(store: SqlStore) -> None:
    bad = store.append("c", 0, [started(), received(2, "a", "\ud800")])
    good = store.append("d", 0, [started("d")])
    results = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(results[0], InputError) and not isinstance(results[1], BaseException)
    assert await store.last_seq("c") == 0


async def test_a_lock_held_by_another_process_refuses_without_a_trace(tmp_path: Path) -> None:
    async with SqlStore(tmp_path / "log.db", impatient) as store:
        other = open_file(store.path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="locked"):
            await store.append("c", 0, [started()])
        assert not await store.writable()
        other.close()
        assert await store.writable()
        await store.append("c", 0, [started()])


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from bot.core.errors import StorageUnavailable
from bot.store import SqlStore
from tests.contracts import started, received

async def main():
    path = Path(sys.argv[1])
    async with SqlStore(path) as store:
        await store.append("c", 0, [started()])
        size = Path(f"{path}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 2000, resource.RLIM_INFINITY))
        try:
            await store.append("c", 1, [received(2, "a", "x" * 50000)])
        except StorageUnavailable:
            print("refused")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(await store.last_seq("c"))
        await store.append("c", 1, [received(2, "a", "x" * 50000)])
        print(await store.last_seq("c"))
        print("alembic" in sys.modules)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_full_disk_refuses_and_the_log_recovers_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "log.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    refused, before, after, migrating = done.stdout.split()
    assert (refused, before, after) == ("refused", "1", "2")
    assert migrating == "False"  # a log that is up to date starts without Alembic


async def test_a_closed_log_refuses(tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "log.db")
    with pytest.raises(StorageUnavailable, match="closed"):
        await store.append("c", 0, [started()])
    with pytest.raises(StorageUnavailable, match="closed"):
        await store.read("c")


async def filled(path: Path) -> list[ev.Recorded]:
    async with SqlStore(path) as store:
        for name in "abcdefgh":
            sound = await store.put_blob(name.encode() * 999)
            events = [started(name), received(2, name, name * 400, name), sounding(3, sound, name), settled(4, name)]
            await store.append(name, 0, events)
        return list(await store.tail())


async def opened(path: Path) -> list[ev.Recorded]:
    async with SqlStore(path) as store:
        return list(await store.tail())


@pytest.mark.parametrize("flips", [40, pytest.param(600, marks=pytest.mark.slow)])
async def test_a_damaged_byte_is_refused_with_the_file_named_or_changes_nothing(tmp_path: Path, flips: int) -> None:
    path = tmp_path / "log.db"
    before = await filled(path)
    whole, chance, refused = path.read_bytes(), random.Random(flips), 0
    for _ in range(flips):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            assert await opened(path) == before
        except IntegrityError as error:
            assert error.path == str(path)
            refused += 1
    assert refused > flips / 4


def contents(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "log.db").read_bytes(), (folder / "log.db-wal").read_bytes()


def left_by_crash(path: Path, main: bytes, wal: bytes) -> Path:
    path.write_bytes(main)
    Path(f"{path}-wal").write_bytes(wal)
    return path


@pytest.mark.parametrize("flips", [20, pytest.param(300, marks=pytest.mark.slow)])
async def test_a_damaged_wal_of_a_crashed_process_is_refused_unless_only_the_last_commit_is_hit(
    tmp_path: Path, flips: int
) -> None:
    async with SqlStore(tmp_path / "log.db") as store:
        for seq, event in enumerate([started(), *(received(n, f"k{n}", turn=n - 1) for n in range(2, 8))]):
            await store.append("c", seq, [event])
        before = list(await store.tail())
        main, wal = contents(tmp_path)
    chance, refused = random.Random(flips), 0
    for number in range(flips):
        damaged = bytearray(wal)
        damaged[chance.randrange(len(wal))] ^= 1 << chance.randrange(8)
        crashed = left_by_crash(tmp_path / f"{number}.db", main, bytes(damaged))
        try:
            assert await opened(crashed) in (before, before[:-1])
        except IntegrityError as error:
            assert error.path.startswith(str(crashed))
            refused += 1
    assert refused > flips / 4


async def test_a_damaged_row_is_noticed_when_it_is_read(store: SqlStore) -> None:
    await store.append("c", 0, [started()])
    other = open_file(store.path)
    other.execute("UPDATE events SET body = replace(body, 'ann', 'bob')")
    other.close()
    with pytest.raises(IntegrityError, match="position 1"):
        await store.read("c")


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(IntegrityError, match=r"log\.db"):
        await opened(path)


async def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "log.db")
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    with pytest.raises(IntegrityError, match="not a log of ours"):
        await opened(tmp_path / "log.db")


async def test_a_log_from_a_newer_version_is_refused(tmp_path: Path) -> None:
    await filled(tmp_path / "log.db")
    other = open_file(tmp_path / "log.db")
    other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()
    with pytest.raises(IntegrityError, match="update Understudy"):
        await opened(tmp_path / "log.db")


class Careless(sqlite3.Connection):
    """Opens with settings that would lose what was acknowledged, whatever it is told."""

    def cursor(self, *args: object) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(CarelessCursor)


class CarelessCursor(sqlite3.Cursor):
    def execute(self, sql: str, *args: object) -> sqlite3.Cursor:  # type: ignore[override]
        return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), *args)  # type: ignore[arg-type]


async def test_settings_that_do_not_hold_are_refused(tmp_path: Path) -> None:
    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Careless)

    with pytest.raises(SettingsError, match="power cut"):
        await SqlStore(tmp_path / "log.db", connect).start()


def schema(path: Path) -> list[tuple[str, str]]:
    connection = open_file(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return [(name, "".join(sql.split())) for name, sql in rows]


async def test_processes_that_begin_a_log_at_the_same_moment_share_it(tmp_path: Path) -> None:
    for number in range(5):
        stores = [SqlStore(tmp_path / f"{number}.db") for _ in range(4)]
        await asyncio.gather(*(store.start() for store in stores))
        await asyncio.gather(*(store.stop() for store in stores))


async def test_migrations_lead_to_the_same_tables_as_the_models(tmp_path: Path) -> None:
    await filled(tmp_path / "fresh.db")
    connection = open_writer(tmp_path / "migrated.db")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    upgrade(connection, tmp_path / "migrated.db")
    connection.exec_driver_sql("COMMIT")
    connection.close()
    assert schema(tmp_path / "migrated.db") == schema(tmp_path / "fresh.db")
    assert await opened(tmp_path / "migrated.db") == []


async def test_no_read_scans_the_log(tmp_path: Path) -> None:
    statements: list[str] = []

    def connect(path: Path) -> sqlite3.Connection:
        connection = open_file(path)
        connection.set_trace_callback(statements.append)
        return connection

    async with SqlStore(tmp_path / "log.db", connect) as store:
        statements.clear()
        await store.read("c", 5)
        await store.find("c", "key")
        await store.last_seq("c")
        await store.open_turns()
        await store.conversations(before=7)
        await store.tail(7)
        await store.append("c", 0, [started()])
        plans = open_file(store.path)
        selects = [sql for sql in statements if sql.startswith("SELECT") and "sqlite_sequence" not in sql]
        found = [row[3] for sql in selects for row in plans.execute(f"EXPLAIN QUERY PLAN {sql}")]
        plans.close()
    assert len(found) == 6 and all("SEARCH" in plan for plan in found), found
