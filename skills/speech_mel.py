"""Sound to log-mel, as openai-whisper computes it, in numpy.

Windows of 25 ms every 10 ms, 80 or 128 mel bands, the logarithm clipped 80 dB below the loudest value.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError
from bot.core.speech import RATE

Floats = npt.NDArray[np.float32]
STEP = 160
"""Samples from one column to the next."""
_WINDOW = 400
_LOUDEST = 8.0
"""A sample beyond this is no sound within [-1, 1]; a resampler may go a little over 1."""


class LogMel:
    """Computes the log-mel of a sound."""

    def __init__(self, filters: Floats) -> None:
        """`filters`: the mel filter bank, float32 (bands, 201)."""
        self._filters = np.ascontiguousarray(filters)
        self._hann = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)

    @classmethod
    def load(cls, path: Path) -> LogMel:
        """From a file of `numpy.save`."""
        return cls(np.load(path, allow_pickle=False))

    def run(self, samples: Floats, length: int) -> Floats:
        """The log-mel of a sound, filled up with silence to `length` samples: float32 (bands, length / 160)."""
        half = _WINDOW // 2
        padded = np.zeros(length + 2 * half, np.float32)
        padded[half : half + len(samples)] = samples
        padded[:half] = padded[2 * half : half : -1]
        padded[-half:] = padded[-half - 2 : -2 * half - 2 : -1]
        frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: length // STEP * STEP : STEP]
        spectrum = np.fft.rfft(frames * self._hann, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        bands = np.log10(np.maximum(self._filters @ power.T.astype(np.float32), np.float32(1e-10)))
        lowest = bands.max() - np.float32(8)
        return np.asarray((np.maximum(bands, lowest) + 4) / 4, np.float32)


def checked(samples: object, longest: float) -> Floats:
    """The samples, if they are a sound.

    Raises:
        InputError: no array of float32 of shape (n,); a value that is no number or far beyond 1; longer than `longest`
            seconds.
    """
    if not isinstance(samples, np.ndarray) or samples.ndim != 1:
        shape = getattr(samples, "shape", None)
        raise InputError(f"expected sound as an array of shape (n,), found {type(samples).__name__} of shape {shape}")
    if samples.dtype not in (np.float32, np.float64):
        raise InputError(f"expected sound as float32 within [-1, 1], found {samples.dtype}; divide int16 by 32768")
    if len(samples) > longest * RATE:
        seconds = len(samples) / RATE
        raise InputError(f"a sound of {seconds:.0f} s; up to {longest:.0f} s are taken at a time, so cut it")
    if len(samples) and not np.isfinite(samples).all():
        raise InputError("the sound holds values that are no numbers (NaN or infinite)")
    if len(samples) and np.abs(samples).max() > _LOUDEST:
        raise InputError(f"the sound goes up to {np.abs(samples).max():g}; expected values within [-1, 1]")
    return samples.astype(np.float32, copy=False)
