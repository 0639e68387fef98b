"""Reads logged conversations from files into one plain form. Nothing is written here; a bad row refuses the whole file.

Formats: JSONL with one conversation a line (ours, and the `dialogues` data sets, which have no times and no outcome),
or CSV with the columns conversation, speaker, text and, if there are any, at, intent, correction, rating, reason,
channel.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.core.errors import InputError, NotFound
from training.data import nfc, raw_lines, refuse

MAX_TEXT = 20_000
"""Longest message, in characters."""


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


Instant = Annotated[datetime, AfterValidator(_utc)]
"""A time; without a time zone it is taken as UTC."""
Words = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(nfc)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Span(_Row):
    """An entity as it should have been found, in characters of the turn's text."""

    type: Name
    start: int = Field(ge=0)
    end: int = Field(ge=1)
    value: str | None = None


class Correction(_Row):
    """What would have been right in a user's turn. `audit`: the turn was drawn uniformly at random from all."""

    intent: Name | None = None
    entities: tuple[Span, ...] | None = None
    reply: Words | None = None
    audit: bool = False


class Line(_Row):
    """One message. `intent` is what the old bot took it for; `rating` what the customer thought of it."""

    speaker: Literal["user", "bot", "agent"]
    text: Words
    at: Instant | None = None
    intent: Name | None = None
    correction: Correction | None = None
    rating: float | None = Field(default=None, ge=-1, le=1)
    reason: str = ""

    @model_validator(mode="after")
    def _spans_within(self) -> Self:
        for span in (self.correction and self.correction.entities) or ():
            if not span.start < span.end <= len(self.text):
                raise ValueError(f"an entity from {span.start} to {span.end} is not within the text's {len(self.text)}")
        return self


class Talk(_Row):
    """One conversation."""

    id: Name
    turns: tuple[Line, ...] = Field(min_length=1)
    channel: Name = "import"
    lang: Name = "en"
    started_at: Instant | None = None
    outcome: Literal["resolved", "handed_off", "abandoned"] | None = None


def read_talks(path: Path) -> tuple[Talk, ...]:
    """All conversations of a file, in its order.

    Raises:
        NotFound: there is no such file.
        InputError: rows are not as expected; lists their places, what was expected and what was found.
    """
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else raw_lines(path)
    talks: list[Talk] = []
    problems: list[str] = []
    places: dict[str, str] = {}
    for where, row in rows:
        try:
            talk = Talk.model_validate_json(row) if isinstance(row, bytes) else Talk.model_validate(row)
        except ValidationError as error:
            problems += [f"{where}: {text}" for text in _explain(error)]
            continue
        if talk.id in places:
            problems.append(f"{where}: conversation {talk.id!r} is in {places[talk.id]} already; give each its own id")
        places[talk.id] = where
        talks.append(talk)
    refuse(path, problems)
    if not talks:
        raise InputError(f"{path.name}: expected at least one conversation, found none")
    return tuple(talks)


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a CSV file, gathered into conversations; a conversation's place is its first row."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""), strict=True)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: expected UTF-8, found other bytes at {error.start}") from error
    missing = {"conversation", "speaker", "text"} - set(reader.fieldnames or ())
    if missing:
        raise InputError(
            f"{path.name}:1: expected the columns {sorted(missing)}, found {list(reader.fieldnames or ())}"
        )
    talks: dict[str, tuple[str, dict[str, Any]]] = {}
    try:
        for row in reader:
            filled = {name: value for name, value in row.items() if name and value}
            if "correction" in filled:
                filled["correction"] = {"intent": filled["correction"]}
            id_ = filled.get("conversation", "")
            talk: dict[str, Any] = {
                "id": id_,
                "turns": [],
                "channel": filled.get("channel", "import"),
                "lang": filled.get("lang", "en"),
            }
            _, talk = talks.setdefault(id_, (f"{path.name}:{reader.line_num}", talk))
            talk["turns"].append(filled)
    except csv.Error as error:
        raise InputError(f"{path.name}:{reader.line_num}: expected CSV, found a row that is not ({error})") from error
    yield from talks.values()


def _explain(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"]) or "row"
        found = "" if item["type"] == "missing" else f", found {str(item['input'])[:60]!r}"
        yield f"{place}: {item['msg'][0].lower()}{item['msg'][1:]}{found}"
