"""Whether a sentence says only what its sources say: checks that need no model and can be explained in a line each.

A worded answer may join, shorten and address; it may not bring a thing, a number or a refusal that its sources lack. So
each word that carries meaning must stand in the sources in some form, each value must, and a sentence that denies must
rest on a source sentence that denies, and the other way round. These checks miss what another order of the same words
changes; a learned scorer comes after them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from skills.values import find

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_BETWEEN = re.compile(r"(?<=[.!?])[\"')]*\s+")
_DENIAL = re.compile(
    r"\b(?:no|not|never|none|nothing|nobody|neither|nor|without|cannot|unable|unfortunately|except)\b|n't\b",
    re.IGNORECASE,
)
_LIGHT = frozenset(
    re.findall(
        r"\S+",
        """
        a an the this that these those it its i i'm i'll i'd i've me my we us our you your yours he she they
        them their is are was were be been being am do does did done doing have has had having will would
        shall should can could may might must let let's get gets got go goes going come comes take takes make
        makes made give gives given keep and or but so if then than as when while once because since though
        although also too again just only even still already soon now here there where what which who whom
        whose why how all any both each every some such same other another more most much many few less least
        own very quite really well please thank thanks sorry hello hi welcome yes okay ok sure of course
        certainly happy glad great good in on at to from by for with about into onto over under after before
        until up down out off through between during within of not no never don't doesn't didn't isn't aren't
        won't can't cannot couldn't wouldn't shouldn't that's it's you're you'll you'd there's here's what's
        know see look tell ask want need like help mean think hope sound sounds seem thing things way bit lot
        moment able simply directly of's one ones unfortunately happen happens kindly anything something
        everything
        """,
    )
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a sentence: `check` is word, value or denial; `what` is the part that is not supported."""

    sentence: str
    check: str
    what: str


def unsupported(answer: str, sources: Sequence[str]) -> list[Finding]:
    """Everything in an answer that its sources do not hold; empty if all is supported. Values are shown, not hidden."""
    known = {stem(word) for source in sources for word in _WORD.findall(source.lower())}
    values = {_plain(source[value.start : value.end]) for source in sources for value in find(source)}
    apart = [sentence for source in sources for sentence in sentences(source)]
    return [finding for sentence in sentences(answer) for finding in _findings(sentence, known, values, apart)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, without space around them."""
    return [found for part in _BETWEEN.split(text) if (found := part.strip())]


def stem(word: str) -> str:
    """A word without its common endings, so that its forms meet: delivers, delivered, delivery and deliver."""
    word = word.lower().removesuffix("'s")
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ery", "ers", "er", "ed", "es", "ly", "y", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def _findings(sentence: str, known: set[str], values: set[str], apart: Sequence[str]) -> list[Finding]:
    found = []
    rest = sentence
    for value in reversed(list(find(sentence))):
        written = sentence[value.start : value.end]
        if _plain(written) not in values:
            found.append(Finding(sentence, "value", written))
        rest = rest[: value.start] + " " + rest[value.end :]
    for word in _WORD.findall(rest):
        if word.lower() not in _LIGHT and stem(word) not in known:
            found.append(Finding(sentence, "word", word))
    if not found and (basis := _nearest(sentence, apart)) and denies(sentence) != denies(basis):
        found.append(Finding(sentence, "denial", basis))
    return found


def denies(sentence: str) -> bool:
    """Whether a sentence says that something is not so."""
    return _DENIAL.search(sentence) is not None


def _nearest(sentence: str, apart: Sequence[str]) -> str:
    """The source sentence that shares most words with it; "" if none shares two."""
    words = _meaning(sentence)
    if len(words) < 2:
        return ""
    shared = [(len(words & _meaning(other)), other) for other in apart]
    count, basis = max(shared, default=(0, ""), key=lambda pair: pair[0])
    return basis if count >= 2 else ""


def _meaning(sentence: str) -> set[str]:
    return {stem(word) for word in _WORD.findall(sentence) if word.lower() not in _LIGHT}


def _plain(value: str) -> str:
    return re.sub(r"[\s,.]+", "", value.lower())
