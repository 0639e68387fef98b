"""The history of the log's tables, one Alembic revision a file."""
