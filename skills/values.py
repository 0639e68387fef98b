"""Values: the parts of a text that must never be made up, found and put behind placeholders.

Numbers, money, dates, times, codes, addresses and names are what a wording may not invent. `Values.hide` replaces each
by a typed placeholder, the same value always by the same one; `Values.show` puts the values back. A generator that is
trained and run on hidden text, and may write no digit outside a placeholder, can repeat a value but not change one
(delexicalisation, as in Wen et al. 2015, "Semantically Conditioned LSTM-based Natural Language Generation").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("url", "mail", "money", "date", "time", "code", "number", "name")
"""The types of values; where two could match, the one named first does."""
SLOTS = 12
"""How many values of a type a text may hold; further ones stay as they are and are forbidden to be generated."""

_MONTH = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec"
)
_DAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_FEW = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety|hundred"
)
_AMOUNT = r"\d+(?:[.,]\d+)*"
_PATTERNS = {
    "url": r"(?:https?://|www\.)[^\s<>\"']*[^\s<>\"'.,;:!?)\]]",
    "mail": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "money": rf"(?:[$£€¥]\s?{_AMOUNT}|{_AMOUNT}\s?(?:[$£€¥]|(?:euros?|dollars?|pounds?|cents?|eur|usd|gbp|chf)\b))",
    "date": (
        rf"\b(?:\d{{4}}-\d\d?-\d\d?|\d\d?[/.]\d\d?[/.]\d\d(?:\d\d)?"
        rf"|(?:\d\d?(?:st|nd|rd|th)?(?:\s+of)?\s+)(?:{_MONTH})\b(?:,?\s+\d{{4}})?"
        rf"|(?:{_MONTH})\s+\d\d?(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?|(?:{_DAY})s?)\b"
    ),
    "time": (
        r"\b\d\d?:\d\d(?:\s?(?:[ap]m\b|[ap]\.m\.))?|\b\d\d?\s?(?:[ap]m\b|[ap]\.m\.|o'clock\b)"
        r"|\b(?:noon|midnight)\b"
    ),
    "code": (
        r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\b|\b\d{5,}\b"
        r"|\+?\b\d{2,4}(?:[ -]\d{2,}){2,}\b"
    ),
    "number": rf"\b{_AMOUNT}(?:\s?%)?|\b(?:{_FEW})\b",
    "name": r"\b[A-Z](?:[\w'&-]*\w)?(?:\s+(?:of\s+|the\s+|&\s+)?[A-Z](?:[\w'&-]*\w)?)*",
}
_ANY = re.compile(
    "|".join(f"(?P<{kind}>{'(?-i:' if kind == 'name' else '(?:'}{_PATTERNS[kind]}))" for kind in KINDS), re.IGNORECASE
)
_BEGINNING = re.compile(r"(?:^|[.!?:\n>]\s*[\"'(*-]*\s*)$")
_PLACEHOLDER = re.compile(rf"<({'|'.join(KINDS)})(\d+)>")
_OPENING = re.compile(
    "i|i'm|i'll|i'd|i've|ok|okay|a|an|the|this|that|these|your|our|my|his|her|its|their|"
    "we|you|it|they|he|she|there|please|call|write|send|see|ask|use|if|when|while|for|in|"
    "on|at|to|from|by|with|and|but|or|so|as|all|any|each|every|no|not|yes|hello|hi|hey|"
    "dear|sorry|thanks|thank|what|where|how|why|who|which|can|could|would|will|do|does|did|"
    "is|are|was|may|most|some|then|after|before|until|once|also|just|let",
    re.IGNORECASE,
)
"""Words that begin sentences with a capital letter and are no part of a name that follows."""


class Value(NamedTuple):
    """A value in a text: characters [start, end), its type."""

    start: int
    end: int
    kind: str


def find(text: str) -> Iterator[Value]:
    """The values of a text, in order, none overlapping another.

    A word that is capitalised because it begins a sentence is no name unless more capitalised words follow it, or it
    stands capitalised inside a sentence of the same text too.
    """
    for match in _ANY.finditer(text):
        value = Value(match.start(), match.end(), str(match.lastgroup))
        if value.kind != "name":
            yield value
        elif (start := _name(text, match)) < value.end:
            yield value._replace(start=start)


def _name(text: str, match: re.Match[str]) -> int:
    """Where the name begins among capitalised words; their end if there is none."""
    start = match.start()
    for word in re.finditer(r"\S+", match.group()):
        start = match.start() + word.start()
        if not _OPENING.fullmatch(word.group()):
            break
    else:
        return match.end()
    rest = text[start : match.end()]
    if " " in rest or start > match.start() or not _BEGINNING.search(text[:start]):
        return start
    return start if re.search(rf"[a-z,;]\s+{re.escape(rest)}\b", text) else match.end()


class Values:
    """The values met so far and their placeholders; one for all texts of a prompt."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._counts: dict[str, int] = dict.fromkeys(KINDS, 0)

    def hide(self, text: str, most: int = SLOTS) -> str:
        """The text with its values behind placeholders such as `<date0>`; one that somebody typed is broken up.

        A value that would be a type's number `most` or higher stays as it is.
        """
        text = _PLACEHOLDER.sub(lambda match: f"< {match[1]} {match[2]}>", text)
        parts, at = [], 0
        for value in find(text):
            parts += [text[at : value.start], self._placeholder(text[value.start : value.end], value.kind, most)]
            at = value.end
        return "".join([*parts, text[at:]])

    def show(self, text: str) -> str:
        """The text with the values in their places.

        Raises:
            KeyError: a placeholder that hides nothing.
        """
        return _PLACEHOLDER.sub(lambda match: self._shown[match.group()], text)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Those that hide something: all that a generator may use."""
        return tuple(self._shown)

    def _placeholder(self, value: str, kind: str, most: int) -> str:
        key = " ".join(value.lower().split())
        if key not in self._of:
            number = self._counts[kind]
            if number >= most:
                return value
            self._counts[kind] += 1
            self._of[key] = f"<{kind}{number}>"
            self._shown[self._of[key]] = value
        return self._of[key]


def placeholders() -> tuple[str, ...]:
    """All placeholders there are, in a fixed order: the special tokens of a tokenizer."""
    return tuple(f"<{kind}{number}>" for kind in KINDS for number in range(SLOTS))
