"""The log on SQLite: an `EventStore` whose every write survives a power cut before it is acknowledged.

Rules: WAL with `synchronous = FULL`, read back when opened; one thread writes and groups what waits into one commit;
one other thread reads, so the event loop never touches the disk. (conversation, seq) and (conversation, client message
id) are unique for ever. What `erase` deletes is gone from every page and from the WAL; only a tombstone stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Row, Select, func, literal_column, select
from sqlalchemy import exc as sa_exc

from bot.core.errors import BotError, IntegrityError, NotFound, StorageUnavailable
from bot.core.events import Recorded
from bot.store_open import Connect, intact, migrate, open_file, open_reader, open_writer, translate, verify
from bot.store_tables import BLOBS, CONVERSATIONS, EVENTS, key_digest
from bot.store_threads import Job, JobThread, answer
from bot.store_writer import EVENT, Append, LogWriter, WriterThread

Result = TypeVar("Result")

# A conversation that is not in memory is read by the driver: SQLAlchemy would cost ten times as much.
_READ = f"SELECT {', '.join(column.name for column in EVENTS.c)} FROM events WHERE conversation = ? AND seq > ?"  # noqa: S608
_IN_ORDER = " ORDER BY seq LIMIT ?"
_TAIL = select(EVENTS).order_by(EVENTS.c.position)


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation in a list. Times are seconds since 1970 UTC; `waiting` counts turns without an outcome.

    `position` is that of its last event; give the last one of a page as `before` to get the next page.
    """

    id: str
    channel: str
    seq: int
    turn: int
    position: int
    started_at: float
    updated_at: float
    waiting: int


def _read(jobs: Sequence[Job[Callable[[], Any]]]) -> None:
    """What the reader thread does. A row that cannot be read is its asker's trouble, and no reason to stop."""
    for job in jobs:
        answer(job, job.work, (BotError, ValueError, sqlite3.Error, sa_exc.SQLAlchemyError))


