"""The melody and loudness at the end of some speech, as a few numbers.

Pitch is found by autocorrelation of 40 ms windows at 4,000 samples a second, 70 to 400 Hz; where there is none
(whispering, noise) the numbers are 0 and say so. Steps are semitones and decibels, relative to the same speaker's
speech just before, so that voices and microphones compare.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bot.core.speech import RATE

Floats = npt.NDArray[np.float32]
MELODY = ("pitched", "pitch slope", "pitch fall", "loudness fall", "last stretch", "falls low")
SECONDS = 2.0
"""Sound that is looked at."""
_SLOW = 4000
_HOP, _SIZE = 64, 160  # 16 ms and 40 ms
_LAGS = np.arange(_SLOW // 400, _SLOW // 70 + 1)
_VOICED = 0.5
_RANGE_DB = 25.0
"""What is so much quieter than the loudest part is no speech."""


def melody(samples: Floats) -> list[float]:
    """The numbers of `MELODY` for the speech at the end of a sound; silence after it is left out."""
    pitch, level = _tracks(np.asarray(samples, np.float32)[-int(SECONDS * RATE) :])
    loud = np.flatnonzero(level > level.max(initial=-99.0) - _RANGE_DB)
    if loud.size < 4:
        return [0.0] * len(MELODY)
    end = int(loud[-1]) + 1
    pitch, level = pitch[:end], level[:end]
    voiced = np.flatnonzero(pitch > 0)
    near = voiced[voiced >= end - 25]  # the last 400 ms
    fall = float(np.mean(level[-8:]) - np.median(level[loud[loud < end]]))
    stretch = _last_stretch(pitch)
    if near.size < 4:
        return [0.0, 0.0, 0.0, fall / 10, stretch, 0.0]
    notes = 12 * np.log2(pitch[voiced] / np.median(pitch[voiced]))
    last = 12 * np.log2(pitch[near] / np.median(pitch[voiced]))
    slope = float(np.polyfit(near * 0.016, last, 1)[0])
    drop = float(np.median(last[-4:]))
    low = float(drop < np.quantile(notes, 0.2))
    return [1.0, max(-2.0, min(2.0, slope / 20)), max(-2.0, min(2.0, drop / 4)), fall / 10, stretch, low]


def _tracks(samples: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pitch in Hz, 0 where there is none, and level in dB of windows 16 ms apart."""
    factor = RATE // _SLOW
    slow = samples[: samples.size // factor * factor].reshape(-1, factor).mean(1).astype(np.float64)
    if slow.size < _SIZE:
        return np.zeros(0), np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(slow, _SIZE)[::_HOP]
    windows = windows - windows.mean(1, keepdims=True)
    power = (windows**2).mean(1)
    spectrum = np.fft.rfft(windows * np.hanning(_SIZE), 2 * _SIZE)
    alike = np.fft.irfft(np.abs(spectrum) ** 2)[:, : _LAGS[-1] + 1]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(_SIZE), 2 * _SIZE)) ** 2)[: _LAGS[-1] + 1]
    alike = alike / (alike[:, :1] + 1e-12) / (window / window[0])
    best = _LAGS[alike[:, _LAGS].argmax(1)]
    strong = alike[np.arange(len(best)), best] > _VOICED
    level = 10 * np.log10(power + 1e-10)
    return np.where(strong & (level > level.max() - _RANGE_DB), _SLOW / best, 0.0), level


def _last_stretch(pitch: npt.NDArray[np.float64]) -> float:
    """The length of the last voiced stretch, as the logarithm of 0.1 s: held sounds are long."""
    voiced = np.flatnonzero(pitch > 0)
    if not voiced.size:
        return 0.0
    breaks = np.flatnonzero(np.diff(voiced) > 2)
    first = voiced[breaks[-1] + 1] if breaks.size else voiced[0]
    return math.log(float(voiced[-1] - first + 1) * 0.16 + 0.1)
