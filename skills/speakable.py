"""A text as it is read aloud: no Markdown and no emoji; numbers, dates, money and codes in words. Pure.

English, German and Chinese are said in words here, so that every engine, also a poor one, says the same. Texts in
other languages lose what is only for the eye; their numbers are left to the engine, which knows its language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from skills.speakable_markup import Hint, hints, pause_of, plain
from skills.speakable_numbers import in_groups, ordinal, spelled
from skills.speakable_rules import said
from skills.speakable_tongues import TONGUES

MOST_PAUSES_S = 10.0
"""All breaks of a text together."""
_EMPHASIS = re.compile(r"</?emphasis>")
_WORD = re.compile(r"[^\W_]")
_BEFORE_STOP = re.compile(r"\s+([,.!?;:，。！？；：])")
_STOPS = re.compile(r"([,.;:])[,.;:]+")


@dataclass(frozen=True, slots=True)
class Part:
    """Words to say, in which `<emphasis>` may stand around some; then a pause in seconds."""

    text: str
    pause_s: float = 0.0


def speakable(text: str, language: str) -> str:
    """The words alone, for an engine that knows no markup; a pause is a comma."""
    parts = [without_emphasis(part.text) for part in parts_of(text, language)]
    return _tidy(", ".join(part.rstrip(",") for part in parts if part))


def without_emphasis(text: str) -> str:
    """Words without the marks of emphasis."""
    return " ".join(_EMPHASIS.sub(" ", text).split())


def parts_of(text: str, language: str) -> list[Part]:
    """What to say in order, in pieces between the pauses that the text asks for."""
    parts: list[Part] = []
    words: list[str] = []
    room = MOST_PAUSES_S
    for item in _lowered(hints(plain(text)), language.split("-")[0].lower()):
        if isinstance(item, str):
            words.append(item)
            continue
        seconds = min(item, room)
        room -= seconds
        parts.append(Part(_sayable(words), seconds))
        words = []
    parts.append(Part(_sayable(words)))
    return [part for part in parts if part.text or part.pause_s]


def _sayable(words: list[str]) -> str:
    """The words as one text; none if they are only signs."""
    text = _tidy(" ".join(words))
    return text if _WORD.search(without_emphasis(text)) else ""


def _lowered(items: Iterable[str | Hint], language: str) -> Iterable[str | float]:
    """Words, and the seconds of pauses; what hints stand around is said as they ask."""
    open_hints: list[Hint] = []
    emphasis = 0
    for item in items:
        if isinstance(item, str):
            if item.strip():
                yield _as_asked(item, open_hints[-1] if open_hints else None, language)
        elif item.name == "break" and not item.closes:
            yield pause_of(item.says)
        elif item.name == "emphasis":
            emphasis += -1 if item.closes else 1
            if emphasis in (0, 1):
                yield "</emphasis>" if item.closes else "<emphasis>"
            emphasis = max(emphasis, 0)
        elif item.name in ("say-as", "sub"):
            if not item.closes:
                open_hints.append(item)
            elif open_hints:
                open_hints.pop()
    if emphasis > 0:
        yield "</emphasis>"


def _as_asked(text: str, hint: Hint | None, language: str) -> str:
    known = language in TONGUES
    if hint is None or not known:
        return hint.says if hint is not None and hint.name == "sub" else said(text, language) if known else text
    if hint.name == "sub":
        return said(hint.says, language)
    if hint.says in ("characters", "spell-out", "verbatim"):
        return spelled(text, language)
    digits = re.sub(r"\D", "", text)
    if hint.says in ("digits", "telephone") and digits:
        return ", ".join(in_groups(group, language) for group in re.findall(r"\d+", text))
    if hint.says == "ordinal" and digits and int(digits[:12]):
        return ordinal(int(digits[:12]), language)
    return said(text, language)


def _tidy(text: str) -> str:
    text = _BEFORE_STOP.sub(r"\1", " ".join(text.split()))
    return _STOPS.sub(lambda match: "..." if match[0] == "..." else match[0][-1], text)
