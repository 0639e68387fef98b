r"""The markup of training examples, as in Rasa 3.x.

    [Berlin](city)                                     a span and its entity type
    [the capital](city:Berlin)                         ... and what it means
    [Berlin]{"entity": "city", "role": "from"}         ... with role, group or value, as JSON
    [AB12][{"entity": "order"}, {"entity": "code"}]    several entities on one span

`\[` and `\]` (also `\(`, `\{`, `\\`) stand for the character itself. Brackets that no markup follows are plain text.
Offsets count characters of the plain text, end exclusive.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bot.core.errors import ProjectError
from bot.core.events import Entity
from bot.hints import nearest

_KEYS = ("entity", "role", "group", "value")
_ESCAPED = "[](){}\\"


@dataclass(frozen=True, slots=True)
class Marked:
    """An example without its markup. `synonyms` are (text of the span, value) pairs written inline."""

    text: str
    entities: tuple[Entity, ...]
    synonyms: tuple[tuple[str, str], ...] = ()


def parse_markup(source: str) -> Marked:
    """Take the markup out of an example.

    Raises:
        ProjectError: an annotation is begun but not well formed. The caller adds the place.
    """
    if "[" not in source and "\\" not in source:
        return Marked(source, ())
    return _Scanner(source).run()


class _Scanner:
    """One pass over one example."""

    def __init__(self, source: str) -> None:
        self.source, self.position = source, 0
        self.plain: list[str] = []
        self.length = 0
        self.entities: list[Entity] = []
        self.synonyms: list[tuple[str, str]] = []

    def run(self) -> Marked:
        while self.position < len(self.source):
            if not (self.source[self.position] == "[" and self.span()):
                self.emit(self.character())
        return Marked("".join(self.plain), tuple(self.entities), tuple(self.synonyms))

    def emit(self, text: str) -> None:
        self.plain.append(text)
        self.length += len(text)

    def character(self) -> str:
        """The next character, its escape resolved."""
        here = self.source[self.position]
        following = self.source[self.position + 1 : self.position + 2]
        if here == "\\" and following and following in _ESCAPED:
            self.position += 2
            return following
        self.position += 1
        return here

    def span(self) -> bool:
        """Read an annotated span, if there is one here."""
        start, self.position = self.position, self.position + 1
        text: list[str] = []
        while self.position < len(self.source) and self.source[self.position] not in "[]":
            text.append(self.character())
        marks = self.marks(self.source[self.position : self.position + 2]) if text else None
        if marks is None:
            self.position = start
            return False
        self.annotate("".join(text), marks)
        return True

    def marks(self, ahead: str) -> list[dict[str, object]] | None:
        """What follows the closing bracket; None when it is no markup."""
        if ahead == "](":
            found = self.short()
            return None if found is None else [found]
        if ahead == "]{" or (ahead == "][" and self.source[self.position + 2 :].lstrip()[:1] == "{"):
            return self.long()
        return None

    def short(self) -> dict[str, object] | None:
        start = self.position + 2
        end = self.source.find(")", start)
        if end < 0 or not self.source[start:end].strip():
            return None
        self.position = end + 1
        kind, colon, value = self.source[start:end].partition(":")
        return {"entity": kind.strip(), "value": value.strip()} if colon else {"entity": kind.strip()}

    def long(self) -> list[dict[str, object]]:
        start = self.position + 1
        try:
            found, self.position = json.JSONDecoder().raw_decode(self.source, start)
        except (ValueError, RecursionError):
            raise ProjectError(
                f'{self.source[start : start + 60]!r} is not JSON; expected {{"entity": "type", ...}} in double quotes'
            ) from None
        marks = found if isinstance(found, list) else [found]
        for mark in marks:
            _check(mark)
        return marks

    def annotate(self, text: str, marks: list[dict[str, object]]) -> None:
        start, end = self.length, self.length + len(text)
        self.emit(text)
        for mark in marks:
            kind = str(mark["entity"])
            if not kind.strip():
                raise ProjectError(f"[{text}] has no entity type; expected one word, as in [{text}](city)")
            if mark.get("value") == "":
                raise ProjectError(f"[{text}]({kind}:) has no value after the colon; add it or remove the colon")
            value = mark.get("value", text)
            if isinstance(value, str) and value != text:
                self.synonyms.append((text, value))
            role, group = (None if mark.get(key) is None else str(mark[key]) for key in ("role", "group"))
            made = {"type": kind, "value": value, "text": text, "start": start, "end": end, "role": role}
            self.entities.append(Entity.model_validate({**made, "group": group}))


def _check(mark: object) -> None:
    if not isinstance(mark, dict):
        raise ProjectError(f'expected {{"entity": "type", ...}}, found {mark!r}')
    for key in mark:
        if key not in _KEYS and (hint := nearest(key, _KEYS)):
            raise ProjectError(f"unknown key {key!r} in an annotation{hint}")
    if not isinstance(mark.get("entity"), str):
        raise ProjectError('an annotation needs "entity": "type"')
    for key in ("role", "group"):
        given = mark.get(key, "")
        numbered = key == "group" and isinstance(given, int) and not isinstance(given, bool)
        if not isinstance(given, str) and not numbered:
            raise ProjectError(f'"{key}" of an annotation must be a text, found {mark[key]!r}')
    if isinstance(mark.get("value"), dict | list):
        raise ProjectError(f'"value" of an annotation must be a text or a number, found {mark["value"]!r}')
