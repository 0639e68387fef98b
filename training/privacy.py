"""What people said, with typed placeholders for what tells who they are: `<EMAIL_1>`, `<NUMBER_2>`.

Rules of this file:

1. Within a conversation the same value has the same placeholder, in whoever's words; what was found once (a name that
   was announced) is masked wherever it comes again.
2. A placeholder takes the whole place of what it stands for, so an annotated slot (an order number) stays a slot:
   `Masked.place` moves offsets.
3. Only masked text is stored or learned from. Before text is encoded, `natural` puts a made-up value of the same form
   for each placeholder ("<NUMBER_1>" -> "40712"), so a head learns from the kind of text that it will serve, and
   nothing is masked while serving (decision 0117, with the measurement).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydantic import JsonValue, TypeAdapter

from bot.core import events as ev
from bot.core.errors import InputError
from training.data import slots_of
from training.examples import OUTSIDE, IntentExample, SlotExample
from training.pii import KINDS, Finding, Kind, find, settle

VERSION = "1"
"""Changes whenever the same text may be masked otherwise than before."""
PLACEHOLDER = re.compile(rf"<({'|'.join(KINDS)})_([1-9]\d{{0,4}})>")


@dataclass(frozen=True, slots=True)
class Span:
    """A placeholder at `start` to `end` of the new text, which stands for `was` (start, end) of the old one."""

    kind: Kind
    start: int
    end: int
    was: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Masked:
    """A text in which some spans were replaced. Offsets count characters, end exclusive; `spans` are in order."""

    text: str
    spans: tuple[Span, ...] = ()

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where a span of the old text is now. One that cuts into what was replaced takes in the whole of it."""
        shift, first, last = 0, None, None
        for span in self.spans:
            if first is None and start < span.was[1]:
                first = min(start + shift, span.start)
            if last is None and end <= span.was[1]:
                last = end + shift if end <= span.was[0] else span.end
            shift = span.end - span.was[1]
        return start + shift if first is None else first, end + shift if last is None else last

    def entity(self, entity: ev.Entity) -> ev.Entity:
        """The entity in the new text. Its value becomes what is written there, if that was replaced."""
        start, end = self.place(entity.start, entity.end)
        text = self.text[start:end]
        touched = any(span.was[0] < entity.end and entity.start < span.was[1] for span in self.spans)
        value = text if touched else entity.value
        return entity.model_copy(update={"start": start, "end": end, "text": text, "value": value})


@dataclass(slots=True)
class Memory:
    """What was masked in one conversation so far."""

    _placeholders: dict[str, tuple[Kind, int]] = field(default_factory=dict)
    _again: dict[str, tuple[Kind, int]] = field(default_factory=dict)
    _pattern: re.Pattern[str] | None = None

    def number(self, kind: Kind, value: str) -> tuple[Kind, int]:
        """Kind and number of a value's placeholder; a new value gets the next number of its kind."""
        key = _key(value)
        if key not in self._placeholders:
            count = sum(known == kind for known, _ in self._placeholders.values())
            self._placeholders[key] = (kind, count + 1)
            self._learn(value, self._placeholders[key])
        return self._placeholders[key]

    def known(self, text: str) -> list[tuple[Finding, tuple[Kind, int]]]:
        """Values that were masked before and come again in this text."""
        if self._pattern is None:
            return []
        found = []
        for match in self._pattern.finditer(text):
            what = self._again.get(match.group()) or self._again[match.group().casefold()]
            found.append((Finding(what[0], *match.span()), what))
        return found

    def _learn(self, value: str, what: tuple[Kind, int]) -> None:
        """Whole values come again in any case; a part of a name only with its capital, or it may be a plain word."""
        kind, whole = what[0], value.casefold()
        if len(value) >= (2 if kind == "NAME" else 4):
            self._again.setdefault(whole, what)
        parts = value.split() if kind == "NAME" else []
        for part in parts:
            if len(part) > 2 and part[:1].isupper():
                self._again.setdefault(part, what)
        ways = [re.escape(way) if way in parts else f"(?i:{re.escape(way)})" for way in self._again]
        ways.sort(key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![A-Za-z0-9<])(?:{'|'.join(ways)})(?![A-Za-z0-9])") if ways else None


