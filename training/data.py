"""Reads rows from files, from a project and from the reviewed turns of a log.

Row formats (JSONL, `.gz` too): intents `{"text","intent","lang"}`, slots `{"tokens","tags","intent","lang"}`, faq
queries `{"query","id","lang"}` with entries `{"id","question","answer"}`, qa `{"question","context_id"}` with passages
`{"id","title","text"}`. Intent and slot rows may tell "conversation", "channel", "at" (ISO 8601) and "source"; further
fields are ignored. A file is read whole or refused, with the place of each bad row.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bot.core.errors import InputError, NotFound
from bot.core.events import Corrected, Entity, Received, Recorded, Started, Transcribed, Understood
from bot.manifest import DataSet
from skills.entities_head import kind_name
from skills.entities_rules import words
from training.examples import OUTSIDE, Example, FaqExample, IntentExample, Origin, Passage, PassageExample, SlotExample

if TYPE_CHECKING:
    from bot.project.nlu import NluData

Row = TypeVar("Row")
Fields = Mapping[str, Any]
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_SHOWN = 10
"""How many bad rows an error lists."""


def read_intents(path: Path) -> tuple[IntentExample, ...]:
    """Rows `{"text","intent","lang"}`; rows with tags are taken too. Raises InputError with the place of bad rows."""
    return _read(path, _intent_row)


def read_slots(path: Path) -> tuple[SlotExample, ...]:
    """Rows `{"tokens","tags","intent","lang"}` with BIO tags. Raises InputError with the place of each bad row."""
    return _read(path, _slot_row)


def read_queries(path: Path) -> tuple[FaqExample, ...]:
    """Rows `{"query","id"}` of an FAQ or `{"question","context_id"}` of a QA set. Raises InputError as above."""
    return _read(path, _query_row)


def read_passages(path: Path) -> tuple[Passage, ...]:
    """Entries `{"id","question","answer"}` or passages `{"id","title","text"}`. Raises InputError as above."""
    return _read(path, _passage_row)


def from_project(nlu: NluData, lang: str) -> tuple[tuple[IntentExample, ...], tuple[SlotExample, ...]]:
    """The examples of a project, as intent rows and, if any example is annotated, as slot rows."""
    intents = tuple(IntentExample(nfc(row.text), row.intent, lang, row.where) for row in nlu.examples)
    if not any(row.entities for row in nlu.examples):
        return intents, ()
    return intents, tuple(slots_of(row.text, row.entities, row.intent, lang, row.where) for row in nlu.examples)


def slots_of(text: str, entities: Sequence[Entity], intent: str, lang: str, where: str = "") -> SlotExample:
    """A slot row from annotated spans; words that hold the border of a span are cut there."""
    borders = sorted({edge for entity in entities for edge in (entity.start, entity.end)})
    offsets = tuple(span for _, start, end in words(text) for span in _cut(start, end, borders))
    tags = tuple(_tag(span, entities) for span in offsets)
    return SlotExample(tuple(text[start:end] for start, end in offsets), tags, intent, lang, text, offsets, where)


def reviewed(history: Iterable[Recorded]) -> tuple[tuple[IntentExample, ...], tuple[SlotExample, ...]]:
    """The turns of a log that somebody corrected, with what would have been right; the last correction counts.

    `history` holds events of any conversations, each conversation's in order. Button presses teach nothing here, and
    what a user chose from "did you mean" is no correction but a signal, see `training.signals`.
    """
    turns: dict[tuple[str, int], _Reviewed] = {}
    users: dict[str, str] = {}
    for recorded in history:
        event, place = recorded.event, (recorded.conversation, recorded.turn)
        if isinstance(event, Started):
            users[recorded.conversation] = event.sender
        elif isinstance(event, Received):
            month = f"{datetime.fromtimestamp(recorded.at, UTC):%Y-%m}"
            user = users.get(recorded.conversation, "")
            origin = Origin(recorded.conversation, event.channel, month, user=user)
            turns[place] = _Reviewed(event.message.text, origin)
        elif isinstance(event, Transcribed):
            turns[place].text = event.text
        elif isinstance(event, Understood):
            turns[place].lang = event.language
            turns[place].pressed = event.source == "payload"
        elif (
            isinstance(event, Corrected) and event.source != "click" and (recorded.conversation, event.target) in turns
        ):
            turns[recorded.conversation, event.target].take(event)
    usable = {place: turn for place, turn in turns.items() if turn.text.strip() and not turn.pressed and turn.usable}
    intents = tuple(turn.intent_row(place) for place, turn in usable.items() if turn.intent)
    return intents, tuple(turn.slot_row(place) for place, turn in usable.items() if turn.entities is not None)


class _Reviewed:
    """A turn and what was said of it that nobody took back."""

    def __init__(self, text: str, origin: Origin) -> None:
        self.text, self.lang, self.pressed, self.origin = nfc(text), "en", False, origin
        self.said: list[Corrected] = []

    def take(self, event: Corrected) -> None:
        if event.withdrawn:
            self.said = [one for one in self.said if (one.source, one.by) != (event.source, event.by)]
        else:
            self.said.append(event)

    @property
    def usable(self) -> bool:
        return not self.said or self.said[-1].usable

    @property
    def intent(self) -> str | None:
        return next((one.intent for one in reversed(self.said) if one.intent), None)

    @property
    def entities(self) -> tuple[Entity, ...] | None:
        return next((one.entities for one in reversed(self.said) if one.entities is not None), None)

    def intent_row(self, place: tuple[str, int]) -> IntentExample:
        where = f"{place[0]}, turn {place[1]}"
        return IntentExample(self.text, self.intent or "", self.lang, where, self.origin)

    def slot_row(self, place: tuple[str, int]) -> SlotExample:
        where = f"{place[0]}, turn {place[1]}"
        row = slots_of(self.text, self.entities or (), self.intent or "", self.lang, where)
        return replace(row, origin=self.origin)


def nfc(text: str) -> str:
    """The text in Unicode form NFC, as rows hold it."""
    return unicodedata.normalize("NFC", text)


def data_set(name: str, rows: Sequence[Example]) -> DataSet:
    """What a manifest says about rows: the sha256 of their sorted canonical lines, and their number."""
    lines = sorted(json.dumps(_content(row), ensure_ascii=False, sort_keys=True) for row in rows)
    return DataSet(name=name, sha256=hashlib.sha256("\n".join(lines).encode()).hexdigest(), rows=len(rows))


def raw_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """`file:line` and the bytes of each line that is not empty.

    Raises:
        NotFound: there is no such file.
        InputError: the file cannot be unpacked.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield f"{path.name}:{number}", line
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: expected a file, found a folder") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path.name}: expected a gzip file; it is damaged ({error})") from error


