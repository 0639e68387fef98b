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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import ClauseElement, Connection, bindparam, delete, insert, select
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.dialects.sqlite import insert as upsert

from bot.core import events as ev
from bot.core.errors import BotError, Conflict, InputError, NotFound, StorageUnavailable
from bot.core.messages import Audio, File, Message
from bot.store_open import translate
from bot.store_tables import BLOB_USES, BLOBS, CONVERSATIONS, EVENTS, checksum, key_digest

EVENT: TypeAdapter[ev.Event] = TypeAdapter(ev.Event)
"""Reads and writes the `body` column."""


def _sql(statement: ClauseElement) -> str:
    """SQL with `?` parameters in the order of the statement. Compiled once: building it costs more than running it."""
    return str(statement.compile(dialect=dialect()))


_HEAD_UPSERT = upsert(CONVERSATIONS)
_PUT_HEAD = _sql(
    _HEAD_UPSERT.on_conflict_do_update(
        index_elements=["id"], set_={column.name: _HEAD_UPSERT.excluded[column.name] for column in CONVERSATIONS.c}
    )
)
_PUT_EVENT = _sql(insert(EVENTS))
_PUT_USE = _sql(upsert(BLOB_USES).on_conflict_do_nothing())
_PUT_BLOB = _sql(upsert(BLOBS).on_conflict_do_nothing())
_GET_HEAD = _sql(select(CONVERSATIONS).where(CONVERSATIONS.c.id == bindparam("id")))
_GET_POSITION = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
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


class Head(NamedTuple):
    """A row of `conversations`."""

    id: str
    channel: str = ""
    seq: int = 0
    turn: int = 0
    position: int = 0
    started_at: float = 0.0
    updated_at: float = 0.0
    waiting: int = 0

    def after(self, recorded: ev.Recorded) -> Head:
        """The head once this event is stored."""
        event, head = recorded.event, self
        if isinstance(event, ev.Started):
            head = head._replace(channel=event.channel, started_at=recorded.at)
        waiting = head.waiting + isinstance(event, ev.Received) - isinstance(event, ev.Settled)
        turn = max(head.turn, recorded.turn)
        return Head(head.id, head.channel, recorded.seq, turn, recorded.position, head.started_at, recorded.at, waiting)


class LogWriter:
    """The statements that write. Not thread-safe; everything happens in transactions of its own."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection, self._path = connection.connection, path
        self._cursor = self._connection.cursor()

    def append(self, batch: Sequence[Append]) -> list[Sequence[ev.Recorded] | BotError]:
        """Store a batch in one commit; the result or the error of each, in order."""
        try:
            return self._together(batch)
        except sqlite3.IntegrityError:
            if len(batch) == 1:
                return [Conflict(f"a client message id of {batch[0].conversation!r} was used before")]
            return [self.append([one])[0] for one in batch]
        except sqlite3.Error as error:
            refused = translate(error, self._path)
            return [refused for _ in batch]

    def _together(self, batch: Sequence[Append]) -> list[Sequence[ev.Recorded] | BotError]:
        results: list[Sequence[ev.Recorded] | BotError] = []
        with self._transaction():
            work = _Work({one.conversation: self._head(one.conversation) for one in batch}, self._last_position())
            for one in batch:
                try:
                    results.append(work.add(one))
                except (Conflict, InputError) as error:
                    results.append(error)
            self._write(work)
        return results

    def _head(self, conversation: str) -> Head:
        found = self._cursor.execute(_GET_HEAD, (conversation,)).fetchone()
        return Head(*found) if found else Head(conversation)

    def _last_position(self) -> int:
        found = self._cursor.execute(_GET_POSITION).fetchone()
        return int(found[0]) if found else 0

    def _write(self, work: _Work) -> None:
        self._cursor.executemany(_PUT_EVENT, work.rows)
        self._cursor.executemany(_PUT_HEAD, [work.heads[name] for name in work.touched])
        if work.uses:
            self._cursor.executemany(_PUT_USE, work.uses)

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
                head = self._head(conversation)
                if head.seq == 0:
                    raise NotFound(f"there is no conversation {conversation!r}")
                gone = self._delete(conversation)
                self._write(self._tombstone(head, gone, at))
            self._empty_wal()
        return gone

    def _delete(self, conversation: str) -> int:
        self._cursor.execute(_DROP_BLOBS, (conversation, conversation))
        self._cursor.execute(_DROP_USES, (conversation,))
        return int(self._cursor.execute(_DROP_EVENTS, (conversation,)).rowcount)

    def _tombstone(self, head: Head, gone: int, at: float) -> _Work:
        event = ev.Erased(events=gone)
        stone = ev.Recorded(conversation=head.id, seq=head.seq + 1, turn=head.turn, at=at, event=event)
        work = _Work({head.id: head._replace(channel="", waiting=0)}, self._last_position())
        work.add(Append(head.id, head.seq, [stone]))
        return work

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
        except BaseException:
            # SQLite has rolled back by itself after some failures, such as a full disk.
            with suppress(sqlite3.OperationalError):
                self._cursor.execute("ROLLBACK")
            raise

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self._path) from error


class _Work:
    """What one transaction will write."""

    def __init__(self, heads: dict[str, Head], position: int) -> None:
        self.heads, self.position = heads, position
        self.rows: list[tuple[Any, ...]] = []
        self.uses: list[tuple[str, str]] = []
        self.touched: dict[str, None] = {}

    def add(self, one: Append) -> Sequence[ev.Recorded]:
        """Give the events their positions and turn them into rows."""
        head = self.heads[one.conversation]
        if head.seq != one.expected_seq:
            raise Conflict(f"conversation {one.conversation!r} is at seq {head.seq}, not {one.expected_seq}")
        placed: list[ev.Recorded] = []
        rows: list[tuple[Any, ...]] = []
        for recorded in one.events:
            if recorded.seq != head.seq + 1 or recorded.conversation != one.conversation:
                raise Conflict(f"seq {head.seq + 1} of {one.conversation!r} was expected, found {recorded.seq}")
            position = self.position + len(rows) + 1
            placed.append(recorded.model_copy(update={"position": position}))
            rows.append(_row(placed[-1]))
            head = head.after(placed[-1])
        self.position += len(rows)
        self.rows += rows
        self.heads[one.conversation] = head
        self.touched[one.conversation] = None
        self.uses += [(blob, head.id) for recorded in placed for blob in _blobs(recorded)]
        return placed


def _row(recorded: ev.Recorded) -> tuple[Any, ...]:
    """The columns of `events`, in order."""
    event = recorded.event
    try:
        body = EVENT.dump_json(event).decode()
    except PydanticSerializationError as error:
        raise InputError(
            f"{event.kind!r} holds text that is not valid Unicode; send UTF-8 without surrogates"
        ) from error
    key = key_digest(event.key) if isinstance(event, ev.Received) else None
    place = (recorded.conversation, recorded.seq, recorded.turn, recorded.at)
    return (recorded.position, *place, event.kind, key, body, checksum(place, event.kind, key, body))


def _blobs(recorded: ev.Recorded) -> list[str]:
    message = getattr(recorded.event, "message", None)
    if not isinstance(message, Message):
        return []
    return [part.blob for part in message.parts if isinstance(part, Audio | File) and part.blob]


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
