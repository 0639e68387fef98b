"""Silero's model as a skill: made sound, since no program that speaks may be needed here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bot.core.errors import InputError, IntegrityError
from skills.voice_activity import QUIETEST, VoiceActivity, level_of


@pytest.fixture(scope="module")
def activity() -> VoiceActivity:
    return VoiceActivity.load()


def vowel(seconds: float, rate: int = 16_000) -> npt.NDArray[np.float32]:
    """A buzz with the resonances of "ah" in syllables: enough for the model to call it speech."""
    time = np.arange(int(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 2 * time)) / rate
    sound = np.zeros(time.size)
    for harmonic in range(1, 25):
        at = 120 * harmonic
        loud = sum(np.exp(-(((at - peak) / 150) ** 2)) for peak in (700, 1200, 2500))
        sound += (0.05 + loud) * np.sin(harmonic * pitch)
    found = sound * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * time))
    return (0.5 * found / np.abs(found).max()).astype(np.float32)


def test_speech_is_told_from_silence_at_both_rates(activity: VoiceActivity) -> None:
    for rate in (16_000, 8_000):
        quiet = np.zeros(rate, np.float32)
        frames = activity.open(rate).feed(np.concatenate([quiet, vowel(1.0, rate), quiet]))
        likely = [frame.speech for frame in frames]
        assert max(likely[:28]) < 0.3 and max(likely[32:60]) > 0.6 and max(likely[75:]) < 0.3
        assert frames[0].ms == 32.0 and frames[0].level == QUIETEST


def test_pieces_and_batches_give_what_the_whole_gives(activity: VoiceActivity) -> None:
    sound = np.concatenate([np.zeros(4000, np.float32), vowel(0.6)])
    whole = activity.open().feed(sound)
    ear, pieces = activity.open(), list[object]()
    for start in range(0, sound.size, 331):
        pieces += ear.feed(sound[start : start + 331])
    ears = [activity.open(), activity.open(8_000), activity.open()]
    batch = activity.run([(ears[0], sound), (ears[1], sound[::2]), (ears[2], sound[:100])])
    assert pieces == whole
    assert [frame.speech for frame in batch[0]] == pytest.approx([frame.speech for frame in whole], abs=1e-5)
    assert (len(batch[1]), batch[2]) == (len(whole), [])


def test_broken_samples_are_silence_and_do_not_spoil_what_follows(activity: VoiceActivity) -> None:
    ear = activity.open()
    assert ear.feed(np.full(1024, np.nan, np.float32))[1].level == QUIETEST
    assert np.isfinite(ear.feed(vowel(0.5))[-1].speech)
    assert ear.feed(np.zeros(0)) == []


def test_the_share_of_speech(activity: VoiceActivity) -> None:
    assert activity.share(np.zeros(16_000, np.float32)) == activity.share(np.zeros(5, np.float32)) == 0.0
    assert activity.share(vowel(1.0)) > 0.3


def test_levels_are_of_full_scale() -> None:
    assert level_of(np.ones(8, np.float32)) == pytest.approx(0.0, abs=1e-3)


def test_other_rates_and_other_files_are_refused(activity: VoiceActivity, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="resample"):
        activity.open(44_100)
    (tmp_path / "other.onnx").write_bytes(b"other")
    with pytest.raises(IntegrityError):
        VoiceActivity.load(tmp_path / "other.onnx")


@pytest.mark.slow
def test_no_torch_is_loaded() -> None:
    load = "from skills.voice_activity import VoiceActivity; VoiceActivity.load()"
    code = f"import sys; {load}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
