"""Sentences with marked pauses, spoken by espeak-ng or flite: sound and the truth about its pauses.

The truth is where each piece of a sentence ends, since every piece is synthesised by itself. How a piece ends in pitch
is drawn: before a pause mostly as before a comma, at the end of a turn mostly as at a full stop, each the other way
round at times, as people do. The same seed gives the same sound with the same versions of the two programs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.core.errors import InputError
from bot.core.speech import RATE
from training.hearing.spoil import telephone
from training.hearing.voices import HELD_OUT, RECORDED, RECORDED_HELD_OUT, TRAINED, Voice, say

Sound = NDArray[np.float32]
KINDS = {"h": "hesitation", "f": "after a filler", "d": "within a number", "l": "within a list", "c": "could be all"}
TAIL_MS = 3200
"""Silence after a turn: longer than the longest wait."""
_ASKS = re.compile(
    r"(?:and |hello |yes |what|where|when|who|why|which|how|can|could|do|does|is|are|am|may|would you|would it|wo|wann|"
    r"wer|wie|was|warum|kann|können|darf|haben|ist)\b"
)
_WORDS = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "de": ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
}
_ACCENTS = {"en": ("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan"), "de": ("de",)}
_OTHER_ACCENTS = {"en": ("en-gb-scotland", "en-029", "en-gb-x-gbcwmd"), "de": ("de",)}


@dataclass(frozen=True)
class Turn:
    """A turn as it is written down: pieces of text, and the kind of pause after each but the last."""

    language: str
    expects: int
    pieces: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """A pause within a turn, in ms from the beginning of the sound."""

    start: float
    end: float
    kind: str


@dataclass(frozen=True)
class Clip:
    """A spoken turn. `ends` are the ms at which each piece ends; the last is the end of the turn."""

    turn: Turn
    voice: Voice
    samples: Sound
    starts: tuple[float, ...]
    ends: tuple[float, ...]

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The pauses within the turn."""
        pairs = zip(self.ends, self.starts[1:], self.turn.kinds, strict=False)
        return tuple(Gap(start, end, kind) for start, end, kind in pairs)

    def text_at(self, ms: float) -> str:
        """The words that have been said by then; within a piece, words are taken to be equally long a letter."""
        said: list[str] = []
        for text, start, end in zip(self.turn.pieces, self.starts, self.ends, strict=True):
            share = min(1.0, max(0.0, (ms - start) / (end - start)))
            said += [word[0] for word in re.finditer(r"\S+", text) if word.end() <= share * len(text) + 1e-6]
        return " ".join(said)


def read(path: Path) -> list[tuple[str, int, str]]:
    """The lines of a file of sentences: language, characters asked for, notation.

    Raises:
        InputError: a line is not of that form.
    """
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            match = re.fullmatch(r"(en|de) (\d+) \| (.+)", line)
            if match is None:
                raise InputError(f"{path.name}:{number}: expected `LANGUAGE CHARACTERS | TEXT`, found {line!r}")
            found.append((match[1], int(match[2]), match[3]))
    return found


def filled(language: str, expects: int, notation: str, dice: random.Random) -> Turn:
    """A sentence with its numbers drawn."""

    def digits(count: str) -> str:
        if count.startswith("c"):
            return " ".join([dice.choice("bdfgkmrstx"), digits(count[1:])])
        return " ".join(dice.choice(_WORDS[language]) for _ in range(int(count)))

    def group(found: re.Match[str]) -> str:
        return " /d ".join(digits(part) for part in found[1].replace("/d", "/").split("/"))

    parts = re.split(r" /([hfdlc]) ", re.sub(r"\{([^}]+)\}", group, notation))
    return Turn(language, expects, tuple(parts[::2]), tuple(KINDS[kind] for kind in parts[1::2]))


def clips(rows: Sequence[tuple[str, int, str]], times: int, seed: int, held_out: bool = False) -> Iterator[Clip]:
    """Each sentence so many times, each time by another voice: of those for fitting, or of those held out."""
    dice = random.Random(seed)
    for row in rows:
        for _ in range(times):
            yield spoken(filled(*row, dice), dice, held_out)


def spoken(turn: Turn, dice: random.Random, held_out: bool = False) -> Clip:
    """A turn by a voice, with pauses, noise and line by chance."""
    voice = _voice(turn.language, dice, held_out)
    at, parts, starts, ends = dice.uniform(400, 900), [], [], []
    parts.append(_silence(at))
    for number, text in enumerate(turn.pieces):
        sound = say(text + _ending(turn, number, dice), voice)
        pause = min(2000.0, max(250.0, dice.lognormvariate(np.log(550), 0.45)))
        starts.append(at)
        ends.append(at + len(sound) * 1000 / RATE)
        at = ends[-1] + (pause if number < len(turn.kinds) else TAIL_MS)
        parts += [sound, _silence(at - ends[-1])]
        at = sum(map(len, parts)) * 1000 / RATE
    return Clip(turn, voice, _on_a_line(np.concatenate(parts), dice), tuple(starts), tuple(ends))


def _voice(language: str, dice: random.Random, held_out: bool) -> Voice:
    speed, pitch = dice.randrange(135, 200), dice.randrange(25, 75)
    if language == "en" and dice.random() < 0.15:
        return Voice("flite", dice.choice(RECORDED_HELD_OUT if held_out else RECORDED), speed, pitch)
    accent = dice.choice((_OTHER_ACCENTS if held_out else _ACCENTS)[language])
    return Voice("espeak-ng", f"{accent}+{dice.choice(HELD_OUT if held_out else TRAINED)}", speed, pitch)


def _ending(turn: Turn, number: int, dice: random.Random) -> str:
    """The mark that gives a piece its melody."""
    if number < len(turn.kinds):
        return dice.choices([",", "", "."], [0.6, 0.2, 0.2])[0]
    if _ASKS.match(turn.pieces[0]) and dice.random() < 0.7:
        return "?"
    return dice.choices([".", "", ","], [0.7, 0.2, 0.1])[0]


def _silence(ms: float) -> Sound:
    return np.zeros(int(ms * RATE / 1000), np.float32)


def _on_a_line(samples: Sound, dice: random.Random) -> Sound:
    """Noise under it, another loudness, and for a third of them the band of the telephone."""
    noise = np.random.default_rng(dice.randrange(2**31)).standard_normal(len(samples)).astype(np.float32)
    if dice.random() < 0.5:
        noise = np.cumsum(noise - noise.mean()).astype(np.float32)
        noise = noise - np.convolve(noise, np.ones(200, np.float32) / 200, "same")
    loud = float(np.sqrt(np.mean(samples[np.abs(samples) > 0.01] ** 2)))
    below = dice.choice((60, 35, 25, 15))
    made: Any = samples + noise * np.float32(loud * 10 ** (-below / 20) / (float(np.std(noise)) + 1e-9))
    made = telephone(made) if dice.random() < 1 / 3 else made
    return np.asarray(made * (10 ** dice.uniform(-1.1, -0.1) / np.max(np.abs(made))), np.float32)
