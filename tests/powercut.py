"""A disk that can lose power: an SQLite VFS that remembers what of each file had reached the platter.

SQLite hands written bytes to the operating system, and only `xSync` makes them last. The shim keeps the bytes of each
file as of its last sync. `Disk.cuts` holds, for every sync, what a power cut just before it would leave: the synced
bytes, and a second image where a random part of the unsynced sectors reached the platter too. Lost directory entries
are not modelled. Needs `locking_mode = EXCLUSIVE`, since shared memory cannot go through a Python VFS.

`connect` gives a DB-API connection over apsw, complete enough for `bot.store`.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import apsw

SECTOR = 512
Image = dict[str, bytes]


@dataclass
class Cut:
    """What a power cut leaves, and what `note` said at that moment."""

    synced: Image
    torn: Image
    note: Any


@dataclass
class Disk:
    """The files below one folder. `note` is asked at every sync; its answer is kept with the cut."""

    note: Callable[[], Any] = lambda: None
    cuts: list[Cut] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    synced: dict[str, bytes] = field(default_factory=dict)
    live: dict[str, bytearray] = field(default_factory=dict)

    def cut(self) -> None:
        """Record what would be left if the power went now."""
        torn = {name: self._torn(self.synced.get(name, b""), bytes(now)) for name, now in self.live.items()}
        self.cuts.append(Cut(dict(self.synced), torn, self.note()))

    def _torn(self, before: bytes, now: bytes) -> bytes:
        """Some sectors as they are now, the others as they were synced."""
        size = len(now) if self.chance.random() < 0.5 else len(before)
        result = bytearray(before[:size].ljust(size, b"\0"))
        for at in range(0, size, SECTOR):
            if before[at : at + SECTOR] != now[at : at + SECTOR] and self.chance.random() < 0.5:
                result[at : at + SECTOR] = now[at : at + SECTOR].ljust(min(SECTOR, size - at), b"\0")
        return bytes(result)

    def sync(self, name: str) -> None:
        self.cut()
        self.synced[name] = bytes(self.live[name])


class DiskVFS(apsw.VFS):
    """Passes everything to the real file system and tells the disk."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> DiskFile:
        return DiskFile(self.disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        name = Path(filename).name
        self.disk.live.pop(name, None)
        self.disk.synced.pop(name, None)


class DiskFile(apsw.VFSFile):
    """A file whose writes are unsafe until synced."""

    def __init__(self, disk: Disk, filename: Any, flags: list[int]) -> None:
        super().__init__("", filename, flags)
        path = filename.filename() if isinstance(filename, apsw.URIFilename) else str(filename)
        self.disk, self.name = disk, Path(path).name
        disk.live.setdefault(self.name, bytearray())

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        live = self.disk.live[self.name]
        if len(live) < offset:
            live.extend(bytes(offset - len(live)))
        live[offset : offset + len(data)] = data

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        del self.disk.live[self.name][newsize:]

    def xSync(self, flags: int) -> None:
        self.disk.sync(self.name)
        super().xSync(flags)


class Cursor:
    """The part of a DB-API cursor that SQLAlchemy and the store use."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self.description: Any = None
        self.rowcount, self.lastrowid = -1, 0

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Self:
        raw = self._connection.raw
        before = raw.total_changes()
        cursor = raw.cursor()
        cursor.exec_trace = self._describe
        try:
            rows = list(cursor.execute(self._connection.rewrite(sql), tuple(parameters)))
        except apsw.Error as error:
            raise _translated(error) from error
        self._rows = iter(rows)
        self.rowcount = raw.total_changes() - before
        return self

    def _describe(self, cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        self.description = [(*column, None, None, None, None, None) for column in cursor.get_description()] or None
        return True

    def executemany(self, sql: str, many: Iterable[Sequence[Any]]) -> Self:
        for parameters in many:
            self.execute(sql, parameters)
        return self

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def fetchmany(self, size: int = 1) -> list[Any]:
        return [row for _, row in zip(range(size), self._rows, strict=False)]

    def __iter__(self) -> Any:
        return self._rows

    def close(self) -> None:
        self._rows = iter(())


def _translated(error: apsw.Error) -> sqlite3.Error:
    kind = sqlite3.IntegrityError if isinstance(error, apsw.ConstraintError) else sqlite3.OperationalError
    translated = kind(str(error))
    translated.sqlite_errorcode = getattr(error, "extendedresult", 0)
    return translated


class Connection:
    """The part of a DB-API connection that SQLAlchemy and the store use. `replaced` rewrites statements."""

    isolation_level: Any = None

    def __init__(self, raw: apsw.Connection, replaced: dict[str, str]) -> None:
        self.raw, self._replaced = raw, replaced

    def rewrite(self, sql: str) -> str:
        return self._replaced.get(sql, sql)

    @property
    def in_transaction(self) -> bool:
        return self.raw.in_transaction

    def cursor(self, *_: Any) -> Cursor:
        return Cursor(self)

    def create_function(self, *_: Any, **__: Any) -> None:
        """SQLAlchemy registers a regular expression function; the store uses none."""

    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


def connector(disk: Disk, name: str, replaced: dict[str, str] | None = None) -> Callable[[Path], Connection]:
    """Opens the file on the disk; every call gives the same connection, as exclusive locking wants.

    Keep a reference to the result: it owns the VFS.
    """
    vfs = DiskVFS(name, disk)
    opened: list[Connection] = []

    def connect(path: Path) -> Connection:
        if not opened:
            raw = apsw.Connection(str(path), vfs=name)
            raw.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            opened.append(Connection(raw, replaced or {}))
        assert vfs
        return opened[0]

    return connect


def restore(image: Image, folder: Path) -> None:
    """Put the files of an image into an empty folder."""
    for name, content in image.items():
        if not name.endswith("-shm"):
            (folder / name).write_bytes(content)
