"""The end-of-turn head: what it goes by, and that it can be refitted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError, IntegrityError
from skills.turn_end import FEATURES, Pause, TurnEnd, features
from skills.turn_melody import melody
from training.turn_end import Row, fit, logged, losses

SILENCE = np.zeros(8_000, np.float32)


def likely(text: str | None, expects: int = 0, language: str = "en") -> float:
    return TurnEnd.load().run([Pause(text, SILENCE, 800.0, language, expects)])[0]


@pytest.mark.parametrize(
    ("whole", "begun", "expects"),
    [
        ("my order number is four two one", "my order number is", 0),
        ("four eight two one three", "four eight", 5),
        ("48213", "482", 5),
        ("yes", "my", 0),
        ("I want to send it back", "I want to", 0),
        ("I would like a refund", "I would like uhm", 0),
        ("one two", "one moment", 0),
    ],
)
def test_a_whole_turn_is_likelier_over_than_one_that_has_begun(whole: str, begun: str, expects: int) -> None:
    assert likely(whole, expects) > likely(begun, expects)


def test_other_languages_and_missing_words_go_by_melody() -> None:
    assert features(Pause("我的号码是", SILENCE, 500.0, "zh"))[0] == 0.0
    assert features(Pause(None, SILENCE, 1500.0))[-1] == 0.5
    assert 0 < likely(None) < 1


def glide(start: float, end: float) -> np.ndarray:
    pitch = np.linspace(start, end, 12_000)
    wave = sum(np.sin(n * 2 * np.pi * np.cumsum(pitch) / 16_000) / n for n in range(1, 8))
    return np.concatenate([0.2 * np.asarray(wave), np.zeros(3_000)]).astype(np.float32)


def test_voiced_sound_has_a_pitch_and_its_last_stretch_counts() -> None:
    long, short = melody(glide(120, 180)), melody(glide(120, 180)[10_000:])
    assert long[0] == short[0] == 1.0
    assert long[4] > short[4]


@pytest.mark.parametrize("sound", [SILENCE, SILENCE[:0], SILENCE[:100], np.full(9_000, np.float32(0.5))])
def test_sound_without_a_melody_is_no_error(sound: np.ndarray) -> None:
    assert all(np.isfinite(melody(sound)))


def rows(count: int = 40) -> list[Row]:
    dice = np.random.default_rng(3)
    return [Row([float(n % 2), *dice.normal(size=len(FEATURES) - 1)], n % 2 == 0) for n in range(count)]


def test_a_head_is_fitted_saved_and_loaded(tmp_path: Path) -> None:
    head = fit(rows())
    head.save(tmp_path / "head.json", {"pauses": 40})
    again = TurnEnd.load(tmp_path / "head.json")
    assert losses(head, rows())["auroc"] > 0.9
    assert again.of(rows()[0].features) == pytest.approx(head.of(rows()[0].features), abs=1e-2)


def test_calls_change_the_head() -> None:
    cut = [Row([0.0] * len(FEATURES), False, 5.0)] * 20
    assert fit([*rows(), *cut]).of(cut[0].features) < fit(rows()).of(cut[0].features)


def test_rows_of_calls_are_read_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"features": [0.0] * len(FEATURES), "over": True}) + "\n")
    assert logged(path)[0].over
    for wrong in ("{}", '{"features": [1], "over": true}', "no"):
        path.write_text(wrong)
        with pytest.raises(InputError):
            logged(path)
    with pytest.raises(InputError, match="both kinds"):
        fit([row for row in rows() if row.over])


@pytest.mark.parametrize("text", ["{}", "no", '{"format": 1, "bias": 0, "weights": {"open": 1}}'])
def test_files_of_another_kind_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "head.json").write_text(text)
    with pytest.raises(IntegrityError):
        TurnEnd.load(tmp_path / "head.json")
