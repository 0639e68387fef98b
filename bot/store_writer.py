"""The only thing that writes to the log: one thread, one connection, one transaction per drained queue (group commit).

`LogWriter` is the synchronous half, the rows and the SQL; `WriterThread` the half that callers await. A future is
resolved only after COMMIT returned, which with `synchronous = FULL` means after the WAL reached the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import ClauseElement, Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.dialects.sqlite import insert as upsert

from bot.core import events as ev
from bot.core.errors import BotError, Conflict, InputError, NotFound, StorageUnavailable
from bot.core.messages import Audio, File
from bot.store_open import translate
from bot.store_tables import BLOB_USES, BLOBS, EVENTS, checksum, key_digest

EVENT: TypeAdapter[ev.Event] = TypeAdapter(ev.Event)
"""Reads and writes the `body` column."""


def _sql(statement: ClauseElement) -> str:
    """SQL with `?` parameters in the order of the statement. Compiled once: building it costs more than running it."""
    return str(statement.compile(dialect=dialect()))


_PUT_EVENTS = "INSERT INTO events (conversation, seq, turn, at, kind, key, body, crc) VALUES "
_ONE_EVENT = "(?, ?, ?, ?, ?, ?, ?, ?)"
_MOST_ROWS = 2000
"""Rows of one INSERT; SQLite takes 32,766 values."""
_PUT_USE = _sql(upsert(BLOB_USES).on_conflict_do_nothing())
_PUT_BLOB = _sql(upsert(BLOBS).on_conflict_do_nothing())
_GET_HEAD = "SELECT seq, turn FROM conversations WHERE id = ?"
_MINE = select(BLOB_USES.c.sha256).where(BLOB_USES.c.conversation == bindparam("id"))
_OTHERS = select(BLOB_USES.c.sha256).where(BLOB_USES.c.conversation != bindparam("other"))
_DROP_BLOBS = _sql(delete(BLOBS).where(BLOBS.c.sha256.in_(_MINE), BLOBS.c.sha256.not_in(_OTHERS)))
_DROP_USES = _sql(delete(BLOB_USES).where(BLOB_USES.c.conversation == bindparam("id")))
_DROP_EVENTS = _sql(delete(EVENTS).where(EVENTS.c.conversation == bindparam("id")))


@dataclass(frozen=True, slots=True)
class Append:
    """Events of one conversation that are to be stored all or none."""

    conversation: str
    expected_seq: int
    events: Sequence[ev.Recorded]


class LogWriter:
    """The statements that write. Not thread-safe; everything happens in transactions of its own."""

    def __init__(self, connection: Connection, path: Path) -> None:
        driver: Any = connection.connection.driver_connection
        self._connection = driver
        self._path = path
        self._cursor = self._connection.cursor()

    def append(self, batch: Sequence[Append]) -> list[Sequence[ev.Recorded] | BotError]:
        """Store a batch in one commit; the result or the error of each, in order."""
        prepared = [_prepare(one) for one in batch]
        good = [item for item in prepared if isinstance(item, _Rows)]
        try:
            self._insert(good)
        except sqlite3.IntegrityError:
            if len(batch) == 1:
                return [Conflict(f"{batch[0].conversation!r} has moved on, or a client message id was used before")]
            return [self.append([one])[0] for one in batch]
        except sqlite3.Error as error:
            refused = translate(error, self._path)
            return [refused if isinstance(item, _Rows) else item for item in prepared]
        return self._place(prepared)

    def _insert(self, batch: Sequence[_Rows]) -> None:
        """One INSERT for all rows, and no more unless blobs are involved.

        Each call of SQLite gives up the interpreter lock and, when the event loop is busy, waits milliseconds to get it
        back; so the number of calls, not of rows, decides how long a commit takes under load.
        """
        rows = [row for item in batch for row in item.rows]
        uses = [use for item in batch for use in item.uses]
        if not rows:
            return
        if not uses and len(rows) <= _MOST_ROWS:
            self._put(rows)
            return
        with self._transaction():
            self._cursor.executemany(_PUT_USE, uses)
            for first in range(0, len(rows), _MOST_ROWS):
                self._put(rows[first : first + _MOST_ROWS])

    def _put(self, rows: Sequence[tuple[Any, ...]]) -> None:
        statement = _PUT_EVENTS + ", ".join([_ONE_EVENT] * len(rows))
        self._cursor.execute(statement, [value for row in rows for value in row])

    def _place(self, prepared: Sequence[_Rows | BotError]) -> list[Sequence[ev.Recorded] | BotError]:
        """The events with their positions: one statement numbers its rows without a gap, in order."""
        position = (self._cursor.lastrowid or 0) - sum(len(item.rows) for item in prepared if isinstance(item, _Rows))
        results: list[Sequence[ev.Recorded] | BotError] = []
        for item in prepared:
            if isinstance(item, BotError):
                results.append(item)
                continue
            first = position + 1
            position += len(item.rows)
            results.append([one.model_copy(update={"position": first + n}) for n, one in enumerate(item.events)])
        return results

    def probe(self) -> None:
        """Write and commit one byte that means nothing.

        Raises:
            StorageUnavailable: that was not possible.
        """
        with self._refusing(), self._transaction():
            self._cursor.execute("PRAGMA user_version = 1")

    def put_blob(self, content: bytes) -> str:
        """Store content once; its sha256 in hex."""
        digest = hashlib.sha256(content).hexdigest()
        with self._refusing(), self._transaction():
            self._cursor.execute(_PUT_BLOB, (digest, content))
        return digest

    def erase(self, conversation: str, at: float) -> int:
        """Delete a conversation's rows and the blobs that only it used; leave a tombstone; empty the WAL.

        Raises:
            NotFound: there is no such conversation.
            StorageUnavailable: the rows are gone, but another process keeps the WAL in use; erase again.
        """
        with self._refusing():
            with self._transaction():
                seq, turn = self._cursor.execute(_GET_HEAD, (conversation,)).fetchone() or (0, 0)
                if seq == 0:
                    raise NotFound(f"there is no conversation {conversation!r}")
                gone = self._delete(conversation)
                event = ev.Erased(events=gone)
                stone = ev.Recorded(conversation=conversation, seq=seq + 1, turn=turn, at=at, event=event)
                self._cursor.execute(_PUT_EVENTS + _ONE_EVENT, _row(stone))
            self._empty_wal()
        return gone

    def _delete(self, conversation: str) -> int:
        self._cursor.execute(_DROP_BLOBS, (conversation, conversation))
        self._cursor.execute(_DROP_USES, (conversation,))
        return int(self._cursor.execute(_DROP_EVENTS, (conversation,)).rowcount)

    def _empty_wal(self) -> None:
        """Copy the WAL into the file and cut it to nothing: it holds what was there before the deletion."""
        if self._cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] != 0:
            raise StorageUnavailable(
                f"{self._path}: the rows are deleted, but another process keeps the WAL file in use, so it still "
                "holds them; close that process and erase again"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._cursor.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._cursor.execute("COMMIT")
        finally:
            # SQLite has rolled back by itself after some failures, such as a full disk.
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self._path) from error


@dataclass(frozen=True, slots=True)
class _Rows:
    """An append as rows of `events` and `blob_uses`."""

    events: Sequence[ev.Recorded]
    rows: list[tuple[Any, ...]]
    uses: list[tuple[str, str]]


def _prepare(one: Append) -> _Rows | BotError:
    for number, recorded in enumerate(one.events, one.expected_seq + 1):
        if recorded.seq != number or recorded.conversation != one.conversation:
            return Conflict(f"seq {number} of {one.conversation!r} was expected, found {recorded.seq}")
    uses = [(blob, one.conversation) for recorded in one.events for blob in _blobs(recorded)]
    try:
        return _Rows(one.events, [_row(recorded) for recorded in one.events], uses)
    except InputError as error:
        return error


def _row(recorded: ev.Recorded) -> tuple[Any, ...]:
    """The columns of `events` after `position`, in order."""
    event = recorded.event
    try:
        body = event.model_dump_json()
    except PydanticSerializationError as error:
        raise InputError(
            f"{event.kind!r} holds text that is not valid Unicode; send UTF-8 without surrogates"
        ) from error
    key = key_digest(event.key) if isinstance(event, ev.Received) else None
    place = (recorded.conversation, recorded.seq, recorded.turn, recorded.at)
    return (*place, event.kind, key, body, checksum(place, event.kind, key, body))


def _blobs(recorded: ev.Recorded) -> list[str]:
    event = recorded.event
    if event.kind != "received" and event.kind != "replied":
        return []
    return [part.blob for part in event.message.parts if isinstance(part, Audio | File) and part.blob]


@dataclass(slots=True)
class _Job:
    """Work for the thread: an `Append`, or a function to be run alone. `future` belongs to `loop`."""

    work: Append | Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class WriterThread:
    """Runs a `LogWriter`. Jobs are done in the order of submission."""

    def __init__(self, writer: LogWriter, largest_batch: int = 256) -> None:
        self._writer, self._largest = writer, largest_batch
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Append | Callable[[], Any]) -> asyncio.Future[Any]:
        """Queue work; the future resolves after its commit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(work, future, loop))
        return future

    def stop(self) -> None:
        """Finish what is queued, then end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch, last = self._drain(first)
            self._do(batch)
            if last:
                return

    def _drain(self, first: _Job) -> tuple[list[_Job], bool]:
        """Everything that waits, up to the largest batch; and whether the end was among it."""
        batch = [first]
        while len(batch) < self._largest:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _do(self, batch: list[_Job]) -> None:
        """Appends that stand together share a commit; other work is done between them."""
        together: list[_Job] = []
        for job in batch:
            if isinstance(job.work, Append):
                together.append(job)
                continue
            self._append(together)
            together = []
            self._alone(job)
        self._append(together)

    def _append(self, jobs: list[_Job]) -> None:
        if jobs:
            _resolve(jobs, self._writer.append([job.work for job in jobs if isinstance(job.work, Append)]))

    def _alone(self, job: _Job) -> None:
        assert not isinstance(job.work, Append)
        try:
            result = job.work()
        except BotError as error:
            result = error
        _resolve([job], [result])


def _resolve(jobs: list[_Job], results: Sequence[Any]) -> None:
    """Hand results over, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for job, result in zip(jobs, results, strict=True):
        by_loop.setdefault(job.loop, []).append((job.future, result))
    for loop, done in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, done)


def _settle(done: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in done:
        if future.done():
            continue
        if isinstance(result, BotError):
            future.set_exception(result)
        else:
            future.set_result(result)
