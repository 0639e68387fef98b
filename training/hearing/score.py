"""How many words are heard wrong, and how many where nobody spoke."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bot.core.speech import RATE
from training.hearing.corpus import Clip, spoken
from training.hearing.sentences import Sentence, held_out_sentences, written_by_hand
from training.hearing.sounds import HELD_OUT, TRAINED, nothing
from training.hearing.spoil import telephone
from training.hearing.voices import Sound

Hear = Callable[[Sequence[Sound]], Sequence[str]]
"""What is said in each of some sounds."""


@dataclass(frozen=True)
class Errors:
    """Words that were replaced, left out or added, of so many that were said."""

    wrong: int
    said: int

    @property
    def rate(self) -> float:
        """The word error rate, 0 for nothing said."""
        return self.wrong / max(1, self.said)


def words(text: str) -> list[str]:
    """Lower-case words with their apostrophes: two writings of one utterance are then equal."""
    return re.findall(r"[\w']+", text.lower().replace("’", "'"))


def distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words to replace, leave out and add, from one to the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for count, word in enumerate(said, 1):
        before, row[0] = row[0], count
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(before + (word != other), row[at] + 1, row[at - 1] + 1)
    return row[-1]


def errors(said: Sequence[str], heard: Sequence[str]) -> Errors:
    """The errors of transcripts, in order."""
    pairs = [(words(one), words(other)) for one, other in zip(said, heard, strict=True)]
    return Errors(sum(distance(*pair) for pair in pairs), sum(len(one) for one, _ in pairs))


def held_out(count: int, seed: int, by_hand: bool = False, recorded: float = 0.2) -> list[Clip]:
    """Sentences that training never sees, by voices that it never hears, with a little silence around them."""
    sentences = [Sentence(text, f"{text}.") for text in written_by_hand()] if by_hand else []
    dice = random.Random(f"held out {seed}")
    clips = spoken(sentences or held_out_sentences(count, seed), dice, held_out=True, recorded=recorded)
    return [with_silence(clip) for clip in clips]


def over_the_telephone(clips: Sequence[Clip]) -> list[Clip]:
    """The same clips as a telephone carries them."""
    return [Clip(telephone(clip.samples), clip.text, clip.voice) for clip in clips]


def with_silence(clip: Clip, before: float = 0.2, after: float = 0.5) -> Clip:
    """A clip with so many seconds of silence around it."""
    return Clip(np.pad(clip.samples, (int(before * RATE), int(after * RATE))), clip.text, clip.voice)


def wordless(count: int, seed: int) -> Iterator[Clip]:
    """Clips of 1 to 8 seconds in which nobody speaks, half of them of kinds that training does not hear."""
    dice = np.random.default_rng((seed, 99))
    for number in range(count):
        size = int(dice.uniform(1, 8) * RATE)
        kinds = HELD_OUT if number % 2 else TRAINED
        yield Clip(nothing(dice, size, kinds), "", "nobody")
