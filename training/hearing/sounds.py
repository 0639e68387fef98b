"""Sound that nobody spoke: silence, noise and music. What is heard in it should be nothing.

Some kinds are for training, others are kept back for measuring, so that a recogniser has to know what speech is, and
not what our noises are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bot.core.speech import RATE
from training.hearing.voices import Sound

Dice = np.random.Generator
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10))


def coloured(dice: Dice, count: int, slope: float) -> Sound:
    """Noise whose power falls with frequency to the power of `slope`: 0 is white, 1 pink, 2 brown. Its rms is 1."""
    spectrum = np.fft.rfft(dice.standard_normal(count))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-slope / 2)
    spectrum[0] = 0
    return _even(np.fft.irfft(spectrum, count))


def hum(dice: Dice, count: int) -> Sound:
    """The mains, a fan or an engine: harmonics of a low note that wavers a little, and some noise."""
    base = dice.uniform(45, 130)
    phase = 2 * np.pi * np.cumsum(base * (1 + 0.01 * coloured(dice, count, 2))) / RATE
    made = sum(np.sin(phase * n + dice.uniform(0, 6)) / n ** dice.uniform(0.5, 2) for n in range(1, 9))
    return _even(_even(made) + 0.3 * coloured(dice, count, 1))


def knocks(dice: Dice, count: int) -> Sound:
    """Keys, steps, clicks and doors: short bursts, each with its own tone, over a little noise."""
    made = 0.05 * coloured(dice, count, 1)
    for _ in range(int(dice.integers(1, 2 + count // 4000))):
        size = int(dice.integers(80, 3000))
        at = int(dice.integers(0, max(1, count - size)))
        burst = coloured(dice, size, dice.uniform(0, 2)) * np.exp(-np.arange(size) / (size * dice.uniform(0.1, 0.4)))
        made[at : at + size] += (burst * dice.uniform(0.3, 2))[: count - at]
    return _even(made)


def melody(dice: Dice, count: int, drums: bool = True) -> Sound:
    """Notes of a scale by plucked or held tones, chords under them, and drums."""
    scale, root, beat = (
        _SCALES[dice.integers(len(_SCALES))],
        dice.uniform(110, 330),
        int(RATE * dice.uniform(0.12, 0.5)),
    )
    bright, held = dice.uniform(0.6, 2.5), dice.uniform(0.2, 2.0)
    made = np.zeros(count, np.float32)
    for start in range(0, count, beat):
        size = min(count - start, int(beat * dice.uniform(0.8, 3)))
        notes = 3 if dice.random() < 0.3 else 1
        for _ in range(notes):
            step = int(dice.integers(0, 2 * len(scale)))
            note = root * 2 ** ((scale[step % len(scale)] + 12 * (step // len(scale))) / 12)
            made[start : start + size] += _tone(note, size, bright, held) * dice.uniform(0.3, 1)
        if drums and dice.random() < 0.5:
            size = min(count - start, 2000)
            made[start : start + size] += coloured(dice, 2000, dice.uniform(0, 2))[:size] * np.exp(
                -np.arange(size) / 300
            )
    return _even(made)


def beeps(dice: Dice, count: int) -> Sound:
    """Tones of a telephone: dialling, ringing, keys."""
    made = np.zeros(count, np.float32)
    time = np.arange(count) / RATE
    for note in dice.choice((350, 440, 480, 620, 697, 770, 852, 941, 1209, 1336, 1477, 2000), 2, replace=False):
        made += np.sin(2 * np.pi * note * time)
    period = dice.uniform(0.1, 2)
    return _even(made * ((time % period) < period * dice.uniform(0.3, 1)) + 1e-4)


def rain(dice: Dice, count: int) -> Sound:
    """Kept back: very many small drops in a band."""
    drops = dice.standard_normal(count) * (dice.random(count) < dice.uniform(0.002, 0.05))
    ring = np.exp(-np.arange(400) / 60) * np.sin(2 * np.pi * dice.uniform(800, 4000) * np.arange(400) / RATE)
    return _even(np.convolve(drops, ring, "same") + 0.1 * dice.standard_normal(count))


def siren(dice: Dice, count: int) -> Sound:
    """Kept back: one tone that climbs and falls."""
    time = np.arange(count) / RATE
    note = dice.uniform(500, 900) * (1 + 0.4 * np.sin(2 * np.pi * time * dice.uniform(0.2, 3)))
    return _even(np.sin(2 * np.pi * np.cumsum(note) / RATE) + 0.05 * coloured(dice, count, 1))


def organ(dice: Dice, count: int) -> Sound:
    """Kept back: chords that are held and change, trembling."""
    made = np.zeros(count, np.float32)
    size = int(RATE * dice.uniform(0.8, 2))
    for start in range(0, count, size):
        root = 110 * 2 ** (dice.integers(0, 24) / 12)
        time = np.arange(min(size, count - start)) / RATE
        for step in (0, dice.choice((3, 4)), 7, 12):
            for harmonic in (1, 2, 3, 4, 6, 8):
                note = root * 2 ** (step / 12) * harmonic
                made[start : start + size] += (
                    np.sin(2 * np.pi * note * time + 3 * np.sin(35 * time) / harmonic) / harmonic
                )
    return _even(made)


def silence(dice: Dice, count: int) -> Sound:
    """Nothing at all, or next to nothing."""
    return np.asarray(dice.standard_normal(count) * dice.choice((0.0, 1e-5, 1e-4)), np.float32)


Kind = Callable[[Dice, int], Sound]

TRAINED: Mapping[str, Kind] = {
    "silence": silence,
    "noise": lambda dice, count: coloured(dice, count, dice.uniform(0, 2.2)),
    "hum": hum,
    "knocks": knocks,
    "melody": melody,
    "beeps": beeps,
}
HELD_OUT: Mapping[str, Kind] = {"rain": rain, "siren": siren, "organ": organ}


def nothing(dice: Dice, count: int, kinds: Mapping[str, Kind]) -> Sound:
    """Sound of one of the kinds, as loud as chance will have it."""
    made = kinds[list(kinds)[dice.integers(len(kinds))]](dice, count)
    return (made * 10 ** dice.uniform(-3, -0.7)).astype(np.float32).clip(-1, 1)


def _tone(note: float, size: int, bright: float, held: float) -> Sound:
    time = np.arange(size) / RATE
    made = sum(np.sin(2 * np.pi * note * n * time) / n**bright for n in range(1, 8) if note * n < RATE / 2)
    return np.asarray(made * np.exp(-time / held) * np.minimum(1, time * 100), np.float32)


def _even(made: object) -> Sound:
    """The same sound, its rms 1."""
    sound = np.asarray(made, np.float32)
    return sound / float(np.sqrt(np.mean(sound**2)) + 1e-9)
