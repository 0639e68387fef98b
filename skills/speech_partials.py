"""What is heard while somebody still speaks: transcripts of the sound so far, and which of their words will stay.

A word is settled when two transcripts one after the other agree on it and on all before it (local agreement, Liu et al.
2020, "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection"); settled
words are never taken back. Recognising is somebody else's work, so that sounds of many calls go in one batch:

    partials = Partials(language="en", words=names)
    partials.add(samples)
    if partials.due():
        partial = partials.take(recogniser.quick.run([partials.utterance()])[0])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.core.speech import RATE, Heard, Utterance

Floats = npt.NDArray[np.float32]
_WINDOW = 29.0
"""Seconds of sound that are recognised at most, the latest."""


@dataclass(frozen=True, slots=True)
class Partial:
    """`settled` words stay as they are; `rest` may still change."""

    settled: str
    rest: str

    @property
    def text(self) -> str:
        """All words."""
        return f"{self.settled} {self.rest}".strip()


class Partials:
    """The transcripts of one utterance under way."""

    def __init__(self, language: str = "", words: Sequence[str] = (), every: float = 0.4, prompt: str = "") -> None:
        """`every`: seconds of new sound after which another transcript is due."""
        self._language, self._words, self._prompt, self._every = language, tuple(words), prompt, int(every * RATE)
        self._sound: list[Floats] = []
        self._length = self._asked = 0
        self._before: list[str] = []
        self._settled: list[str] = []

    def add(self, samples: Floats) -> None:
        """More sound."""
        self._sound.append(samples)
        self._length += len(samples)

    def due(self) -> bool:
        """Whether there is enough new sound, and not too much for one window."""
        return self._length - self._asked >= self._every and self._length <= _WINDOW * RATE

    def utterance(self) -> Utterance:
        """The sound so far, to be recognised."""
        self._asked = self._length
        joined = np.concatenate(self._sound) if self._sound else np.zeros(0, np.float32)
        self._sound = [joined]
        return Utterance(joined, self._language, self._prompt, self._words)

    def take(self, heard: Heard) -> Partial:
        """What was recognised of it."""
        found = heard.text.split()
        settled = self._settled
        agreed = _agreed(self._before, found)
        if agreed > len(settled) and _agreed(settled, found) == len(settled):
            self._settled = settled = found[:agreed]
        self._before = found
        return Partial(" ".join(settled), " ".join(found[len(settled) :]))


def _agreed(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words at the beginning are the same, but for signs and capitals."""
    for n, (left, right) in enumerate(zip(one, other, strict=False)):
        if _plain(left) != _plain(right):
            return n
    return min(len(one), len(other))


def _plain(word: str) -> str:
    return "".join(sign for sign in word.lower() if sign.isalnum()) or word