def _read(path: Path, make: Callable[[Fields, str], Row]) -> tuple[Row, ...]:
    rows: list[Row] = []
    problems: list[str] = []
    for where, line in raw_lines(path):
        try:
            rows.append(make(_object(line), where))
        except InputError as error:
            problems.append(f"{where}: {error}")
    refuse(path, problems)
    if not rows:
        raise InputError(f"{path.name}: expected at least one row, found none")
    return tuple(rows)


def refuse(path: Path, problems: Sequence[str]) -> None:
    """Raise InputError if there are problems, showing the first ones."""
    if problems:
        rest = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        shown = "\n".join(problems[:_SHOWN])
        raise InputError(f"{path.name} has {len(problems)} bad rows; nothing was taken from it:\n{shown}{rest}")


def _object(line: bytes) -> Fields:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"expected UTF-8, found other bytes at {error.start}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"expected one JSON object; {error.msg} at column {error.colno}") from error
    except RecursionError:
        raise InputError("expected one JSON object, found too deep nesting") from None
    if not isinstance(value, dict):
        raise InputError(f"expected a JSON object, found {_kind(value)}")
    return value


def _intent_row(row: Fields, where: str) -> IntentExample:
    text = _text(row, "text") if "tokens" not in row else " ".join(_strings(row, "tokens"))
    return IntentExample(text, _text(row, "intent"), _lang(row), where, _origin(row))


