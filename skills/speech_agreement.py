"""Whether eight bits hear what 32 bits hear: both say what comes next after the same tokens, on the same sounds.

The sounds are made up, as no recording comes with a checkpoint: a buzz through three moving resonances, which is
roughly what vowels are, with pauses and noise. What is compared is not a transcript but how likely each token is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.core.speech import RATE
from skills.speech_engine import SpeechEngine
from skills.speech_mel import LogMel
from skills.speech_shape import SpeechShape
from skills.speech_tokens import SpeechTokens

Floats = npt.NDArray[np.float32]
NEAR = 0.02
"""Nats a token, on average: from there on words begin to differ."""
_SOUNDS, _SECONDS, _WRITTEN = 4, 3, 16
_VOWELS = np.array([(300, 2300, 3000), (700, 1200, 2500), (450, 900, 2400), (500, 1800, 2600), (350, 1000, 2300)])


def divergence(exact: Path, rounded: Path, shape: SpeechShape) -> float:
    """The mean divergence (Kullback-Leibler, nats a token) of the rounded model from the exact one, on what the exact
    one writes."""
    tokens, mel = SpeechTokens.load(exact / "ranks.tiktoken", shape), LogMel.load(exact / "filters.npy")
    engines = [SpeechEngine(folder, shape) for folder in (exact, rounded)]
    begin, found = tokens.beginning("en", times=False), []
    for seed in range(_SOUNDS):
        sound = mel.run(made_up(seed), _SECONDS * RATE)
        texts = [engine.open([engine.encode(sound)], len(begin) + _WRITTEN + 1) for engine in engines]
        said = [text.begin([begin]).logits[0] for text in texts]
        for _ in range(_WRITTEN):
            expected, other = (_log_odds(logits) for logits in said)
            found.append(float((np.exp(expected) * (expected - other)).sum()))
            said = [text.go_on([int(expected.argmax())]).logits[0] for text in texts]
    mean = float(np.mean(found))
    return mean if np.isfinite(mean) else float("inf")


def made_up(seed: int) -> Floats:
    """Three seconds of a made-up voice."""
    draws = np.random.default_rng(seed)
    count = _SECONDS * RATE
    pitch = np.interp(np.arange(count), np.linspace(0, count, 7), draws.uniform(90, 240, 7))
    buzz = np.where(np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0) > 0, 1.0, 0.0)
    buzz += draws.normal(0, 0.02, count)
    spectrum, pieces = np.fft.rfftfreq(2048, 1 / RATE), np.zeros(count + 2048)
    for n, start in enumerate(range(0, count - 1024, 1024)):
        centres = _VOWELS[(n // 3 + seed) % len(_VOWELS)] * draws.uniform(0.95, 1.05)
        gains = sum(1 / (1 + ((spectrum - centre) / (60 + centre / 20)) ** 2) for centre in centres)
        shaped = np.fft.irfft(np.fft.rfft(buzz[start : start + 2048], 2048) * gains)
        pieces[start : start + 2048] += shaped * np.hanning(2048) * (0.0 if n % 9 == 8 else 1.0)
    voice = pieces[:count] + draws.normal(0, 1e-3, count)
    found: Floats = (0.3 * voice / np.abs(voice).max()).astype(np.float32)
    return found


def _log_odds(logits: Floats) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    found: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return found