def _key(value: str) -> str:
    """What spellings of one value have in common: its letters and digits."""
    plain = "".join(char for char in value.casefold() if char.isalnum())
    return plain or value


class Masker:
    """Masks texts. `regions` are the countries (ISO 3166) whose phone numbers people write without a prefix.

    Raises:
        InputError: this program does not know the version.
    """

    def __init__(self, version: str = VERSION, regions: Sequence[str] = ("US", "GB")) -> None:
        if version != VERSION:
            raise InputError(f"expected masker version {VERSION!r}, found {version!r}; make the snapshot again")
        self.version, self.regions = version, tuple(regions)

    def mask(self, text: str, memory: Memory | None = None) -> Masked:
        """The text with placeholders. `memory` is that of the conversation; none is kept without."""
        memory = Memory() if memory is None else memory
        known = memory.known(text)
        numbers = {(item.start, item.end): what for item, what in known}
        found = settle([*find(text, self.regions), *(item for item, _ in known)])

        def placeholder(item: Finding) -> str:
            what = numbers.get((item.start, item.end)) or memory.number(item.kind, text[item.start : item.end])
            return "<{}_{}>".format(*what)

        return _replaced(text, found, placeholder)

    def history(self, history: Iterable[ev.Recorded]) -> tuple[ev.Recorded, ...]:
        """The facts of one conversation with every word of people and bot masked, entities moved along."""
        memory, told = Memory(), dict[int, Masked]()
        return tuple(self._fact(recorded, memory, told) for recorded in history)

    def _fact(self, recorded: ev.Recorded, memory: Memory, told: dict[int, Masked]) -> ev.Recorded:
        event = recorded.event
        if event.kind not in _SPEAKING:
            return recorded
        hosts: Masked | None = None
        if isinstance(event, ev.Received | ev.Transcribed):
            said = event.message.text if isinstance(event, ev.Received) else event.text
            told[recorded.turn] = self.mask(said, memory)
        elif isinstance(event, ev.Understood):
            hosts = self.mask(event.text, memory)
        elif isinstance(event, ev.Corrected):
            hosts = told.get(event.target)
        plain = event.model_dump(mode="json")
        if hosts is not None and plain.get("entities"):
            assert isinstance(event, ev.Understood | ev.Corrected)
            plain["entities"] = [hosts.entity(entity).model_dump(mode="json") for entity in event.entities or ()]
        changed = {name: self._value(name, value, memory) for name, value in plain.items()}
        return recorded if changed == plain == event.model_dump(mode="json") else _with(recorded, changed)

    def _value(self, name: str, value: JsonValue, memory: Memory) -> JsonValue:
        """A field with its texts masked; names, ids and passages of documents are left alone."""
        if isinstance(value, str):
            return self.mask(value, memory).text if name in _TEXTS else value
        if isinstance(value, list):
            return [self._value(name, item, memory) for item in value]
        if isinstance(value, dict) and name != "hits":
            free = name in _FREE
            return {key: self._value("text" if free else key, item, memory) for key, item in value.items()}
        number = isinstance(value, int | float) and not isinstance(value, bool) and name == "value"
        return self.mask(str(value), memory).text if number and find(str(value)) else value


_SPEAKING = frozenset(
    (
        *("received", "transcribed", "understood", "slot_set", "retrieved", "generated", "replied", "interrupted"),
        *("handed_off", "rated", "corrected", "foreign", "reminder_set", "reminder_cancelled", "action_ran", "ended"),
    )
)
"""Kinds of facts that may hold what somebody said."""
_TEXTS = frozenset(
    (
        *("text", "query", "heard", "reply", "reason", "title", "subtitle", "alt", "payload", "value", "url", "error"),
        *("rejected", "detail", "summary"),
    )
)
_FREE = frozenset(("metadata", "data", "value"))
"""Fields that hold whatever somebody put there."""
_EVENT: TypeAdapter[ev.Event] = TypeAdapter(ev.Event)


def _with(recorded: ev.Recorded, event: dict[str, JsonValue]) -> ev.Recorded:
    return recorded.model_copy(update={"event": _EVENT.validate_python(event)})


