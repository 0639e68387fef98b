from __future__ import annotations

import numpy as np
import pytest

from training.likeness import bleu, edits, rouge_l


@pytest.mark.parametrize(
    ("said", "right", "value"),
    [
        ("a b c d", "a b c d", 1.0),
        ("a x c", "a b c", 2 / 3),
        ("", "", 1.0),
        ("a", "", 0.0),
        ("Yes, it is!", "yes", 1 / 3),
    ],
)
def test_rouge_counts_the_longest_common_subsequence(said: str, right: str, value: float) -> None:
    assert rouge_l(said, right) == pytest.approx(value)


@pytest.mark.parametrize(("said", "right", "value"), [("kitten", "sitting", 3 / 7), ("", "", 0), ("ab", "", 1.0)])
def test_edits_are_the_share_of_letters_to_change(said: str, right: str, value: float) -> None:
    assert edits(said, right) == pytest.approx(value)


def test_bleu_is_that_of_the_whole_and_can_be_drawn_anew() -> None:
    said = ["the cat sat on the mat today", "a b c d e"]
    right = ["the cat sat on a mat today", "a b c d e"]
    of = bleu(said, right)
    whole, second = of(np.array([[1.0, 1.0], [0.0, 1.0]]))
    # 11 of 12 words, 8 of 10 pairs, 5 of 8 threes, 3 of 6 fours
    assert whole == pytest.approx((11 / 12 * 8 / 10 * 5 / 8 * 3 / 6) ** 0.25)
    assert second == pytest.approx(1.0)


def test_short_texts_are_punished() -> None:
    assert bleu(["a b c d"], ["a b c d e f g h"])(np.ones((1, 1)))[0] == pytest.approx(np.exp(-1.0))
