"""Reads the events that a Rasa bot left: its SQL tracker store, tracker dumps, and the log of its file event broker.

Whatever the source, events come grouped by conversation and in their order there. A row that cannot be read is given as
it is, with the reason, so that nobody has to guess what was left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, Table, create_engine, func, select
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import make_url

from bot.core.errors import BotError, InputError, NotFound
from bot.core.rasa.facts import facts
from training.data import raw_lines

TABLE = "events"
COLUMNS = ("id", "sender_id", "type_name", "timestamp", "data")
"""What is read of Rasa's table; it also has intent_name and action_name, which repeat what is in `data`."""
_PAGE = 1000
_LONGEST_NAME = 500


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that was not taken: where it is (an id or a place in a file), whose it is, why, and what it was."""

    where: str
    sender: str
    reason: str
    data: Any


@dataclass(slots=True)
class Past:
    """What one sender's conversation left, in order. `places` says where each event is."""

    sender: str
    events: list[Mapping[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How much was read for it."""
        return len(self.events) + len(self.rejects)

    def take(self, where: str, raw: Any) -> None:
        """Add what should be an event."""
        try:
            self.events.append(_event(raw))
            self.places.append(where)
        except InputError as error:
            self.rejects.append(Reject(where, self.sender, str(error), raw))


class SqlPast:
    """A Rasa SQL tracker store at any SQLAlchemy URL whose driver is installed. It is only read."""

    def __init__(self, url: str) -> None:
        """Open it.

        Raises:
            InputError: the URL is none, its driver is not installed, or there is no table of Rasa's.
            NotFound: there is no such file.
        """
        self._engine = _engine(url)
        self.name = self._engine.url.render_as_string(hide_password=True)
        try:
            self._table = Table(TABLE, MetaData(), autoload_with=self._engine)
            with self._engine.connect() as connection:
                self.rows: int = connection.execute(select(func.count()).select_from(self._table)).scalar_one()
        except sa_exc.NoSuchTableError:
            raise InputError(f"{self.name} has no table {TABLE!r}; is it the store of a Rasa bot?") from None
        except sa_exc.DBAPIError as error:
            raise InputError(f"{self.name} cannot be read: {error.orig}") from None
        missing = [name for name in COLUMNS if name not in self._table.c]
        if missing:
            raise InputError(f"the table {TABLE!r} of {self.name} has no column {', '.join(missing)}; Rasa 3 has them")

    def __iter__(self) -> Iterator[Past]:
        columns = self._table.c
        statement = select(*(columns[name] for name in COLUMNS)).order_by(columns.sender_id, columns.id)
        alike: dict[str, Past] = {}
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=_PAGE).execute(statement):
                sender = "" if row.sender_id is None else str(row.sender_id)
                # A database may sort Ann and ann as one; they are told apart here.
                if alike and sender.casefold() != next(iter(alike)).casefold():
                    yield from alike.values()
                    alike = {}
                alike.setdefault(sender, Past(sender)).take(str(row.id), _parsed(row))
        yield from alike.values()

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()


class FilePast:
    """Tracker dumps of Rasa in a file: one tracker, a list of them, one a line, or one event a line with its sender."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            NotFound: there is no such file.
            InputError: it is not JSON.
        """
        self.name = path.name
        self._pasts = _from_file(path)
        self.rows = sum(past.rows for past in self._pasts)

    def __iter__(self) -> Iterator[Past]:
        return iter(self._pasts)

    def close(self) -> None:
        """Nothing is open."""


def is_rasa_file(path: Path) -> bool:
    """Whether the first line of a file looks like a tracker or an event of Rasa, not like our own format.

    Raises:
        NotFound: there is no such file.
    """
    if path.suffix.lower() == ".csv":
        return False
    _, line = next(raw_lines(path), ("", b""))
    start = line.lstrip()
    if start.startswith(b"[") or start.rstrip() == b"{":
        return True
    try:
        row = json.loads(start)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and ("events" in row or "event" in row)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        engine = create_engine(parsed)
    except (sa_exc.NoSuchModuleError, ImportError) as error:
        raise InputError(f"the driver for this URL is not installed ({error}); install it with pip") from None
    except sa_exc.ArgumentError:
        raise InputError("expected a database URL such as sqlite:///rasa.db or postgresql://user@host/rasa") from None
    file = parsed.database if parsed.get_backend_name() == "sqlite" else None
    if file and file != ":memory:" and not file.startswith("file:") and not Path(file).exists():
        raise NotFound(f"there is no file {file}; four slashes begin an absolute path: sqlite:////srv/rasa.db")
    return engine


def _parsed(row: Any) -> Any:
    """The event of a row with what only the columns say; the text as it is when it is no JSON object."""
    try:
        found = _json(row.data)
    except InputError:
        return row.data
    if not isinstance(found, dict):
        return row.data
    columns = {"event": row.type_name, "timestamp": row.timestamp}
    return {**found, **{name: value for name, value in columns.items() if found.get(name) is None}}


def _json(text: Any) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"expected a JSON object ({error})") from None


def _event(raw: Any) -> Mapping[str, Any]:
    """An event that can become facts.

    Raises:
        InputError: it cannot.
    """
    if isinstance(raw, str | bytes):
        raw = _json(raw)
    if not isinstance(raw, Mapping):
        raise InputError(f"expected a JSON object, found {type(raw).__name__}")
    when = raw.get("timestamp")
    if when is not None and not (isinstance(when, int | float) and math.isfinite(when) and when >= 0):
        raise InputError(f"'timestamp': expected seconds since 1970, found {str(when)[:40]!r}")
    try:
        json.dumps(raw, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise InputError("expected text and finite numbers, found what JSON cannot hold") from None
    facts(raw)
    return raw


def _from_file(path: Path) -> list[Past]:
    pasts: dict[str, Past] = {}
    for where, item in _items(path):
        for place, sender, raw in _spread(where, item):
            pasts.setdefault(sender, Past(sender)).take(place, raw)
    return list(pasts.values())


def _items(path: Path) -> Iterator[tuple[str, Any]]:
    """Trackers or events, and where they stand."""
    lines = list(raw_lines(path))
    try:
        found = _json(b"\n".join(line for _, line in lines))
    except InputError as error:
        if path.suffix.lower() == ".json" and len(lines) < 2:
            raise InputError(f"{path.name}: {error}") from None
        for where, line in lines:
            yield where, _or_text(line)
        return
    for number, item in enumerate(found if isinstance(found, list) else [found], 1):
        yield f"{path.name}: tracker {number}", item


def _or_text(line: bytes) -> Any:
    try:
        return _json(line)
    except InputError:
        return line.decode("utf-8", "replace").strip()


def _spread(where: str, item: Any) -> Iterator[tuple[str, str, Any]]:
    """The events of an item: place, sender, event."""
    sender = item.get("sender_id") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(item.get("events"), list):
        alone = {name: value for name, value in item.items() if name != "sender_id"} if sender else item
        yield where, str(sender or ""), alone
        return
    for number, event in enumerate(item["events"], 1):
        yield f"{where}, event {number}", str(sender or ""), event


def check_sender(past: Past) -> str:
    """Why a conversation cannot be told apart from others, or "" when it can."""
    if not past.sender.strip():
        return "there is no sender_id"
    if len(past.sender) > _LONGEST_NAME:
        return f"the sender_id has {len(past.sender)} characters; at most {_LONGEST_NAME} are taken"
    return ""


def rejected_whole(past: Past, error: BotError | str) -> list[Reject]:
    """All events of a conversation that could not be taken as a whole."""
    rows = zip(past.places, past.events, strict=True)
    return [Reject(where, past.sender, str(error), event) for where, event in rows]
