"""Words, stems and shares of the lexical search."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.lexical import Lexical, stem, words

TEXTS = ["the kettle is broken", "the refund takes five days", "the kettles and pots", "电热水壶坏了怎么办"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("kettles", "kettle"),
        ("policies", "policy"),
        ("boxes", "boxe"),
        ("glass", "glass"),
        ("bus", "bus"),
        ("is", "is"),
    ],
)
def test_plurals_become_singulars(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_chinese_runs_become_pairs_and_mixed_text_keeps_its_words() -> None:
    assert words("iPhone水壶坏了") == ["iphone", "水壶", "壶坏", "坏了"]


def test_a_text_with_all_words_of_the_query_has_the_largest_share() -> None:
    shares = Lexical.build(TEXTS).shares("Broken kettle!").words
    assert shares.argmax() == 0
    assert shares[1] == 0


def test_shares_lie_between_zero_and_one() -> None:
    lexical = Lexical.build(TEXTS)
    for text in (*TEXTS, "kettle " * 50, "水壶"):
        shares = lexical.shares(text).words
        assert shares.dtype == np.float32
        assert shares.min() >= 0
        assert shares.max() <= 1


def test_words_that_nobody_has_lower_the_share() -> None:
    lexical = Lexical.build(TEXTS)
    assert lexical.shares("kettle zebra").words[0] < lexical.shares("kettle").words[0]


@pytest.mark.parametrize("text", ["", "!!!", "zebra", "\u0000"])
def test_a_query_without_known_words_finds_nothing(text: str) -> None:
    assert not Lexical.build(TEXTS).shares(text).words.any()


def test_chinese_questions_find_chinese_texts() -> None:
    assert Lexical.build(TEXTS).shares("水壶坏了").words.argmax() == 3


def test_texts_without_words_can_be_indexed() -> None:
    assert Lexical.build(["...", "kettle"]).shares("kettle").words.tolist()[0] == 0


def test_words_that_stand_together_count_as_a_pair() -> None:
    together, apart = Lexical.build(["a broken kettle", "the kettle was broken"]).shares("Broken kettles").pairs
    assert together > apart == 0


def test_a_word_that_is_spelled_wrong_still_makes_a_pair() -> None:
    assert Lexical.build(TEXTS).shares("refund taeks").pairs.argmax() == 1


def test_one_word_alone_is_its_own_pair() -> None:
    shares = Lexical.build(TEXTS).shares("kettle")
    assert (shares.pairs == shares.words).all()
