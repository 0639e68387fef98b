"""The only thing that writes to the log: one thread, one connection, one transaction per drained queue (group commit).

`LogWriter` is the synchronous half, the rows and the SQL; `WriterThread` the half that callers await. A future is
resolved only after COMMIT returned, which with `synchronous = FULL` means after the WAL reached the disk.
"""

from __future__ import annotations

import hashlib
import sqlite3
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
from bot.store_threads import Job, JobThread, answer, resolve

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


@dataclass(slots=True, eq=False)
class Append:
    """Events of one conversation that are to be stored all or none.

    `after` is the append of the conversation that was under way when this one was asked for. If it was `refused`, this
    one is too, even if its place is free: somebody else may have written as many events as the refused one had.
    """

    conversation: str
    expected_seq: int
    events: Sequence[ev.Recorded]
    after: Append | None = None
    refused: bool = False


class LogWriter:
    """The statements that write. Not thread-safe; everything happens in transactions of its own."""

    def __init__(self, connection: Connection, path: Path) -> None:
        driver: Any = connection.connection.driver_connection
        self._connection = driver
        self._path = path
        self._cursor = self._connection.cursor()

    def append(self, batch: Sequence[Append]) -> list[Sequence[ev.Recorded] | BotError]:
        """Store a batch in one commit; the result or the error of each, in order."""
        results = self._append(batch)
        for one, result in zip(batch, results, strict=True):
            one.after, one.refused = None, isinstance(result, BotError)
        return results

    def _append(self, batch: Sequence[Append]) -> list[Sequence[ev.Recorded] | BotError]:
        prepared = [_prepare(one) for one in batch]
        good = [item for item in prepared if isinstance(item, _Rows)]
        try:
            self._insert(good)
        except sqlite3.IntegrityError:
            if len(batch) == 1:
                return [Conflict(f"{batch[0].conversation!r} has moved on, or a client message id was used before")]
            return [self.append([one])[0] for one in batch]  # in order, so that each knows of the one before
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
    if one.after is not None and one.after.refused:
        return Conflict(f"what {one.conversation!r} was to hold before seq {one.expected_seq + 1} was refused")
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


Work = Append | Callable[[], Any]


class WriterThread(JobThread[Work]):
    """Runs a `LogWriter`: appends, and functions that are run alone. Futures resolve after the commit."""

    def __init__(self, writer: LogWriter, largest_batch: int = 256) -> None:
        self._writer = writer
        super().__init__("log-writer", self._commit, largest_batch)

    def _commit(self, batch: list[Job[Work]]) -> None:
        """Appends that stand together share a commit; other work is done between them."""
        together: list[Job[Work]] = []
        for job in batch:
            if isinstance(job.work, Append):
                together.append(job)
                continue
            self._append(together)
            together = []
            answer(job, job.work)
        self._append(together)

    def _append(self, jobs: list[Job[Work]]) -> None:
        if jobs:
            resolve(jobs, self._writer.append([job.work for job in jobs if isinstance(job.work, Append)]))
