"""Noise is the same every time, changes words and keeps labels."""

from __future__ import annotations

import pytest

from training.examples import IntentExample
from training.perturb import KINDS, perturbed

ROWS = (
    IntentExample("Where is my parcel, please?", "order", "en", "rows:1"),
    IntentExample("Wo bleibt meine Bestellung 48213?", "order", "de", "rows:2"),
    IntentExample("我的订单在哪里？", "order", "zh", "rows:3"),
    IntentExample("ok", "yes", "en", "rows:4"),
)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_noise_is_the_same_every_time_and_keeps_everything_but_the_text(kind: str) -> None:
    noisy = perturbed(ROWS, kind)
    assert noisy == perturbed(ROWS, kind)
    assert [(row.intent, row.lang, row.where) for row in noisy] == [(row.intent, row.lang, row.where) for row in ROWS]
    assert noisy[0].text != ROWS[0].text
    assert all(row.text for row in noisy)


def test_typos_are_few_and_leave_digits_alone() -> None:
    text = perturbed(ROWS, "typos")[1].text
    assert "48213" in text
    assert abs(len(text) - len(ROWS[1].text)) <= 3
    assert perturbed(ROWS, "typos", seed=1)[1].text != text


def test_speech_has_no_capitals_and_no_marks() -> None:
    for row in perturbed(ROWS, "speech"):
        assert row.text == row.text.lower()
        assert not set(row.text) & set(",?？.")


def test_chinese_is_mistyped_too_and_marks_alone_stay() -> None:
    assert perturbed(ROWS, "typos")[2].text != ROWS[2].text
    marks = (IntentExample("?!", "what"),)
    assert [perturbed(marks, kind)[0].text for kind in sorted(KINDS)] == ["?!", "?!", "?!"]
