"""Printing: for people by rich, for programs as one JSON object."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bot.core.errors import InputError

console = Console(highlight=False, emoji=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
_WHOLE = ("bundle", "made", "measure", "right", "rule", "skill")
"""Columns of a table that are not broken into lines."""
Advance = Callable[[str, float], None]
"""Told a stage's name and how much of it is done, 0 to 1."""


def plain(value: Any) -> Any:
    """A value as JSON holds it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def as_json(value: Any) -> None:
    """Print one JSON object on one line."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False) + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers to the right."""
    drawn = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=column in _WHOLE)
    for row in rows:
        drawn.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(drawn)


@contextlib.contextmanager
def progress(quiet: bool = False) -> Iterator[Advance]:
    """A bar for each stage; lines instead of bars when nobody looks at a terminal."""
    if quiet or not errors.is_terminal:
        yield lambda stage, done: None
        return
    columns = TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=errors, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=min(done, 1.0))

        yield advance


def is_project(path: Path) -> bool:
    """Whether the folder looks like a project."""
    return any((path / name).exists() for name in ("domain.yml", "domain.yaml", "domain", "bot.yml", "data"))


def project_folder(path: Path) -> Path:
    """The folder, if it looks like a project; else an error that says what to do."""
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; make a project with: bot init {path}")
    if not is_project(path):
        raise InputError(f"{path} holds no domain.yml, bot.yml or data/; make a project with: bot init {path}")
    return path
