"""What the support scorer looks at: a sentence's tokens, and those of the source sentences that could support it.

A source is encoded once, in windows of whole sentences, so each token's state knows its neighbours ("It" knows what it
is); later claims on the same source find its states kept. For a claim, the few source sentences that hold most of its
words are laid beside it, with which tokens are the same word, and with some counts.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from skills.support_values import canonical
from skills.support_words import denies, is_light, sentences, stem

Floats = npt.NDArray[np.float32]
SEGMENTS, TOKENS = 3, 84
"""How many source sentences a claim is laid beside, and how many tokens of them together."""
LONGEST = 48
"""Tokens of a claim that are looked at."""
WINDOW = 420
"""Characters of a source that are encoded together."""
FLAGS = ("light", "number", "capital", "same", "denial")
COUNTS = ("best", "all", "denial", "pairs", "numbers", "bound", "named", "segments")
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’-][^\W\d_]+)*")
KEPT = 64
"""Sources whose states are kept, in 16 bits: about 300 kB each."""


class TokenStates(Protocol):
    """What is used of the encoder: states of some layers, with the characters of each token."""

    def states(self, texts: Sequence[str]) -> list[tuple[Floats, npt.NDArray[np.int32]]]:
        """For each text float32 (tokens, width) and int32 (tokens, 2); no special tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """A sentence's tokens: `states` (tokens, width), 16 bits where kept; the stem of each token's word; `flags`."""

    text: str
    states: npt.NDArray[np.floating[Any]]
    keys: tuple[str, ...]
    flags: Floats

    @property
    def telling(self) -> frozenset[str]:
        """The stems that carry meaning."""
        return frozenset(key for key, light in zip(self.keys, self.flags[:, 0], strict=True) if not light)


@dataclass(frozen=True, slots=True)
class Pair:
    """A claim beside its likeliest sources, as arrays.

    `states` (tokens, width), claim first; `flags` (tokens, len(FLAGS)); `places` int (tokens,), 0 for the claim, then
    the rank of the source sentence; `same` (tokens, tokens), 1 where two tokens belong to the same word; `counts`
    (len(COUNTS),); `length` the claim's tokens.
    """

    states: Floats
    flags: Floats
    places: npt.NDArray[np.int64]
    same: Floats
    counts: Floats
    length: int


class Pairs:
    """Makes pairs; keeps the latest sources, at most `keep` of them."""

    def __init__(self, encoder: TokenStates, keep: int = KEPT) -> None:
        self._encoder, self._keep = encoder, keep
        self._kept: OrderedDict[str, tuple[Tokens, ...]] = OrderedDict()

    def warm(self, sources: Sequence[str]) -> None:
        """Encode sources that are not kept yet."""
        fresh = [source for source in dict.fromkeys(sources) if source not in self._kept]
        cut = [(source, window) for source in fresh for window in _windows(source)]
        found = self._encoder.states([window for _, window in cut]) if cut else []
        parts: dict[str, list[Tokens]] = {source: [] for source in fresh}
        for (source, window), (states, offsets) in zip(cut, found, strict=True):
            parts[source] += _segments(window, states.astype(np.float16), offsets)
        for source in fresh:
            self._kept[source] = tuple(parts[source])
        for source in dict.fromkeys(sources):
            self._kept.move_to_end(source)
        while len(self._kept) > max(self._keep, len(sources)):
            self._kept.popitem(last=False)

    def make(self, sentence: str, sources: Sequence[str]) -> Pair | None:
        """The claim with its likeliest sources; None if there is nothing to compare."""
        self.warm(sources)
        states, offsets = self._encoder.states([sentence])[0]
        claim = _tokens(sentence, states[:LONGEST], offsets[:LONGEST])
        segments = [segment for source in dict.fromkeys(sources) for segment in self._kept[source]]
        if not claim.keys or not segments:
            return None
        return pair(claim, chosen(claim, segments))


def pair(claim: Tokens, segments: Sequence[Tokens]) -> Pair:
    """Arrays of a claim and source sentences."""
    parts = [claim, *segments]
    keys = [key for part in parts for key in part.keys]
    places = np.concatenate([np.full(len(part.keys), place) for place, part in enumerate(parts)])
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    named = np.array([numbers[key] for key in keys])
    same = (named[:, None] == named[None]).astype(np.float32)
    flags = np.concatenate([part.flags for part in parts])
    across = (places == 0)[:, None] != (places == 0)[None]
    flags[:, 3] = (same * across).any(axis=1)
    return Pair(
        np.concatenate([part.states.astype(np.float32) for part in parts]),
        flags,
        places.astype(np.int64),
        same,
        _counts(claim, segments),
        len(claim.keys),
    )


