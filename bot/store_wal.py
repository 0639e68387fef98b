"""Notices a damaged WAL, which SQLite by itself takes for an unfinished commit.

After a crash SQLite reads the WAL up to the first frame whose checksum is wrong, and forgets the rest. For the last
commit that is right: it was under way. But a later commit is written only after the earlier one was synced, so when two
or more finished commits stand behind the place where SQLite stopped, the earlier of them was durable and is now lost.

Layout (sqlite.org/fileformat2.html#walformat): a header of 32 bytes, then frames of a 24-byte header and a page. Header
words: magic, version, page size, checkpoint number, two salts, two checksums. Frame words: page number, size of the
database after a commit (0 inside one), the two salts, two checksums. All big-endian.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER, _FRAME = 32, 24


@dataclass(frozen=True, slots=True)
class Wal:
    """What a WAL file holds. `commits` are the numbers, from 1, of the frames that finish a commit."""

    salts: bytes
    commits: tuple[int, ...]

    def lost(self, read: int) -> bool:
        """Whether durable commits lie behind the `read` frames that SQLite could use."""
        return sum(number > read for number in self.commits) >= 2


def look(database: Path) -> Wal | None:
    """The WAL beside a database file; None when there is none or it is empty."""
    try:
        # Opened at once: the last connection to close removes the file, and that may be now.
        file = wal_of(database).open("rb")
    except FileNotFoundError:
        return None
    with file:
        if os.fstat(file.fileno()).st_size <= _HEADER + _FRAME:
            return None
        header = file.read(_HEADER)
        page = struct.unpack(">I", header[8:12])[0]
        if not _sound(header) or page == 0:
            # A reset that was cut off leaves no such header: its 32 bytes lie in one sector.
            return Wal(header[16:24], (1, 2))
        commits, number = [], 0
        while len(frame := file.read(_FRAME)) == _FRAME:
            number += 1
            if frame[8:16] == header[16:24] and frame[4:8] != b"\0\0\0\0":
                commits.append(number)
            file.seek(page, 1)
        return Wal(header[16:24], tuple(commits))


def wal_of(database: Path) -> Path:
    """The name that SQLite gives a database's WAL."""
    return database.with_name(f"{database.name}-wal")


def _sound(header: bytes) -> bool:
    """Whether the header's own checksum holds."""
    magic = struct.unpack(">I", header[:4])[0]
    if magic not in (0x377F0682, 0x377F0683):
        return False
    words = struct.unpack(f"{'>' if magic & 1 else '<'}6I", header[:24])
    first = second = 0
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return struct.pack(">2I", first, second) == header[24:32]
