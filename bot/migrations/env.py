"""Alembic's entry: runs the revisions on the connection that the store hands over.

Batch mode: SQLite cannot alter most things in place, so Alembic copies the table.
"""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import bot.store_tables  # noqa: F401  fills the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
