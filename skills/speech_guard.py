"""What keeps silence, noise and music from becoming words.

Before anything is recognised: sound that is too quiet, or as even as no voice is, is nobody speaking; a function that
knows voices (`skills.voice_activity`) may be asked as well. Afterwards: a text that the model itself doubts, that
repeats itself, or under which it heard nobody, is none.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.core.speech import RATE
from skills.speech_decode import Draft

Floats = npt.NDArray[np.float32]
Voiced = Callable[[Floats], float]
"""The share of a sound that is voice, 0 to 1."""
_PIECE = RATE // 50
_LONG = 1.0
"""Seconds from which on a sound without any rise and fall is no voice."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Beyond these a sound or a text is not believed.

    `quiet`: dBFS of the loudest 20 ms; `even`: dB between loud and soft parts; `voice`: the least share of voice, where
    it can be told; `compression`: length of a text to its compressed length; `doubt`: mean log-probability of a token;
    `nobody`: probability that nobody spoke, which counts if the mean is below `unsure`; `surely_nobody` counts alone.
    """

    quiet: float = -60.0
    even: float = 3.0
    voice: float = 0.05
    compression: float = 2.4
    doubt: float = -1.0
    nobody: float = 0.6
    unsure: float = -0.5
    surely_nobody: float = 0.95


def spoken(samples: Floats, bounds: Bounds, voiced: Voiced | None = None) -> bool:
    """Whether somebody may speak in a sound."""
    count = len(samples) // _PIECE
    if count < 2:
        return False
    pieces = samples[: count * _PIECE].reshape(count, _PIECE)
    power = np.square(pieces - pieces.mean(axis=1, keepdims=True)).mean(axis=1)
    levels = 10 * np.log10(np.maximum(power, 1e-12))
    if levels.max() < bounds.quiet:
        return False
    soft, loud = np.percentile(levels, (10, 95))
    if loud - soft < bounds.even and len(samples) >= _LONG * RATE:
        return False
    return voiced is None or voiced(samples) >= bounds.voice


def silent(draft: Draft, bounds: Bounds) -> bool:
    """Whether a text was written where nobody spoke."""
    if draft.silence > bounds.surely_nobody or not draft.tokens:
        return True
    return draft.silence > bounds.nobody and draft.mean < bounds.unsure


def failed(draft: Draft, text: str, bounds: Bounds) -> bool:
    """Whether a text is not to be believed: too repetitive, or the model doubts it."""
    return not math.isfinite(draft.mean) or draft.mean < bounds.doubt or compression(text) > bounds.compression


def compression(text: str) -> float:
    """How many times shorter a text gets by compression; repetition makes it high."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))
