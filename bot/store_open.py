"""Opens the database file: settings that make a commit durable, the schema, and the checks before it is used.

A log whose durability settings do not hold, or that a byte was lost from, is refused here rather than trusted.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, NullPool, case, create_engine, func, select
from sqlalchemy import exc as sa_exc
from sqlmodel import SQLModel

from bot.core.errors import BotError, IntegrityError, SettingsError, StorageUnavailable
from bot.store_tables import BLOBS, CONVERSATIONS, EVENTS, HEAD, TABLES, TRIGGERS, checksum
from bot.store_wal import Wal, look, wal_of

Connect = Callable[[Path], Any]
"""Opens a DB-API connection to the file; `open_file` unless a test brings its own."""

BUSY_SECONDS = 2.0
"""How long a write waits for another process's lock before it is refused."""
FULL_CHECK_BYTES = 64 * 1024 * 1024
"""Files up to this size are checked completely at start; larger ones page by page only, and row by row when read."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""SQLITE_ERROR: our statements are well formed, so a table or column is missing."""
_DURABLE = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("secure_delete", "ON", 1),
)


def open_file(path: Path) -> sqlite3.Connection:
    """A connection of the standard library that leaves transactions to us."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)


def open_writer(path: Path, connect: Connect = open_file) -> Connection:
    """A connection that may write, with durable settings set and read back.

    Raises:
        SettingsError: the file system or SQLite build refuses a setting that durability rests on.
        IntegrityError: the file is not a database of ours or is damaged.
    """
    wal = look(path)
    connection = _connection(path, connect)
    try:
        for name, value, expected in _DURABLE:
            _set(connection, name, value)
            found = connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            if found != expected:
                raise SettingsError(
                    f"{path}: SQLite was asked for {name} = {value} and answers {found!r}; acknowledged messages would "
                    "not survive a power cut. Put the log on a local disk (not a network share)."
                )
        connection.exec_driver_sql("PRAGMA cell_size_check = ON")
        connection.exec_driver_sql("PRAGMA journal_size_limit = 67108864")
        _check_wal(connection, path, wal)
    except sa_exc.DBAPIError as error:
        connection.close()
        raise translate(error, path) from error
    except (SettingsError, IntegrityError):
        connection.close()
        raise
    return connection


def _set(connection: Connection, name: str, value: str) -> None:
    """Set a pragma, waiting for others: SQLite itself does not wait for a lock when it changes the journal mode."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.exec_driver_sql(f"PRAGMA {name} = {value}").close()
            return
        except sa_exc.DBAPIError as error:
            busy = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _check_wal(connection: Connection, path: Path, wal: Wal | None) -> None:
    read = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()[1]
    if wal is None or not wal.lost(read):
        return
    now = look(path)
    if now is not None and now.salts == wal.salts:  # else another process began a new WAL meanwhile
        raise IntegrityError(
            str(wal_of(path)),
            "commits that were durable can no longer be read, so a byte of it was damaged after a crash; "
            "restore a backup, or delete this file to go on without them",
        )


def open_reader(path: Path, connect: Connect = open_file) -> Connection:
    """A connection that only reads."""
    connection = _connection(path, connect)
    if connect is open_file:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    return connection


def _connection(path: Path, connect: Connect) -> Connection:
    engine = create_engine("sqlite://", creator=lambda: connect(path), poolclass=NullPool)
    try:
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except sa_exc.DBAPIError as error:
        raise translate(error, path) from error


def translate(error: Exception, path: Path) -> BotError:
    """What a failure of SQLite, bare or wrapped by SQLAlchemy, means to the caller."""
    cause = getattr(error, "orig", error)
    if "decode to UTF-8" in str(cause):  # the text of this error quotes the row
        return IntegrityError(str(path), "the database is damaged (a text is not UTF-8); restore a backup of this file")
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
        return IntegrityError(str(path), f"the database is damaged ({cause}); restore a backup of this file")
    return StorageUnavailable(f"{path}: the log cannot be used now ({cause}); check free space and other processes")


def migrate(connection: Connection, path: Path) -> None:
    """Bring the tables to the newest revision. Alembic is loaded only when there is something to change.

    Raises:
        IntegrityError: the file is not a log, or of a revision that is unknown here.
    """
    if _revision(connection, path) == HEAD:
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # on an error the caller closes the connection, which undoes it
    found = _revision(connection, path)  # again: another process may have been quicker
    if found is None:
        _create(connection)
    elif found != HEAD:
        upgrade(connection, path)
    connection.exec_driver_sql("COMMIT")


def _revision(connection: Connection, path: Path) -> str | None:
    """The revision of the tables; None if there are none."""
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise IntegrityError(str(path), "this SQLite file is not a log of ours; name another path for the log")
    return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())


def _create(connection: Connection) -> None:
    SQLModel.metadata.create_all(connection, tables=TABLES, checkfirst=False)
    for trigger in TRIGGERS:
        connection.exec_driver_sql(trigger)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))


def upgrade(connection: Connection, path: Path) -> None:
    """Run Alembic's revisions up to the newest in the transaction that is open."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise IntegrityError(str(path), f"its schema revision is unknown here ({error}); update Understudy") from error


def verify(connection: Connection, path: Path) -> None:
    """Refuse a damaged file.

    Raises:
        IntegrityError: names the file and what is wrong with it.
    """
    small = path.stat().st_size <= FULL_CHECK_BYTES
    problem = connection.exec_driver_sql(f"PRAGMA {'integrity_check' if small else 'quick_check'}(1)").scalar()
    if problem == "ok" and small:
        problem = _bad_row(connection) or _bad_projection(connection) or "ok"
    if problem != "ok":
        raise IntegrityError(str(path), f"the database is damaged ({problem}); restore a backup of this file")


def _bad_row(connection: Connection) -> str | None:
    cursor = connection.connection.cursor()
    for row in cursor.execute(str(select(EVENTS))):
        if not intact(row):
            return f"the event at position {row[0]} differs from its checksum"
    for digest, content in cursor.execute(str(select(BLOBS))):
        if hashlib.sha256(content).hexdigest() != digest:
            return f"the blob {digest} differs from its checksum"
    return None


def intact(row: Sequence[Any]) -> bool:
    """Whether a row of `events`, all columns in order, is as it was written."""
    _, conversation, seq, turn, at, kind, key, body, crc = row
    return bool(crc == checksum((conversation, seq, turn, at), kind, key, body))


def _bad_projection(connection: Connection) -> str | None:
    """Compare `conversations` with what `events` say."""
    events, heads = EVENTS.c, CONVERSATIONS.c
    waiting = func.sum(case((events.kind == "received", 1), (events.kind == "settled", -1), else_=0))
    truth = select(events.conversation, func.max(events.seq), func.max(events.turn), func.max(events.position), waiting)
    found = connection.execute(select(heads.id, heads.seq, heads.turn, heads.position, heads.waiting)).all()
    if {tuple(row) for row in connection.execute(truth.group_by(events.conversation))} != {tuple(row) for row in found}:
        return "the table of conversations does not follow from the events"
    last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'events'").scalar() or 0
    if last < max((row.position for row in found), default=0):
        return "the position counter is behind the events"
    return None
