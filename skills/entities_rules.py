"""Entities that the author spells out: regular expressions, lookup tables and synonyms.

Rules of this file:

1. Only the first `MAX_TEXT` characters are looked at, so a huge message costs no more than a long one.
2. A lookup entry matches whole words, whatever their case or width. Chinese, Japanese and Korean have no spaces, so
   there every character counts as a word.
3. An author's pattern cannot be trusted to be fast. It runs in the `regex` library, which can stop: a pattern that
   needs longer than `PATTERN_SECONDS` finds nothing in this text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import regex
from pydantic import JsonValue

from bot.core.errors import ProjectError
from bot.core.events import Entity

MAX_TEXT = 2000
"""Longest text, in characters, that the rules look at."""

MAX_FOUND = 100
"""Most spans that one rule may report for one text."""

PATTERN_SECONDS = 0.02
"""Longest time for one pattern on one text."""

_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")


def words(text: str) -> list[tuple[str, int, int]]:
    """(folded word, start, end) of a text: runs of letters and digits, single wide characters, single signs."""
    return [(fold(match.group()), match.start(), match.end()) for match in _WORD.finditer(text)]


def fold(text: str) -> str:
    """The text without differences of case and width."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


@dataclass(slots=True)
class _Node:
    """A place in the tree of words. `entries` are the (type, value) pairs that end here."""

    next: dict[str, _Node] = field(default_factory=dict)
    entries: tuple[tuple[str, str], ...] = ()


class Lookups:
    """Tables of known values, one per entity type, found in one walk over the text.

    The tables share one tree of words, so the cost of a text does not grow with the number of entries.
    """

    def __init__(self, tables: Mapping[str, Iterable[str]]) -> None:
        self.tables = {kind: tuple(values) for kind, values in tables.items()}
        self._root = _Node()
        for kind, values in self.tables.items():
            for value in values:
                self._add(kind, value)

    def find(self, text: str) -> list[Entity]:
        """The longest entry that begins at each word; a word belongs to one entry of a type at most."""
        if not self._root.next:
            return []
        text = text[:MAX_TEXT]
        tokens, found, busy = words(text), list[Entity](), dict[str, int]()
        for index in range(len(tokens)):
            for kind, value, last in self._longest(tokens, index):
                if index >= busy.get(kind, 0):
                    busy[kind] = last + 1
                    found.append(spanned(text, kind, value, (tokens[index][1], tokens[last][2]), "lookup"))
        return found[:MAX_FOUND]

    def _add(self, kind: str, value: str) -> None:
        node = self._root
        for word, _, _ in words(value):
            node = node.next.setdefault(word, _Node())
        if node is not self._root and kind not in (known for known, _ in node.entries):
            node.entries += ((kind, value),)

    def _longest(self, tokens: Sequence[tuple[str, int, int]], index: int) -> Iterator[tuple[str, str, int]]:
        best: dict[str, tuple[str, int]] = {}
        node = self._root
        for last in range(index, len(tokens)):
            following = node.next.get(tokens[last][0])
            if following is None:
                break
            node = following
            best.update({kind: (value, last) for kind, value in node.entries})
        return ((kind, value, last) for kind, (value, last) in best.items())


class Patterns:
    """Regular expressions, any number per entity type. Case does not matter. A match is the entity.

    Raises:
        ProjectError: a pattern is not a regular expression; names the type, the pattern and the place in it.
    """

    def __init__(self, patterns: Mapping[str, Iterable[str]]) -> None:
        self.patterns = {kind: tuple(texts) for kind, texts in patterns.items()}
        self._compiled = [(kind, _compiled(kind, text)) for kind, texts in self.patterns.items() for text in texts]

    def find(self, text: str) -> list[Entity]:
        """Every match that is not empty, in the order of the patterns."""
        text = text[:MAX_TEXT]
        return [
            spanned(text, kind, text[start:end], (start, end), "regex")
            for kind, pattern in self._compiled
            for start, end in _matches(pattern, text)
        ]


def _compiled(kind: str, text: str) -> regex.Pattern[str]:
    try:
        return regex.compile(text, regex.IGNORECASE)
    except regex.error as error:
        raise ProjectError(
            f"entity {kind!r}: expected a regular expression, found {text!r} ({error}); mend it"
        ) from error


def _matches(pattern: regex.Pattern[str], text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    try:
        # Keeping the interpreter lock: taking it again from a busy event loop lasts longer than any honest match.
        for match in pattern.finditer(text, timeout=PATTERN_SECONDS, concurrent=False):
            if match.end() > match.start():
                found.append(match.span())
            if len(found) == MAX_FOUND:
                break
    except TimeoutError:
        return []
    return found


class Synonyms:
    """Other wordings of a value: the text found in the message, to the value that is meant."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self._folded = {_squeezed(text): value for text, value in values.items()}

    def apply(self, entity: Entity) -> Entity:
        """The entity with the value that its wording stands for. Values that are not text stay as they are."""
        if not self._folded or not isinstance(entity.value, str):
            return entity
        value = self._folded.get(_squeezed(entity.text)) or self._folded.get(_squeezed(entity.value))
        return entity if value is None else entity.model_copy(update={"value": value})


def _squeezed(text: str) -> str:
    return " ".join(fold(text).split())


def spanned(text: str, kind: str, value: JsonValue, span: tuple[int, int], extractor: str) -> Entity:
    """An entity over the characters `span` (end exclusive) of a text."""
    start, end = span
    return Entity(type=kind, value=value, text=text[start:end], start=start, end=end, extractor=extractor)