class SqlStore:
    """An `EventStore` in one SQLite file. `start` before use and `stop` after, or `async with`."""

    def __init__(self, path: Path, connect: Connect = open_file) -> None:
        self.path, self._connect = path, connect
        self._write_connection: Connection | None = None
        self._read_connection: Connection | None = None
        self._writer: WriterThread | None = None
        self._log: LogWriter | None = None
        self._latest: dict[str, Append] = {}
        self._reader: JobThread[Callable[[], Any]] | None = None

    async def start(self) -> None:
        """Open, migrate and check the file; creates it if need be.

        Raises:
            SettingsError: the settings that durability rests on do not hold here.
            IntegrityError: the file is damaged or not ours.
            StorageUnavailable: the file cannot be opened now.
        """
        await asyncio.to_thread(self._open)
        assert self._log is not None
        self._writer = WriterThread(self._log)
        self._reader = JobThread("log-reader", _read)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = open_writer(self.path, self._connect)
        try:
            migrate(connection, self.path)
            verify(connection, self.path)
        except (sa_exc.DBAPIError, sqlite3.Error) as error:
            connection.close()
            raise translate(error, self.path) from error
        except IntegrityError:
            connection.close()
            raise
        self._log = LogWriter(connection, self.path)
        self._write_connection = connection
        self._read_connection = open_reader(self.path, self._connect)

    async def stop(self) -> None:
        """Finish what is queued and close the file."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for thread in (self._writer, self._reader):
            if thread is not None:
                thread.stop()
        # The writer closes last: SQLite then folds the WAL into the file.
        for connection in (self._read_connection, self._write_connection):
            if connection is not None:
                connection.close()
        self._writer = self._reader = self._read_connection = self._write_connection = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def append(
        self, conversation: str, expected_seq: int, events: Sequence[Recorded]
    ) -> asyncio.Future[Sequence[Recorded]]:
        """See `EventStore`. Concurrent calls share a commit; calls are done in order."""
        work = Append(conversation, expected_seq, events, self._latest.get(conversation))
        done = self._submit(work)
        self._latest[conversation] = work
        done.add_done_callback(lambda _: self._over(work))
        return done

    def _over(self, work: Append) -> None:
        if self._latest.get(work.conversation) is work:
            del self._latest[work.conversation]

    async def erase(self, conversation: str, at: float) -> int:
        """See `EventStore`; also deletes the blobs that only this conversation used."""
        gone: int = await self._submit(lambda: self._opened().erase(conversation, at))
        return gone

    async def writable(self) -> bool:
        """Whether a commit succeeds now; waits behind the commits that are queued."""
        try:
            await self._submit(lambda: self._opened().probe())
        except StorageUnavailable:
            return False
        return True

    async def put_blob(self, content: bytes) -> str:
        """Store content once; its sha256 in hex. It lives until the last conversation that refers to it is erased."""
        digest: str = await self._submit(lambda: self._opened().put_blob(content))
        return digest

    async def get_blob(self, digest: str) -> bytes:
        """The content with this sha256.

        Raises:
            NotFound: there is none.
            IntegrityError: the content was damaged on disk.
        """
        rows = await self._fetch(select(BLOBS).where(BLOBS.c.sha256 == digest))
        if not rows:
            raise NotFound(f"there is no blob {digest!r}")
        content: bytes = rows[0].content
        if hashlib.sha256(content).hexdigest() != digest:
            raise IntegrityError(str(self.path), f"the blob {digest} is damaged; restore a backup of this file")
        return content

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        """See `EventStore`."""
        parameters = (conversation, after, -1 if limit is None else limit)

        def read(connection: Connection) -> list[Recorded]:
            driver: Any = connection.connection.driver_connection
            return [self._recorded(row) for row in driver.cursor().execute(_READ + _IN_ORDER, parameters).fetchall()]

        return await self._in_reader(read)

    async def find(self, conversation: str, key: str) -> Recorded | None:
        """See `EventStore`."""
        columns = EVENTS.c
        # "IS NOT NULL" lets SQLite use the partial index.
        statement = select(EVENTS).where(columns.conversation == conversation, columns.key == key_digest(key))
        found = await self._events(statement.where(columns.key.is_not(None)))
        return found[0] if found else None

    async def last_seq(self, conversation: str) -> int:
        """The seq of the last event, 0 for an unknown conversation."""
        rows = await self._fetch(select(CONVERSATIONS.c.seq).where(CONVERSATIONS.c.id == conversation))
        return rows[0].seq if rows else 0

    async def last_position(self) -> int:
        """The position of the last event, 0 in an empty log."""
        rows = await self._fetch(select(func.max(EVENTS.c.position)))
        return rows[0][0] or 0

    async def tail(self, after_position: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events of all conversations with a position above this, in the order of the log."""
        return await self._events(_TAIL.where(EVENTS.c.position > after_position).limit(limit))

    async def conversations(self, limit: int = 50, before: int | None = None) -> Sequence[Summary]:
        """Conversations, the latest active first. `before` is the `position` of the last one already seen."""
        statement = select(CONVERSATIONS).order_by(CONVERSATIONS.c.position.desc()).limit(limit)
        if before is not None:
            statement = statement.where(CONVERSATIONS.c.position < before)
        return [Summary(**row._mapping) for row in await self._fetch(statement)]

    async def open_turns(self) -> Sequence[str]:
        """See `EventStore`."""
        # The literal 0 lets SQLite use the partial index.
        rows = await self._fetch(select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.waiting > literal_column("0")))
        return [row.id for row in rows]

    def _submit(self, work: Append | Callable[[], Any]) -> asyncio.Future[Any]:
        if self._writer is None:
            raise StorageUnavailable(f"{self.path}: the log is closed")
        return self._writer.submit(work)

    def _opened(self) -> LogWriter:
        assert self._log is not None
        return self._log

    async def _events(self, statement: Select[Any]) -> Sequence[Recorded]:
        return await self._in_reader(lambda connection: [self._recorded(row) for row in connection.execute(statement)])

    async def _fetch(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        return await self._in_reader(lambda connection: connection.execute(statement).all())

    async def _in_reader(self, work: Callable[[Connection], Result]) -> Result:
        connection, reader = self._read_connection, self._reader
        if connection is None or reader is None:
            raise StorageUnavailable(f"{self.path}: the log is closed")
        try:
            found: Result = await reader.submit(lambda: work(connection))
            return found
        except (sa_exc.DBAPIError, sqlite3.Error) as error:
            raise translate(error, self.path) from error

    def _recorded(self, row: Sequence[Any]) -> Recorded:
        position, conversation, seq, turn, at, _, _, body, _ = row
        if not intact(row):
            why = f"the event at position {position} differs from its checksum; restore a backup of this file"
            raise IntegrityError(str(self.path), why)
        # The body was validated as an event and the rest are columns of checked type.
        return Recorded.model_construct(
            conversation=conversation,
            seq=seq,
            turn=turn,
            at=at,
            event=EVENT.validate_json(body),
            position=position,
        )