def _replaced(text: str, found: Sequence[Finding], written: Callable[[Finding], str]) -> Masked:
    """The text with something else written in each place."""
    parts, spans, length, end = list[str](), list[Span](), 0, 0
    for item in found:
        fresh = written(item)
        parts += [text[end : item.start], fresh]
        start = length + item.start - end
        length, end = start + len(fresh), item.end
        spans.append(Span(item.kind, start, length, (item.start, item.end)))
    return Masked("".join([*parts, text[end:]]), tuple(spans))


_HAN = re.compile(r"[\u4e00-\u9fff]")
_NAMES = ("Robin", "Sam Taylor", "Alex", "Kim Novak", "Jo Park", "Maria", "Chris Weber", "Noor")
_HAN_NAMES = ("李明", "王芳", "张伟", "陈静", "刘洋")
_STREETS = ("High Street", "Mill Lane", "Station Road", "Park Avenue")
_DAYS = ("3 May 1980", "12/04/1979", "1991-08-23", "17 June 1965")


def natural(text: str) -> Masked:
    """The text with a made-up value for each placeholder: the same for the same text, others in another text.

    One and the same value in every text would be something to learn from.
    """
    han, salt = bool(_HAN.search(text)), zlib.crc32(text.encode())
    found, made = list[Finding](), dict[int, str]()
    for match in PLACEHOLDER.finditer(text):
        kind = next(known for known in KINDS if known == match[1])
        found.append(Finding(kind, *match.span()))
        made[match.start()] = _made_up(kind, salt % 100_003 + int(match[2]), han)
    return _replaced(text, found, lambda item: made[item.start])


def _made_up(kind: Kind, number: int, han: bool) -> str:
    spread = number * 7919
    match kind:
        case "EMAIL":
            return f"{_NAMES[number % len(_NAMES)].split()[0].lower()}{number % 100}@example.com"
        case "PHONE":
            return f"139{10_000_000 + spread % 80_000_000:08d}" if han else f"+1 202 555 {100 + number % 100:04d}"
        case "CARD":
            return f"4000 1234 5678 {1000 + spread % 9000}"
        case "IBAN":
            return f"DE12 5001 0517 0648 {1000 + spread % 9000} 90"
        case "IP":
            return f"192.0.2.{number % 256}"
        case "URL":
            return f"https://example.com/{number % 1000}"
        case "DOB":
            return f"{1950 + spread % 50}年5月{1 + number % 28}日" if han else _DAYS[number % len(_DAYS)]
        case "ADDRESS":
            return f"人民路{1 + number % 300}号" if han else f"{number} {_STREETS[number % len(_STREETS)]}"
        case "NAME":
            names = _HAN_NAMES if han else _NAMES
            return names[number % len(names)]
        case "SECRET":
            return f"abc{spread % 9000}"
        case "NUMBER":
            return str(10_000 + spread % 90_000)


def natural_intent(row: IntentExample) -> IntentExample:
    """The row as it is encoded: made-up values for placeholders."""
    return replace(row, text=natural(row.text).text) if PLACEHOLDER.search(row.text) else row


def natural_slots(row: SlotExample) -> SlotExample:
    """The row as it is encoded: made-up values for placeholders, the tags on the words that now stand there."""
    if not PLACEHOLDER.search(row.text):
        return row
    found = natural(row.text)
    entities = [found.entity(entity) for entity in _entities(row)]
    fresh = slots_of(found.text, entities, row.intent, row.lang, row.where)
    return replace(row, text=fresh.text, tokens=fresh.tokens, tags=fresh.tags, offsets=fresh.offsets)


def _entities(row: SlotExample) -> Iterator[ev.Entity]:
    """The spans that BIO tags mark."""
    start, end, kind = 0, 0, ""
    for (first, last), tag in zip((*row.offsets, (0, 0)), (*row.tags, OUTSIDE), strict=True):
        if kind and tag != f"I-{kind}":
            yield ev.Entity(type=kind, value=row.text[start:end], text=row.text[start:end], start=start, end=end)
            kind = ""
        if tag != OUTSIDE and not kind:
            start, kind = first, tag[2:]
        end = last
