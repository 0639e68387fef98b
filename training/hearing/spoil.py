"""Clean speech made to sound like calls: pace, room, noise, loudness, the telephone's band and code.

Every change takes sound in [-1, 1] at 16 kHz and gives sound of the same kind.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from bot.core.speech import RATE
from training.hearing.sounds import TRAINED, Dice
from training.hearing.voices import Sound

_BAND = butter(4, (300, 3400), "bandpass", fs=RATE, output="sos")


def telephone(samples: Sound) -> Sound:
    """What a telephone lets through: 300 to 3,400 Hz, 8,000 samples a second, the 8 bits of the mu-law."""
    narrow = sosfilt(_BAND, samples)[::2]
    loud = float(np.max(np.abs(narrow), initial=1e-6))
    folded = np.sign(narrow) * np.log1p(255 * np.abs(narrow) / loud) / np.log(256)
    steps = np.round(folded * 127) / 127
    coded = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255 * loud
    wide = np.interp(np.arange(len(samples)), np.arange(len(coded)) * 2, coded)
    return np.asarray(sosfilt(_BAND, wide), np.float32)


def paced(samples: Sound, factor: float) -> Sound:
    """Faster and higher by a factor, as a tape that runs faster; another size of head, for a recogniser."""
    count = int(len(samples) / factor)
    return np.asarray(np.interp(np.arange(count) * factor, np.arange(len(samples)), samples), np.float32)


def roomy(samples: Sound, dice: Dice) -> Sound:
    """In a room: noise that dies away within 0.1 to 0.6 s, some decibels under the direct sound."""
    fall = dice.uniform(0.1, 0.6)
    time = np.arange(int(RATE * fall)) / RATE
    echo = dice.standard_normal(len(time)) * 10 ** (-3 * time / fall)
    echo[: int(RATE * dice.uniform(0.001, 0.01))] = 0
    echo *= 10 ** dice.uniform(-1.0, -0.1) / (np.sqrt(np.sum(echo**2)) + 1e-9)
    echo[0] = 1
    return np.asarray(fftconvolve(samples, echo)[: len(samples) + RATE // 8], np.float32)


def noisy(samples: Sound, dice: Dice, decibels: float) -> Sound:
    """With noise, hum, knocks or a melody so many decibels under it."""
    kind = list(TRAINED)[1:][dice.choice(5, p=(0.5, 0.2, 0.15, 0.1, 0.05))]
    loud = float(np.sqrt(np.mean(samples**2)))
    return samples + TRAINED[kind](dice, len(samples)) * np.float32(loud * 10 ** (-decibels / 20))


def tilted(samples: Sound, dice: Dice) -> Sound:
    """With more or less treble: a microphone of another kind."""
    tilt = np.float32(dice.uniform(-0.8, 0.8))
    return samples - tilt * np.concatenate((samples[:1], samples[:-1]))


def spoiled(samples: Sound, dice: Dice, share: float = 1.0) -> Sound:
    """By chance, any of these, in the order in which they come about between a mouth and a recogniser.

    `share`, 0 to 1, lowers all chances alike.
    """
    if dice.random() < 0.7 * share:
        samples = paced(samples, dice.uniform(0.88, 1.14))
    if dice.random() < 0.3 * share:
        samples = roomy(samples, dice)
    before, after = dice.uniform(0, 0.4), dice.uniform(0.1, 0.6)
    samples = np.pad(samples, (int(before * RATE), int(after * RATE)))
    if dice.random() < 0.6 * share:
        samples = noisy(samples, dice, dice.uniform(5, 35))
    if dice.random() < 0.5 * share:
        samples = tilted(samples, dice)
    if dice.random() < 0.35 * share:
        samples = telephone(samples)
    loud = float(np.max(np.abs(samples), initial=1e-6))
    return np.asarray(samples * (10 ** dice.uniform(-1.3, -0.02) / loud), np.float32)
