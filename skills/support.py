"""Whether a sentence says only what its sources say: checks that need no model and can be explained in a line each.

A worded answer may join, shorten and address; it may not bring a thing, a number or a refusal that its sources lack. So
each word that carries meaning must stand in the sources in some form; each value must, with its unit and on the same
side of its bound; and a sentence that denies must rest on a source sentence that denies, and the other way round.
English, German and Chinese. These checks miss what another order of the same words changes; a learned scorer
(`skills.support_scorer`) comes after them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from skills.support_values import Amount, amounts, is_number, stated, unknown
from skills.support_words import denies, is_light, language, meaning, sentences, stem, words
from skills.values import Value, find

__all__ = ["Finding", "denies", "quoted", "sentences", "stem", "unsupported"]

_CLAUSES = re.compile(
    r"[;；]\s*|,\s+(?=(?:but|so|and|or|it|they|you|we|never|not|no|which|because|aber|sondern|und|nicht|nie)\s)|，(?=但|所以|不过)"
    r"|\s+(?=(?:and|or|but)\s+(?:it|they|you|we|is|are|was|has|have|can|cannot|may|must|do|does|never|not|will)\s)"
)
"""Where a sentence can be cut so that a denial stays with what it denies; lists are not cut."""
_POINTS = re.compile(r"(?:It|They|This|These|Its|Their|Each|Both|He|She)\b|[它他她这那其]")
"""A sentence that begins so speaks of what the one before it named."""
_VERBATIM = ("url", "mail", "code", "name")
"""Values that must be written as in a source; numbers, money, dates and times are compared by what they mean."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a sentence: `check` is word, value, together or denial; `what` is what is not supported."""

    sentence: str
    check: str
    what: str


@dataclass(frozen=True, slots=True)
class _Held:
    """What some sources hold: stems by word, values as written, numbers, sentences with the stems of each.

    `stands` are the numbers and the stems that stand together: those of a sentence, with its source's title, and with
    the sentence before it where it names nothing itself.
    """

    language: str
    known: frozenset[str]
    values: frozenset[str]
    numbers: tuple[Amount, ...]
    apart: tuple[tuple[str, frozenset[str]], ...]
    stands: tuple[tuple[frozenset[str], frozenset[str]], ...]


def unsupported(answer: str, sources: Sequence[str]) -> list[Finding]:
    """Everything in an answer that its sources do not hold; empty if all is supported. Values are shown, not hidden."""
    held = _held(tuple(sources), language(answer))
    return [finding for sentence in sentences(answer) for finding in _findings(sentence, held)]


def quoted(sentence: str, sources: Sequence[str]) -> bool:
    """Whether a sentence is one of a source's, word for word and whole, and names what it speaks of."""
    return not _POINTS.match(sentence) and _bare(sentence) in _said(tuple(sources))


@lru_cache(maxsize=64)
def _said(sources: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_bare(sentence) for source in sources for sentence in sentences(source))


def _bare(sentence: str) -> str:
    return " ".join(sentence.split()).rstrip(".!。！ ")


@lru_cache(maxsize=64)
def _held(sources: tuple[str, ...], spoken: str) -> _Held:
    """Kept, as the sentences of an answer are checked one by one against the same sources."""
    apart = [sentence for source in sources for sentence in sentences(source)]
    return _Held(
        spoken,
        frozenset(stem(word, spoken) for source in sources for word in _parts(source)),
        frozenset(_plain(source[value.start : value.end]) for source in sources for value in _values(source)),
        tuple(amount for sentence in apart for amount in amounts(sentence)),
        tuple((clause, _weighed(clause, spoken)) for sentence in apart for clause in _clauses(sentence)),
        tuple(stand for source in sources for stand in _stands(source, spoken)),
    )


def _stands(source: str, spoken: str) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    before = frozenset[str]()
    title = frozenset(_stems(source.split("\n", 1)[0], spoken)) if "\n" in source else before
    for sentence in sentences(source):
        own = frozenset(_stems(sentence, spoken))
        named = any(value.kind == "name" for value in _values(sentence)) and not _POINTS.match(sentence)
        yield frozenset(amount.number for amount in amounts(sentence)), own | title | (frozenset() if named else before)
        before = own if named else own | before


def _stems(text: str, spoken: str) -> list[str]:
    return [stem(word, spoken) for word in _parts(text)]


@lru_cache(maxsize=1024)
def _values(text: str) -> tuple[Value, ...]:
    """The values of a text; kept, as each sentence is asked more than once."""
    return tuple(find(text))