def _slot_row(row: Fields, where: str) -> SlotExample:
    tokens, tags = _strings(row, "tokens"), _strings(row, "tags")
    if len(tokens) != len(tags):
        raise InputError(f"expected one tag per token, found {len(tokens)} tokens and {len(tags)} tags")
    for tag in tags:
        if tag != OUTSIDE and (tag[:2] not in ("B-", "I-") or len(tag) < 3):
            raise InputError(f"'tags': expected O, B-NAME or I-NAME, found {tag!r}")
    return SlotExample(tokens, tags, nfc(str(row.get("intent", ""))), _lang(row), where=where, origin=_origin(row))


def _query_row(row: Fields, where: str) -> FaqExample:
    if "query" in row:
        answer = row.get("id")
        if answer is not None and not isinstance(answer, str):
            raise InputError(f"'id': expected a string or null, found {_kind(answer)}")
        return FaqExample(_text(row, "query"), answer, _lang(row), where)
    return FaqExample(
        _text(row, "question"), _text(row, "context_id" if "context_id" in row else "id"), _lang(row), where
    )


def _passage_row(row: Fields, where: str) -> Passage:
    if "question" in row:
        question, answer = _text(row, "question"), _text(row, "answer")
        return Passage(_text(row, "id"), f"{question}\n{answer}", question, question, answer, _lang(row))
    return Passage(_text(row, "id"), _text(row, "text"), str(row.get("title", "")), lang=_lang(row))


def _text(row: Fields, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        found = "nothing" if name not in row else "an empty string" if isinstance(value, str) else _kind(value)
        raise InputError(f"{name!r}: expected a text, found {found}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name!r}: expected text, found half a surrogate pair") from None
    return nfc(value).strip()


def _lang(row: Fields) -> str:
    value = row.get("lang", "en")
    if not isinstance(value, str):
        raise InputError(f"'lang': expected a language code such as \"en\", found {_kind(value)}")
    return value


def _origin(row: Fields) -> Origin:
    """What the row tells of where it comes from; a date that is none is no reason to refuse the row."""
    group, channel, source = (nfc(str(row.get(name) or "")) for name in ("conversation", "channel", "source"))
    at = str(row.get("at") or "")
    return Origin(group, channel, at[:7] if _MONTH.match(at) else "", source)


def _strings(row: Fields, name: str) -> tuple[str, ...]:
    value = row.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise InputError(f"{name!r}: expected a list of strings that are not empty, found {_kind(value)}")
    return tuple(nfc(item) for item in value)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def _cut(start: int, end: int, borders: Sequence[int]) -> Iterator[tuple[int, int]]:
    edges = [start, *(border for border in borders if start < border < end), end]
    return pairwise(edges)


def _tag(span: tuple[int, int], entities: Sequence[Entity]) -> str:
    for entity in entities:
        if entity.start <= span[0] < entity.end:
            return f"{'B' if span[0] == entity.start else 'I'}-{kind_name(entity)}"
    return OUTSIDE


def _content(row: Example) -> dict[str, object]:
    if isinstance(row, IntentExample):
        weight = {} if row.weight >= 1 else {"weight": round(row.weight, 4)}
        return {"text": row.text, "intent": row.intent, "lang": row.lang, **weight}
    if isinstance(row, SlotExample):
        return {"text": row.text, "offsets": row.offsets, "tags": row.tags, "intent": row.intent, "lang": row.lang}
    if isinstance(row, PassageExample):
        return {"text": row.text, "chunk": row.chunk, "lang": row.lang, "weight": round(row.weight, 4)}
    return {"text": row.text, "id": row.id, "lang": row.lang}
