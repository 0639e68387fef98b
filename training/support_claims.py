"""Claims with their sources, true and spoiled, drawn from passages: what the support scorer is fitted and set with.

A claim is a sentence of a passage, reworded or spoiled (`training.support_spoil`), or true but its own sentence is
deleted from the sources, or it belongs to another passage. The sources are its passage among two others of the same
collection, as retrieval would give them. Everything is drawn from one seed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from skills.support import stem, unsupported
from skills.support_scorer import Claim
from skills.support_words import meaning, sentences
from training.support_spoil import SPOILERS, opened, reworded, tidy

_WEIGHTS = {
    "value": 4,
    "name": 3,
    "word": 3,
    "denial": 5,
    "bound": 3,
    "condition": 3,
    "splice": 4,
    "deleted": 3,
    "elsewhere": 2,
}
_FEWEST, _MOST = 4, 45
"""Words of a sentence that a claim is made of."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of one `group`: a page, a site, a company. Neighbours come from the same group where it has any."""

    text: str
    group: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """A claim and whether its sources hold it; `kind` says how it was made."""

    claim: Claim
    supported: bool
    kind: str
    group: str = ""


def claims(passages: Sequence[Passage], count: int, seed: int = 0, *, beside: int = 2) -> list[Labelled]:
    """About `count` claims, half of them supported, none of those twice."""
    random = Random(seed)
    spots = [(at, sentence) for at, passage in enumerate(passages) for sentence in usable(passage.text)]
    if not spots:
        return []
    near = _neighbours(passages)
    made: dict[tuple[str, str], Labelled] = {}
    for _ in range(4 * count):
        at, sentence = random.choice(spots)
        around = _sources(passages, near, at, random, beside)
        for item in _pair(sentence, passages[at], around, random):
            made.setdefault((item.claim.sentence, passages[at].text), item)
        if len(made) >= count:
            break
    return list(made.values())


def usable(text: str) -> list[str]:
    """The sentences of a passage that can stand as a claim."""
    found = (_clean(sentence) for sentence in sentences(text))
    return [
        sentence
        for sentence in found
        if _FEWEST <= len(sentence.split()) <= _MOST and not sentence.endswith((":", "?"))
    ][_titled(text) :]


def _titled(text: str) -> int:
    """1 if the text begins with a title: a first line without an end."""
    first = text.split("\n", 1)[0]
    return int("\n" in text and not first.endswith((".", "!", ":", ";")) and len(first.split()) >= _FEWEST)


def hard(items: Sequence[Labelled]) -> list[Labelled]:
    """Those that the deterministic checks let pass: what the scorer decides on."""
    return [item for item in items if not unsupported(item.claim.sentence, item.claim.sources)]


def _pair(sentence: str, passage: Passage, around: Sequence[str], random: Random) -> Iterator[Labelled]:
    """A supported claim and an unsupported one of a sentence."""
    context = sentences(passage.text)
    said = opened(reworded(sentence, context, random), random)
    yield Labelled(Claim(said, _among(passage.text, around, random)), True, "reworded", passage.group)
    for kind in _order(random):
        wrong = _spoiled(kind, sentence, passage, around, random)
        if wrong is not None and tidy(wrong.claim.sentence) != tidy(sentence):
            yield wrong
            return


def _spoiled(kind: str, sentence: str, passage: Passage, around: Sequence[str], random: Random) -> Labelled | None:
    # Reworded first and spoiled then: what is wrong stays in, and rewording tells nothing.
    core = reworded(sentence, sentences(passage.text), random)
    if kind == "deleted":
        rest = _without(passage.text, sentence)
        sources = _among(rest, around, random)
        return None if not rest or _held(sentence, sources) else _wrong(core, sources, kind, passage, random)
    if kind == "elsewhere":
        others = tuple(around)
        return None if len(others) < 2 or _held(sentence, others) else _wrong(core, others, kind, passage, random)
    sources = _among(passage.text, around, random)
    # Half of the values and names to swap with come from the passage itself: those are the hardest.
    pool = [passage.text] if random.random() < 0.6 else sources
    said = SPOILERS[kind](core, pool, random)
    if said is None or said == core or said.rstrip(".") in passage.text:
        return None
    return _wrong(said, sources, kind, passage, random)


def _wrong(said: str, sources: tuple[str, ...], kind: str, passage: Passage, random: Random) -> Labelled:
    return Labelled(Claim(opened(said, random), sources), False, kind, passage.group)


def _order(random: Random) -> list[str]:
    """The ways to spoil, in an order drawn by their weights."""
    return sorted(_WEIGHTS, key=lambda kind: -(random.random() ** (1 / _WEIGHTS[kind])))


def _held(sentence: str, sources: Sequence[str]) -> bool:
    """Whether another sentence of the sources says much the same."""
    own = set(meaning(sentence, "en"))
    return any(
        len(own & set(meaning(other, "en"))) >= 0.7 * len(own) for source in sources for other in sentences(source)
    )


def _without(text: str, sentence: str) -> str:
    kept = [other for other in sentences(text) if _clean(other) != sentence]
    return "\n".join(kept)


def _among(text: str, around: Sequence[str], random: Random) -> tuple[str, ...]:
    sources = [*around]
    sources.insert(random.randint(0, len(sources)), text)
    return tuple(sources)


def _sources(
    passages: Sequence[Passage], near: Sequence[Sequence[int]], at: int, random: Random, beside: int
) -> list[str]:
    chosen = [n for n in near[at] if random.random() < 0.8][:beside]
    while len(chosen) < min(beside, len(passages) - 1):
        other = random.randrange(len(passages))
        if other != at and other not in chosen:
            chosen.append(other)
    return [passages[n].text for n in chosen]


def _neighbours(passages: Sequence[Passage], most: int = 4) -> list[list[int]]:
    """For each passage those of its group that share most rare words with it."""
    stems = [set(meaning(passage.text, "en")) for passage in passages]
    seen = Counter(word for found in stems for word in found)
    holders: dict[str, list[int]] = {}
    for at, found in enumerate(stems):
        for word in found:
            if seen[word] <= 40:
                holders.setdefault(word, []).append(at)
    near: list[list[int]] = []
    for at, found in enumerate(stems):
        score: Counter[int] = Counter()
        for word in sorted(found):
            for other in holders.get(word, ()):
                if other != at and passages[other].group == passages[at].group:
                    score[other] += 1
        near.append([other for other, _ in sorted(score.items(), key=lambda pair: (-pair[1], pair[0]))[:most]])
    return near


def _clean(sentence: str) -> str:
    """Without the marks of a list or of Markdown."""
    return re.sub(r"^(?:[-*•]|\d+[.)])\s+", "", sentence).replace("**", "").strip()


def stems(text: str) -> list[str]:
    """The stems of all words of a text."""
    return [stem(word) for word in re.findall(r"\w+", text.lower())]
