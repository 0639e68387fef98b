"""Raw sound as peers describe it, made into ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bot.core.errors import InputError
from bot.core.speech import RATE
from bot.sound import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, Resampler, Samples

MOST_SECONDS = 30.0
"""The longest utterance: a little less than 1 MiB as it is kept."""
_WIDTHS = (1, 2, 3, 4)


class Pcm:
    """A stream of samples of `width` bytes each, little-endian, 8-bit ones unsigned; channels are averaged."""

    def __init__(self, rate: int, width: int, channels: int) -> None:
        """Raises: InputError, for what no sound has."""
        if width not in _WIDTHS or not 1 <= channels <= MOST_CHANNELS:
            raise InputError(f"expected 1 to 4 bytes a sample and 1 to {MOST_CHANNELS} channels")
        self._width, self._channels = width, channels
        self._resampler = Resampler(rate, RATE)
        self._left = b""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Pcm:
        """As `rate`, `width` and `channels` say.

        Raises:
            InputError: they are no such numbers.
        """
        found = [data.get(name) for name in ("rate", "width", "channels")]
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in found):
            raise InputError("expected whole numbers for rate, width and channels")
        rate, width, channels = (int(value or 0) for value in found)
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise InputError(f"expected a rate from {LOWEST_RATE} to {HIGHEST_RATE}, found {str(rate)[:20]}")
        return cls(rate, width, channels)

    def samples(self, payload: bytes) -> Samples:
        """The sound of some more bytes; what is no whole sample yet waits."""
        data = self._left + payload
        whole = len(data) - len(data) % (self._width * self._channels)
        data, self._left = data[:whole], data[whole:]
        return self._resampler.run(self._floats(data).reshape(-1, self._channels).mean(axis=1, dtype=np.float32))

    def end(self) -> Samples:
        """What the change of rate still holds."""
        return self._resampler.run(np.zeros(0, np.float32), last=True)

    def _floats(self, data: bytes) -> Samples:
        if self._width == 1:
            return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
        if self._width == 3:
            parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
            return ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) / np.float32(1 << 31)).astype(np.float32)
        kind, full = ("<i2", 1 << 15) if self._width == 2 else ("<i4", 1 << 31)
        return np.frombuffer(data, kind).astype(np.float32) / np.float32(full)