def chosen(claim: Tokens, segments: Sequence[Tokens]) -> list[Tokens]:
    """The source sentences that hold most of a claim's words, each next one for what the others lack."""
    wanted = claim.telling
    missing = set(wanted)
    mean = _mean(claim.states)
    liking = [float(mean @ _mean(segment.states)) for segment in segments]
    held = [wanted & segment.telling for segment in segments]
    taken: list[int] = []
    room = TOKENS
    while len(taken) < SEGMENTS:
        open_ = [n for n in range(len(segments)) if n not in taken and (len(segments[n].keys) <= room or not taken)]
        if not open_:
            break
        best = max(open_, key=lambda n: len(held[n] & missing) + 0.35 * len(held[n]) + liking[n])
        taken.append(best)
        missing -= held[best]
        room -= len(segments[best].keys)
    return [_short(segments[n]) for n in taken]


def _counts(claim: Tokens, segments: Sequence[Tokens]) -> Floats:
    wanted = claim.telling
    size = max(len(wanted), 1)
    best = max((len(wanted & segment.telling) for segment in segments), default=0)
    everything = frozenset[str]().union(*(segment.telling for segment in segments))
    telling = [key for key, light in zip(claim.keys, claim.flags[:, 0], strict=True) if not light]
    following = list(pairwise(telling))
    near = {found for segment in segments for found in _near(segment)}
    joined = sum(found in near for found in following) / max(len(following), 1)
    numbers = {key for key, number in zip(claim.keys, claim.flags[:, 1], strict=True) if number}
    leading = segments[0].telling if segments else frozenset()
    denial = float(denies(claim.text) != denies(segments[0].text)) if segments else 0.0
    return np.array(
        [
            best / size,
            len(wanted & everything) / size,
            denial,
            joined,
            len(numbers & leading) / len(numbers) if numbers else 1.0,
            _around(numbers, wanted, segments),
            _around({key for key, flag in zip(claim.keys, claim.flags, strict=True) if flag[2]}, wanted, segments),
            len(segments) / SEGMENTS,
        ],
        np.float32,
    )


def _around(keys: set[str], wanted: frozenset[str], segments: Sequence[Tokens]) -> float:
    """How much of a claim stands in one sentence with each of some words, for the word that is worst off."""
    shares = []
    for key in keys:
        holding = [len(wanted & segment.telling) for segment in segments if key in segment.keys]
        shares.append(max(holding, default=0) / max(len(wanted), 1))
    return min(shares, default=1.0)


def _near(segment: Tokens) -> Iterator[tuple[str, str]]:
    telling = [key for key, light in zip(segment.keys, segment.flags[:, 0], strict=True) if not light]
    for step in (1, 2):
        yield from zip(telling, telling[step:], strict=False)


def _mean(states: npt.NDArray[np.floating[Any]]) -> Floats:
    mean: Floats = states.mean(axis=0, dtype=np.float32)
    return mean / max(float(np.linalg.norm(mean)), 1e-6)


def _short(segment: Tokens) -> Tokens:
    if len(segment.keys) <= TOKENS:
        return segment
    return Tokens(segment.text, segment.states[:TOKENS], segment.keys[:TOKENS], segment.flags[:TOKENS])


def _windows(source: str) -> Iterator[str]:
    """The source in pieces of whole sentences."""
    piece = ""
    for sentence in sentences(source):
        if piece and len(piece) + len(sentence) > WINDOW:
            yield piece
            piece = ""
        piece = f"{piece}\n{sentence}" if piece else sentence
    if piece:
        yield piece


def _segments(window: str, states: npt.NDArray[np.floating[Any]], offsets: npt.NDArray[np.int32]) -> Iterator[Tokens]:
    start = 0
    for sentence in window.split("\n"):
        end = start + len(sentence)
        inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= end)
        if inside.any():
            yield _tokens(sentence, states[inside], offsets[inside] - start)
        start = end + 1


def _tokens(text: str, states: npt.NDArray[np.floating[Any]], offsets: npt.NDArray[np.int32]) -> Tokens:
    """Tokens of a sentence with their words' stems; a mark is its own key."""
    keys, rows = [], []
    spans = [(found.start(), found.end(), found.group()) for found in _WORD.finditer(text)]
    at = 0
    for begin, end in offsets.tolist():
        while at < len(spans) and spans[at][1] <= begin:
            at += 1
        inside = at < len(spans) and spans[at][0] <= begin
        word = spans[at][2] if inside else text[begin:end]
        small = word.lower().replace("’", "'")
        number = small[:1].isdigit()
        keys.append(canonical(small) if number else stem(small))
        light = not number and (not inside or is_light(small, "en"))
        rows.append((light, number, word[:1].isupper() and begin > 0, 0.0, denies(small)))
    return Tokens(text, states, tuple(keys), np.array(rows, np.float32).reshape(-1, len(FLAGS)))
