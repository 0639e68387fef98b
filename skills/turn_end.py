"""How likely a caller has finished, at a pause: a small head over the words so far, the melody and the loudness.

Words tell most: "my number is" is never the end, five digits are when five were asked for. The melody tells the rest:
it stays up where somebody goes on. The weights that come with the installation were fitted on synthesised turns
(`python -m training.turn_end`); the same command refits them on the turns of a log. A logistic regression, so that what
it goes by can be read in its file.

Sound is float32 at 16,000 samples a second. English and German words are known; other languages go by melody alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.core.asides import aside, plain
from bot.core.errors import IntegrityError
from bot.core.spelling import written
from skills.turn_melody import MELODY, melody
from skills.turn_words import ASKING, CLAUSE, COUNTS, FILLERS, HALF_OPEN, OPEN, STARTS, WHOLE

Floats = npt.NDArray[np.float32]
BASE = Path(__file__).with_name("turn_end.json")
"""The weights that come with the installation."""
FORMAT = 1
WORDS = (
    "known", "open", "half open", "filler", "whole", "one whole word", "starts", "asks", "clause", "short clause",
    "words", "one word", "two words", "digits", "a count", "some missing", "missing", "complete", "more than asked",
    "waits", "answers otherwise",
)  # fmt: skip
FEATURES = (*WORDS, *MELODY, "spoken without words")
"""What the head goes by, in the order of its weights."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in a caller's turn. `text` is the turn's transcript so far, None when there is none; `samples` its sound
    up to now, the last two seconds are enough; `spoken_ms` the speech in it; `expects` the characters of what was asked
    for (an order id), 0 if that is not known."""

    text: str | None
    samples: Floats = field(repr=False)
    spoken_ms: float
    language: str = ""
    expects: int = 0


class TurnEnd:
    """A `Skill` from `Pause` to the probability that the turn is over."""

    name = "turn-end"

    def __init__(self, weights: Mapping[str, float], bias: float) -> None:
        self.weights, self.bias = dict(weights), bias
        self._vector = np.array([self.weights.get(name, 0.0) for name in FEATURES])

    def run(self, batch: Sequence[Pause]) -> list[float]:
        """One probability per pause."""
        return [self.of(features(pause)) for pause in batch]

    def of(self, row: Sequence[float]) -> float:
        """The probability for features that were made before, in the order of `FEATURES`."""
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, self.bias + float(np.dot(self._vector, row))))))

    def save(self, path: Path, told: Mapping[str, object] = {}) -> None:
        """Write the weights; `told` says where they come from."""
        rounded = {name: round(value, 4) for name, value in self.weights.items()}
        kept = {"format": FORMAT, **told, "bias": round(self.bias, 4), "weights": rounded}
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path = BASE) -> TurnEnd:
        """Read saved weights.

        Raises:
            IntegrityError: the file is not one of ours, or was fitted for other features.
        """
        try:
            found = json.loads(path.read_text("utf-8"))
            weights, bias = {str(name): float(value) for name, value in found["weights"].items()}, float(found["bias"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(str(path), f"expected weights of the end-of-turn head, found {error!r}") from error
        if found.get("format") != FORMAT or set(weights) != set(FEATURES):
            raise IntegrityError(str(path), "was fitted for other features; fit it again: python -m training.turn_end")
        return cls(weights, bias)


def features(pause: Pause) -> list[float]:
    """What the head goes by: see `FEATURES`. How much was spoken counts only where there are no words: that pauses come
    early in a sentence is so in made-up turns, not of people who read out a long number."""
    words = _words(pause.text, pause.language, pause.expects)
    return [*words, *melody(pause.samples), 0.0 if words[0] else min(max(0.0, pause.spoken_ms), 3000.0) / 3000]


def _words(text: str | None, language: str, expects: int) -> list[float]:
    said = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", (text or "").casefold())
    if not said:
        return [0.0] * len(WORDS)
    last, pair, code = said[-1].replace("’", "'"), " ".join(said[-2:]), language.split("-")[0]
    have, clause, count = _trailing(text or "", expects), said[0] in CLAUSE, len(said)
    whole = last in WHOLE
    opened = last in _of(OPEN, code) and not have and not (whole and count == 1)
    return [
        float(code in ("", *OPEN)),
        float(opened),
        float(last in _of(HALF_OPEN, code) and not have),
        float(last in FILLERS),
        float(whole),
        float(whole and count == 1),
        float(pair in STARTS),
        float(said[0] in ASKING and count > 1),
        float(clause),
        float(clause and count < 8),
        _length(count, have, expects) if not (opened or last in FILLERS) else 0.0,
        float(count == 1),
        float(count == 2),
        float(have > 0),
        float(last in COUNTS and not have),
        float(0 < have < expects),
        max(0.0, (expects - have) / expects) if have and expects else 0.0,
        float(have == expects > 0),
        float(have > expects > 0),
        float(aside(plain(text or ""), language) == "wait"),
        float(expects > 0 and not have),
    ]


def _length(count: int, have: int, expects: int) -> float:
    """How much was said, 0 to 1: what was asked for is enough; else the words beside a number."""
    return 1.0 if have >= expects > 0 else min(count - min(have, count), 6) / 6


def _of(words: Mapping[str, frozenset[str]], code: str) -> frozenset[str]:
    """The words of a language; of all languages where it is not known."""
    return words[code] if code in words else frozenset().union(*words.values())


def _trailing(text: str, expects: int) -> int:
    """The characters of the code or number that the text ends with, 0 if it ends with another word; one digit alone
    counts only where some were asked for."""
    found = re.search(r"[\w/+-]+$", written(text.rstrip(" .,!?"), "code"))
    count = sum(map(str.isalnum, found[0])) if found is not None and any(map(str.isdigit, found[0])) else 0
    return count if expects or count > 1 else 0