def _parts(source: str) -> Iterator[str]:
    """Words, and the parts of those joined by hyphens."""
    for word in words(source):
        yield word
        if "-" in word:
            yield from word.split("-")


def _findings(sentence: str, held: _Held) -> list[Finding]:
    found = [Finding(sentence, "value", written) for written in _wrong_values(sentence, held)]
    rest = sentence
    for amount in stated(sentence):
        rest = rest.replace(amount.written, " " * len(amount.written), 1)
    for value in reversed(_values(sentence)):
        if value.kind in ("url", "mail", "code"):
            rest = rest[: value.start] + " " + rest[value.end :]
    missing = [word for word in words(rest) if not is_light(word, held.language) and not _known(word, held)]
    missing = [word for word in missing if not is_number(word)]  # checked as a value
    named = " ".join(finding.what.lower() for finding in found)
    found += [Finding(sentence, "word", word) for word in dict.fromkeys(missing) if word not in named]
    if not found and (apart := _apart(sentence, held)):
        found.append(Finding(sentence, "together", apart))
    if not found and (basis := _contradicted(sentence, held)):
        found.append(Finding(sentence, "denial", basis))
    return found


def _wrong_values(sentence: str, held: _Held) -> list[str]:
    """Numbers that no source agrees with, and other values that no source writes so."""
    found = [amount.written for amount in stated(sentence) if unknown(amount, held.numbers)]
    for value in _values(sentence):
        written = sentence[value.start : value.end]
        if value.kind not in _VERBATIM or _plain(written) in held.values:
            continue
        # Each noun of German begins with a capital; its words are checked as words.
        if value.kind != "name" or (held.language == "en" and not _common(written, held)):
            found.append(written)
    return found


def _apart(sentence: str, held: _Held) -> str:
    """A name and a number that no source says together, though it says both; "" if there are none.

    With several of each, one that goes with it is enough: the Alba costs €89 and the Brisa €59.
    """
    if held.language == "de":
        return ""
    names = {name: frozenset(_stems(name, held.language)) for name in _names(sentence)}
    numbers = {amount.number: amount.written for amount in stated(sentence)}
    if not names or not numbers:
        return ""
    pairs = [(name, number) for name in names for number in numbers]
    held_together = {
        pair for pair in pairs if any(pair[1] in own and names[pair[0]] <= stems for own, stems in held.stands)
    }
    for name, number in pairs:
        if not any(pair[0] == name for pair in held_together) or not any(pair[1] == number for pair in held_together):
            return f"{name} and {numbers[number]}"
    return ""


def _names(sentence: str) -> list[str]:
    return [sentence[value.start : value.end] for value in _values(sentence) if value.kind == "name"]


def _common(name: str, held: _Held) -> bool:
    """Whether all words of a would-be name are words of the sources: Standard Delivery, or a name and a form of it."""
    return all(is_light(word, held.language) or _known(word, held) for word in words(name))


def _known(word: str, held: _Held) -> bool:
    if stem(word, held.language) in held.known:
        return True
    parts = word.split("-")
    return len(parts) > 1 and all(stem(part, held.language) in held.known for part in parts)


def _weighed(text: str, spoken: str) -> frozenset[str]:
    """The stems and numbers of a text that carry meaning."""
    return frozenset(meaning(text, spoken)) | {amount.number for amount in stated(text)}


def _contradicted(sentence: str, held: _Held) -> str:
    """The clause of the sources that says the opposite of one of the sentence; "" if there is none.

    That is one which shares most words and numbers with it, at least two or all, where none that shares as many agrees.
    """
    for clause in _clauses(sentence):
        own = _weighed(clause, held.language)
        shared = [(len(own & theirs), other) for other, theirs in held.apart]
        most = max((count for count, _ in shared), default=0)
        nearest = [other for count, other in shared if count == most]
        denied = denies(clause, held.language)
        if most >= min(2, max(len(own), 1)) and all(denies(other, held.language) != denied for other in nearest):
            return nearest[0]
    return ""


def _clauses(sentence: str) -> list[str]:
    return [found for clause in _CLAUSES.split(sentence) if (found := clause.strip(" ,;"))]


def _plain(value: str) -> str:
    """A value as it is compared: small letters, no space; marks stay, as €490 is not €4.90."""
    return re.sub(r"\s+", "", value.lower())


def forget() -> None:
    """Drop what is kept of sentences and sources."""
    _held.cache_clear()
    _values.cache_clear()
