"""The log: events, conversations, blobs.

A copy of the first tables rather than a use of `bot.store_tables`, which later revisions will change.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


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


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "events",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("conversation", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("crc", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("conversation", "seq", name="events_seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "events_key", "events", ["conversation", "key"], unique=True, sqlite_where=sa.text("key IS NOT NULL")
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("conversations_position", "conversations", ["position"])
    op.create_index("conversations_waiting", "conversations", ["waiting"], sqlite_where=sa.text("waiting > 0"))
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "blob_uses",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("conversation", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "conversation"),
    )
    op.create_index("ix_blob_uses_conversation", "blob_uses", ["conversation"])
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    """Drop everything."""
    for table in ("blob_uses", "blobs", "conversations", "events"):
        op.drop_table(table)
