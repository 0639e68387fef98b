"""The tables of the log, as SQLModel classes.

`events` is the truth: append-only, one row an event. `conversations` is a projection of it, kept by triggers: one row a
conversation, so that its last seq, its open turns and the list of conversations cost no scan; it can be rebuilt from
`events`. The triggers also refuse a gap in `seq`, so one INSERT is a whole append, checked and atomic. `blobs` holds
large content by sha256, `blob_uses` says which conversation refers to what.

No column that an index covers holds what a user wrote: `key` is a digest. SQLite copies index entries between pages
and wipes only the last copy, so content in an index could outlive its erasure.
"""

from __future__ import annotations

import hashlib
import zlib

from sqlalchemy import Index, LargeBinary, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel

HEAD = "0001"
"""The newest revision in bot/migrations."""


class EventRow(SQLModel, table=True):
    """One event. `position` orders the whole log and is never used twice; `crc` is `checksum` of the row."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("conversation", "seq", name="events_seq"),
        Index("events_key", "conversation", "key", unique=True, sqlite_where=text("key IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    position: int = Field(primary_key=True)
    conversation: str
    seq: int
    turn: int
    at: float
    kind: str
    key: str | None = None
    body: str
    crc: int


class ConversationRow(SQLModel, table=True):
    """Where a conversation stands. `waiting` counts its received messages that are not settled."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index("conversations_position", "position"),
        Index("conversations_waiting", "waiting", sqlite_where=text("waiting > 0")),
    )

    id: str = Field(primary_key=True)
    channel: str
    seq: int
    turn: int
    position: int
    started_at: float
    updated_at: float
    waiting: int


class BlobRow(SQLModel, table=True):
    """Content by its sha256 in hex."""

    __tablename__ = "blobs"

    sha256: str = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary)


class BlobUseRow(SQLModel, table=True):
    """A conversation refers to a blob."""

    __tablename__ = "blob_uses"

    sha256: str = Field(primary_key=True)
    conversation: str = Field(primary_key=True, index=True)


TRIGGERS = (
    """
    CREATE TRIGGER events_no_gap BEFORE INSERT ON events
    WHEN NEW.seq <> 1 + coalesce((SELECT seq FROM conversations WHERE id = NEW.conversation), 0)
    BEGIN SELECT RAISE(ABORT, 'seq does not follow'); END
    """,
    """
    CREATE TRIGGER events_project AFTER INSERT ON events BEGIN
    INSERT INTO conversations (id, channel, seq, turn, position, started_at, updated_at, waiting)
    VALUES (NEW.conversation, CASE NEW.kind WHEN 'started' THEN json_extract(NEW.body, '$.channel') ELSE '' END,
            NEW.seq, NEW.turn, NEW.position, NEW.at, NEW.at, NEW.kind = 'received')
    ON CONFLICT (id) DO UPDATE SET
        seq = NEW.seq, turn = max(turn, NEW.turn), position = NEW.position, updated_at = NEW.at,
        channel = CASE NEW.kind WHEN 'started' THEN excluded.channel WHEN 'erased' THEN '' ELSE channel END,
        started_at = CASE NEW.kind WHEN 'started' THEN NEW.at ELSE started_at END,
        waiting = CASE NEW.kind WHEN 'received' THEN waiting + 1 WHEN 'settled' THEN waiting - 1
                  WHEN 'erased' THEN 0 ELSE waiting END;
    END
    """,
)
"""A migration that rebuilds `events` has to create these again."""


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


EVENTS, CONVERSATIONS, BLOBS, BLOB_USES = map(_table, ("events", "conversations", "blobs", "blob_uses"))
TABLES = (EVENTS, CONVERSATIONS, BLOBS, BLOB_USES)


def key_digest(key: str) -> str:
    """What stands in the `key` column for a client message id."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def checksum(place: tuple[str, int, int, float], kind: str, key: str | None, body: str) -> int:
    """CRC-32 of an event row; SQLite has no checksum of its own for table content.

    `place` is conversation, seq, turn and at.
    """
    return zlib.crc32(f"{place!r}\n{kind}\n{key}\n{body}".encode("utf-8", "surrogatepass"))
