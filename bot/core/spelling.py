"""Spelled speech in writing: order ids letter by letter, digits, e-mail addresses; and reading them back.

    written("my order is B as in Bravo, four double two please")  ->  "my order is B422 please"
    written("john dot smith at example dot com")                  ->  "john.smith@example.com"
    read_back("48213")                                            ->  "4 8 2, 1 3"

English and German. Only runs of characters are rewritten, in place; a single "two" or "a" stays a word, unless the
caller says that a code was asked for. What is written as a code or an address already stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from bot.core.alphabet import AS_IN, DIGITS, EXPLAINED, GERMAN_TENS, NAMES, SAID, SIGNS, TEENS, TENS, TIMES

Kind = Literal["", "code", "email"]
"""What was asked for, if anything: then weaker evidence is enough."""
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|@")
_GERMAN = re.compile(rf"(ein|{'|'.join(DIGITS)})?(?:und)?({'|'.join(GERMAN_TENS)})")
_FILLERS = "uh um then äh ähm dann capital großes"
"""Words that may stand between the characters of a code."""
_CODE_COMES = "is number code id it's ist nummer lautet letter reference"
"""Words after which "a" and "I" are letters."""
_AT = "at ät et @ klammeraffe"
_LEAD = (
    "my the meine die it it's is ist lautet sure okay yes ja e mail email address adresse and und that that's would be"
    " das wäre an to me mich"
)
"""Words before an address that are no part of it."""
_LABEL = 3
"""Most words of a part of a domain: "t online"."""


class _Token(NamedTuple):
    word: str
    start: int
    end: int


class _Run(NamedTuple):
    """Tokens `first` to `end` (exclusive) that spell `text`; `units` is how many characters or groups were said."""

    text: str
    first: int
    end: int
    units: int


def written(text: str, kind: Kind = "") -> str:
    """The text with what was spelled in it, in English or German, written as codes and addresses; `kind` tells what was
    asked for."""
    tokens = [_Token(found.group().casefold(), *found.span()) for found in _TOKEN.finditer(text)]
    address = _address(tokens, kind)
    if address is not None:
        return _replaced(text, tokens, [address])
    return _replaced(text, tokens, _codes(tokens, kind))


def _replaced(text: str, tokens: Sequence[_Token], runs: Sequence[_Run]) -> str:
    for run in reversed(runs):
        text = text[: tokens[run.first].start] + run.text + text[tokens[run.end - 1].end :]
    return text


def _codes(tokens: Sequence[_Token], kind: Kind) -> list[_Run]:
    found, at = [], 0
    while at < len(tokens):
        run = _run(tokens, at)
        if run is None:
            at += 1
            continue
        kept = _trimmed(tokens, run, kind)
        found += [kept] if kept is not None else []
        at = run.end
    return found


def _run(tokens: Sequence[_Token], first: int) -> _Run | None:
    """The longest run of spelled characters from a token on."""
    text, at, end, units = "", first, first, 0
    while at < len(tokens):
        said = _unit(tokens, at)
        if said is not None:
            text, at, units = text + said[0], said[1], units + 1
            end = at
        elif text and tokens[at].word in _FILLERS.split():
            at += 1
        elif text and tokens[at].word in SIGNS and _unit(tokens, at + 1) is not None:
            text, at = text + SIGNS[tokens[at].word], at + 1
        else:
            break
    return _Run(text, first, end, units) if units else None


def _unit(tokens: Sequence[_Token], at: int) -> tuple[str, int] | None:
    """The characters that are said from a token on, and the token after them."""
    if at >= len(tokens):
        return None
    word = tokens[at].word
    if word in TIMES and at + 1 < len(tokens):
        if word == "double" and tokens[at + 1].word == "u":
            return "W", at + 2
        one = _unit(tokens, at + 1) if tokens[at + 1].word not in TIMES else None
        return (one[0][0] * TIMES[word] + one[0][1:], one[1]) if one is not None else None
    if word in TENS:
        ones = DIGITS.get(tokens[at + 1].word, "0") if at + 1 < len(tokens) else "0"
        return (TENS[word] + ones, at + 2) if ones != "0" else (TENS[word] + "0", at + 1)
    said = _character(word)
    return (said, _explained(tokens, at + 1, said[0].casefold())) if said else None


def _character(word: str) -> str:
    """What one word spells: a letter, a name of the alphabet, a digit, a number below a hundred, a written code."""
    if len(word) == 1 and word.isalpha() and word != "o":
        return word.upper()
    if word in DIGITS or word in TEENS:
        return DIGITS.get(word) or TEENS[word]
    german = _GERMAN.fullmatch(word)
    if german is not None:
        return GERMAN_TENS[german[2]] + ("1" if german[1] == "ein" else DIGITS.get(german[1] or "null", "0"))
    if word in NAMES:
        return NAMES[word].upper()
    return word.upper() if word.isascii() and any(map(str.isdigit, word)) and word.isalnum() else ""


def _explained(tokens: Sequence[_Token], at: int, letter: str) -> int:
    """The token after "as in Bravo", where that explains the letter; else the same token."""
    for words in (("as", "in"), ("like",), ("for",), ("wie",)):
        end = at + len(words)
        if tuple(token.word for token in tokens[at:end]) == words and end < len(tokens):
            return end + 1 if tokens[end].word.startswith(letter) and letter.isalpha() else at
    return at


def _trimmed(tokens: Sequence[_Token], run: _Run, kind: Kind) -> _Run | None:
    """The run without words at its edges that are no letters there; nothing, if too little is left."""
    first = run.first
    before = tokens[first - 1].word if first else ""
    lone = tokens[first].word in ("a", "i", "oh") and before not in _CODE_COMES.split()
    if kind != "code" and lone and run.units > 1 and _explained(tokens, first + 1, tokens[first].word) == first + 1:
        shorter = _run(tokens, first + 1)
        return _trimmed(tokens, shorter, kind) if shorter is not None else None
    words = [token.word for token in tokens[run.first : run.end]]
    if kind == "code":
        return run
    letters = any(character.isalpha() for character in run.text)
    explained = len(words) > 1 + run.units
    repeated = any(word in TIMES for word in words)
    enough = 2 if repeated or (letters and any(character.isdigit() for character in run.text)) else 3
    return run if run.units >= enough or (explained and letters) else None


def _address(tokens: Sequence[_Token], kind: Kind) -> _Run | None:
    """The e-mail address that is said in the text."""
    for at in range(1, len(tokens) - 2):
        if tokens[at].word in _AT.split():
            domain = _domain(tokens, at + 1)
            name = _name(tokens, at, kind) if domain is not None else None
            if domain is not None and name is not None:
                return _Run(f"{name.text}@{domain.text}", name.first, domain.end, 1)
    return None


def _domain(tokens: Sequence[_Token], first: int) -> _Run | None:
    """`example dot co dot uk`."""
    labels, words, end = [""], 0, first
    for at, (word, *_) in enumerate(tokens[first:], first):
        if word in ("dot", "punkt", "point") and labels[-1] and at + 1 < len(tokens):
            labels, words = [*labels, ""], 0
        elif SIGNS.get(word) == "-":
            labels[-1] += "-"
        elif not word.isascii() or words >= (_LABEL if len(labels) == 1 else 1):
            break
        else:
            labels[-1], words, end = labels[-1] + _letters(word), words + 1, at + 1
    if len(labels) < 2 or not re.fullmatch(r"[a-z]{2,12}", labels[-1]):
        return None
    return _Run(".".join(labels), first, end, 1)


def _letters(word: str) -> str:
    """A word of an address: spelled characters small, other words as they are."""
    return word if word == "o" else DIGITS.get(word) or TEENS.get(word) or word


def _name(tokens: Sequence[_Token], end: int, kind: Kind) -> _Run | None:
    """What stands before the at sign: words joined by signs or spelled; all of them when an address was asked for."""
    first = end - 1
    while first > 0:
        word, before = tokens[first].word, tokens[first - 1].word
        joined = word in SIGNS or before in SIGNS
        spelled = bool(_character(word)) and bool(_character(before)) and before not in ("a", "i")
        if not (joined or spelled or (kind == "email" and before not in _LEAD.split())):
            break
        first -= 1
    said, at = "", first
    while at < end:
        word = tokens[at].word
        unit = _unit(tokens, at) if word not in NAMES and word != "o" else None
        if word in SIGNS:
            said, at = said + SIGNS[word], at + 1
        elif unit is not None and unit[1] <= end:
            said, at = said + unit[0].lower(), unit[1]
        else:
            said, at = said + word, at + 1
    return _Run(said, first, end, 1) if re.fullmatch(r"[a-z0-9][a-z0-9._+-]*", said) else None


def read_back(code: str, language: str = "en", explain: bool = False) -> str:
    """A code or an address as it is read back: character by character, in groups of three and two.

    `explain` adds a word to each letter: "B as in Bravo". An address keeps its words: "john dot smith at example dot
    com".
    """
    said = SAID.get(language.split("-")[0], SAID["en"])
    if "@" in code:
        return " ".join(said.get(part, part) for part in re.findall(r"[^\W_]+|[^\w\s]|_", code))
    groups = _groups([character for character in code if not character.isspace()])
    spoken = [" ".join(_spoken(character, language, explain) for character in group) for group in groups]
    return ", ".join(spoken)


def _groups(characters: list[str]) -> list[list[str]]:
    """Threes, and twos where a single one would be left."""
    rest = len(characters)
    sizes: list[int] = []
    while rest:
        size = rest if rest <= 3 else 2 if rest in (4, 2) else 3
        sizes, rest = [*sizes, size], rest - size
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    return [characters[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _spoken(character: str, language: str, explain: bool) -> str:
    code = language.split("-")[0] if language.split("-")[0] in SAID else "en"
    word = EXPLAINED[code].get(character.casefold())
    if explain and word is not None:
        return f"{character.upper()} {AS_IN[code]} {word}"
    return SAID[code].get(character, character.upper())
