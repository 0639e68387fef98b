import numpy as np
import pytest

from bot.core.speech import RATE
from training.hearing.sounds import HELD_OUT, TRAINED, nothing
from training.hearing.spoil import noisy, paced, roomy, spoiled, telephone


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def loudness(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(sound**2)))


@pytest.mark.parametrize("name", [*TRAINED, *HELD_OUT])
@pytest.mark.parametrize("count", [700, 20_000])
def test_every_kind_of_sound_has_its_length_and_no_hole(name: str, count: int) -> None:
    sound = {**TRAINED, **HELD_OUT}[name](np.random.default_rng(1), count)
    assert sound.shape == (count,) and np.isfinite(sound).all()


def test_sound_that_nobody_spoke_stays_in_range_and_follows_the_seed() -> None:
    made = [nothing(np.random.default_rng(seed), 8000, TRAINED) for seed in (1, 1, 2)]
    assert all(sound.dtype == np.float32 and np.abs(sound).max() <= 1 for sound in made)
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])


def test_no_kind_is_both_trained_and_held_out() -> None:
    assert not set(TRAINED) & set(HELD_OUT)


@pytest.mark.parametrize(("hertz", "kept"), [(100, False), (1000, True), (6000, False)])
def test_a_telephone_lets_its_band_through(hertz: float, kept: bool) -> None:
    share = loudness(telephone(tone(hertz))) / loudness(tone(hertz))
    assert share > 0.8 if kept else share < 0.2


def test_a_faster_pace_is_shorter_and_higher() -> None:
    fast = paced(tone(400), 1.25)
    assert len(fast) == int(RATE / 1.25)
    assert np.argmax(np.abs(np.fft.rfft(fast))) * RATE / len(fast) == pytest.approx(500, abs=3)


def test_noise_is_as_far_under_the_speech_as_asked_for() -> None:
    clean = tone(300)
    noise = noisy(clean, np.random.default_rng(0), 12) - clean
    assert 20 * np.log10(loudness(clean) / loudness(noise)) == pytest.approx(12, abs=0.1)


def test_a_room_goes_on_sounding() -> None:
    sound = np.pad(tone(300, 0.2), (0, 8000))
    assert loudness(roomy(sound, np.random.default_rng(0))[4000:5000]) > 0.001


def test_spoiled_sound_is_loud_enough_and_not_too_loud() -> None:
    for seed in range(12):
        sound = spoiled(tone(300, 0.5), np.random.default_rng(seed))
        assert sound.dtype == np.float32 and 0.04 < np.abs(sound).max() <= 1
