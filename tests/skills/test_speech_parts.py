"""The recogniser's parts that need no model: times, cuts, guards, partial transcripts, sizes."""

from __future__ import annotations

import numpy as np
import pytest

from bot.core.errors import InputError
from bot.core.speech import Heard
from skills.speech import SpeechOptions, cuts
from skills.speech_decode import Draft
from skills.speech_guard import Bounds, failed, silent, spoken
from skills.speech_mel import checked
from skills.speech_partials import Partials
from skills.speech_shape import SpeechShape
from skills.speech_words import path_starts, starts
from tests.skills.speech_small import DIMS, sound

BOUNDS = Bounds()


def test_the_cheapest_path_is_followed() -> None:
    cost = np.ones((3, 8))
    cost[0, :3] = cost[1, 3:5] = cost[2, 5:] = 0
    assert path_starts(cost).tolist() == [0, 3, 5]


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3)])
def test_a_path_goes_through_every_row(size: tuple[int, int]) -> None:
    found = path_starts(np.random.default_rng(0).normal(size=size))
    assert len(found) == size[0]
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 0
    assert found[-1] < size[1]


def test_a_word_begins_where_it_was_attended_to() -> None:
    rows = [np.full((2, 40), -5.0, np.float32) for _ in range(4)]
    for n, row in enumerate(rows):
        row[:, 10 * n : 10 * n + 10] = 5.0
    assert starts(rows, 3, 40) == pytest.approx([0.0, 0.2, 0.4, 0.6], abs=0.07)


def test_a_long_sound_is_cut_where_it_is_quiet() -> None:
    loud = np.ones(16_000 * 70, np.float32)
    for second in (27, 53):
        loud[second * 16_000 : second * 16_000 + 8000] = 0
    found = cuts(loud, 16_000 * 30)
    assert [begin for begin, _ in found[1:]] == [end for _, end in found[:-1]]
    assert found[0][0] == 0 and found[-1][1] == len(loud)
    assert all(loud[begin] == 0 for begin, _ in found[1:])


def test_nothing_is_cut_into_nothing() -> None:
    assert cuts(np.zeros(0, np.float32), 100) == []


def noise(level: float, seconds: float = 2.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(0, level, int(16_000 * seconds)).astype(np.float32)


@pytest.mark.parametrize("level", [0.0, 1e-5, 0.01, 0.2])
def test_silence_and_even_noise_are_nobody(level: float) -> None:
    assert not spoken(noise(level), BOUNDS)


def test_a_hum_with_an_offset_is_nobody() -> None:
    time = np.arange(32_000) / 16_000
    assert not spoken((0.3 + 0.1 * np.sin(2 * np.pi * 50 * time)).astype(np.float32), BOUNDS)


def test_words_are_somebody() -> None:
    assert spoken(sound(["kettle", "the"])[0], BOUNDS)


def test_who_knows_voices_is_asked() -> None:
    samples = sound(["kettle", "the"])[0]
    assert not spoken(samples, BOUNDS, lambda samples: 0.0)
    assert spoken(samples, BOUNDS, lambda samples: 0.9)


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        (Draft((1, 2), (-0.1, -0.1, -0.1)), False),
        (Draft((1, 2), (-0.1, -0.1, -0.1), silence=0.99), True),
        (Draft((1, 2), (-0.1, -0.1, -0.1), silence=0.7), False),
        (Draft((1, 2), (-2.0, -2.0, -2.0), silence=0.7), True),
        (Draft(), True),
    ],
)
def test_whether_nobody_spoke(draft: Draft, expected: bool) -> None:
    assert silent(draft, BOUNDS) is expected


def test_doubt_and_repetition_are_not_believed() -> None:
    assert failed(Draft((1,), (-3.0, -3.0)), "hm", BOUNDS)
    assert failed(Draft((1,), (-0.1, -0.1)), "yes " * 50, BOUNDS)
    assert failed(Draft((1,), (float("nan"),)), "hm", BOUNDS)
    assert not failed(Draft((1,), (-0.1, -0.1)), "I would like a kettle", BOUNDS)


def heard(text: str) -> Heard:
    return Heard(text, "en", 0.9, 0.0)


def test_a_word_is_settled_when_two_agree() -> None:
    partials = Partials()
    assert partials.take(heard("I want")).settled == ""
    found = partials.take(heard("I want a cat"))
    assert (found.settled, found.rest, found.text) == ("I want", "a cat", "I want a cat")


def test_settled_words_are_never_taken_back() -> None:
    partials = Partials()
    for text in ("where is", "where is my", "wear his my", "where is my parcel"):
        found = partials.take(heard(text))
        assert found.settled in ("", "where is")
    assert partials.take(heard("where is my parcel")).settled == "where is my parcel"


def test_signs_and_capitals_do_not_keep_words_apart() -> None:
    partials = Partials()
    partials.take(heard("Yes."))
    assert partials.take(heard("yes, please")).settled == "yes,"


def test_a_partial_is_due_after_new_sound() -> None:
    partials = Partials(every=0.5, language="en", words=("Kettle",))
    assert not partials.due()
    partials.add(np.ones(8000, np.float32))
    assert partials.due()
    asked = partials.utterance()
    assert (len(asked.samples), asked.language, asked.words) == (8000, "en", ("Kettle",))
    assert not partials.due()
    partials.add(np.ones(8000, np.float32))
    assert len(partials.utterance().samples) == 16_000


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 100), np.float32), "shape"),
        ([0.0, 0.1], "array"),
        (np.zeros(100, np.int16), "divide int16"),
        (np.array([0.0, np.nan], np.float32), "no numbers"),
        (np.array([0.0, np.inf], np.float32), "no numbers"),
        (np.array([0.0, 3000.0], np.float32), "within"),
        (np.zeros(16_001, np.float32), "cut it"),
    ],
)
def test_what_is_no_sound_is_refused(samples: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(samples, 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"n_mels": 40},
        {"n_vocab": 1000},
        {"n_vocab": 52_000},
        {"n_audio_ctx": 3000},
        {"n_audio_head": 3},
        {"n_text_state": 128},
        {"n_text_layer": 0},
        {"n_text_layer": "4"},
        {"n_audio_layer": 10**9},
    ],
)
def test_sizes_of_no_whisper_model_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        SpeechShape.of({**DIMS, **change})


def test_options_that_cannot_be_are_refused() -> None:
    for bad in ({"temperatures": ()}, {"beams": 0}, {"margin": -1.0}, {"temperatures": (0.0, -1.0)}):
        with pytest.raises(InputError):
            SpeechOptions(**bad)  # type: ignore[arg-type]
