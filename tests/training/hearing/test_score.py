import numpy as np
import pytest

from bot.core.speech import RATE
from training.hearing.corpus import Clip
from training.hearing.score import distance, errors, with_silence, wordless, words


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("where is my order", "where is my order", 0),
        ("where is my order", "where my order", 1),
        ("where is my order", "where is is my order", 1),
        ("where is my order", "were is my otter", 2),
        ("where is my order", "", 4),
        ("", "thank you", 2),
    ],
)
def test_words_replaced_left_out_and_added_count(said: str, heard: str, wrong: int) -> None:
    assert distance(said.split(), heard.split()) == wrong


def test_capitals_and_punctuation_do_not_count() -> None:
    assert errors(["i can't log in"], ["I can’t log in!"]).rate == 0


def test_the_rate_is_of_all_words_together() -> None:
    assert errors(["one two three", "four"], ["one two three", "five"]).rate == 0.25


def test_words_where_nobody_spoke_are_errors() -> None:
    found = errors(["", ""], ["", "thank you"])
    assert (found.wrong, found.said) == (2, 0)


def test_words_keep_their_apostrophes() -> None:
    assert words("Don't, I said.") == ["don't", "i", "said"]


def test_silence_goes_around_a_clip() -> None:
    clip = with_silence(Clip(np.ones(10, np.float32), "x", "v"), before=0.1, after=0.2)
    assert len(clip.samples) == 10 + int(0.3 * RATE) and clip.samples[int(0.1 * RATE)] == 1


def test_wordless_clips_are_the_same_for_the_same_seed() -> None:
    first, again = list(wordless(4, 7)), list(wordless(4, 7))
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(first, again, strict=True))
    assert all(RATE <= len(clip.samples) <= 8 * RATE for clip in first)
