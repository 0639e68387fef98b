"""The sound of a call that may still be needed, by its place in the call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bot.core.speech import RATE
from bot.sound import Samples

_PER_MS = RATE / 1000


class Tape:
    """The latest seconds of a call, as 16-bit samples. Places are ms since the call began."""

    def __init__(self, most: float) -> None:
        """`most` is how many seconds are kept at most."""
        self._kept: NDArray[np.int16] = np.zeros(0, np.int16)
        self._start = 0
        self._most = int(most * RATE)

    def __len__(self) -> int:
        """Bytes that are kept."""
        return self._kept.nbytes

    def add(self, samples: Samples) -> None:
        """What came in."""
        loud = np.clip(np.nan_to_num(samples), -1, 1) * np.float32(32767)
        self._kept = np.concatenate([self._kept, loud.astype(np.int16)])
        self._drop(len(self._kept) - self._most)

    def cut(self, start: float, end: float) -> Samples:
        """The sound from one place to another, as far as it is kept."""
        first, last = (max(0, round(place * _PER_MS) - self._start) for place in (start, end))
        return self._kept[first:last].astype(np.float32) / np.float32(32767)

    def forget(self, before: float) -> None:
        """Let go of what came before a place."""
        self._drop(round(before * _PER_MS) - self._start)

    def _drop(self, samples: int) -> None:
        gone = min(max(samples, 0), len(self._kept))
        self._kept, self._start = self._kept[gone:].copy() if gone else self._kept, self._start + gone
