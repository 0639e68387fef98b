"""The drift monitor: it is silent while nothing changes, and speaks when something does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.core.events import Scored
from training.monitor import Week, monday, psi, report, told_apart, weeks
from training.signals.turns import Correction, LoggedTurn

WEEK = 7 * 86_400.0
FIRST = 1_780_272_000.0  # a Monday


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """A text is its numbers."""
    return np.array([[float(part) for part in text.split()] for text in texts], dtype=np.float32)


def said(
    week: int, rows: int, intents: Sequence[str] = ("a", "b"), shift: float = 0.0, **more: Any
) -> list[LoggedTurn]:
    """Messages of a week, each in a conversation of its own, intents in turn; `shift` moves their words."""
    rng = np.random.default_rng(week)
    points = rng.normal(size=(rows, 4)) + np.array([shift, 0.0, 0.0, 0.0])
    return [
        LoggedTurn(
            conversation=f"{week}.{n}",
            turn=1,
            at=FIRST + week * WEEK + n,
            text=" ".join(f"{value:.6f}" for value in points[n]),
            source="model",
            intent=intents[n % len(intents)],
            in_scope=0.9,
            candidates=(Scored(name="a", score=0.9),),
            **more,
        )
        for n in range(rows)
    ]


def last(*parts: list[LoggedTurn]) -> Week:
    return weeks([turn for part in parts for turn in part], embed)[-1]


def audited(turns: list[LoggedTurn], right: int) -> list[LoggedTurn]:
    """Reviewers judged all of them; the first `right` were understood."""
    answers = [turn.intent if n < right else "other" for n, turn in enumerate(turns)]
    return [
        replace(turn, corrections=(Correction(answer, None, "reviewer", True, 1),))
        for turn, answer in zip(turns, answers, strict=True)
    ]


def test_a_week_like_those_before_finds_nothing() -> None:
    week = last(said(0, 80), said(1, 80), said(2, 80))
    assert week.findings == () and not week.retrain
    assert week.psi is not None and week.psi < 0.05
    assert week.auc_p is not None and week.auc_p > 0.01


def test_other_wishes_are_found_by_their_distribution() -> None:
    week = last(said(0, 80), said(1, 80, ("a", "c", "c")))
    assert week.psi is not None and week.psi > 0.2
    assert "people ask for other things" in week.findings[0]
    assert {name for name, _, _ in week.moved[:2]} == {"b", "c"}


def test_other_words_for_the_same_wishes_are_told_apart() -> None:
    week = last(said(0, 80), said(1, 80, shift=1.5))
    assert week.auc is not None and week.auc > 0.8 and week.auc_p == pytest.approx(0.005)
    assert [finding for finding in week.findings if "other words" in finding]


def test_more_out_of_scope_is_found_with_its_interval() -> None:
    week = last(said(0, 200), said(1, 100, ("a", "")))
    assert week.out_of_scope is not None and (week.out_of_scope.value, week.out_of_scope.n) == (0.5, 100)
    assert week.out_of_scope.low == pytest.approx(0.404, abs=0.001)
    assert week.findings[0].startswith("out of scope are 50.0%")


def test_only_accuracy_on_random_turns_asks_for_training() -> None:
    good, drifted = audited(said(0, 100), 95), said(1, 100, ("c",), shift=2.0)
    assert not last(good, drifted).retrain
    week = last(good, audited(said(1, 100), 80))
    assert week.retrain and "train again" in week.findings[0]
    chosen = [
        replace(turn, corrections=(replace(turn.corrections[0], audit=False),)) for turn in audited(said(1, 100), 0)
    ]
    assert last(good, chosen).accuracy is None


def test_few_messages_are_listed_and_not_judged() -> None:
    week = last(said(0, 80), said(1, 20, ("z",)))
    assert (week.messages, week.psi, week.auc) == (20, None, None)
    assert "not judged" in week.findings[0]


@pytest.mark.slow
def test_small_windows_need_more_than_the_usual_limit() -> None:
    rng = np.random.default_rng(0)
    names = [f"i{n}" for n in range(12)]
    found = [psi(list(rng.choice(names, 60)), list(rng.choice(names, 60))) for _ in range(300)]
    assert np.mean([index > 0.2 for index, _, _ in found]) > 0.5
    assert np.mean([index > max(0.2, chance) for index, chance, _ in found]) <= 0.03


@pytest.mark.slow
def test_the_classifier_is_right_about_chance() -> None:
    rng = np.random.default_rng(1)
    found = [told_apart(rng.normal(size=(60, 8)), rng.normal(size=(60, 8)), seed)[1] for seed in range(60)]
    assert np.mean(np.array(found) <= 0.1) < 0.25


def test_weeks_begin_on_monday() -> None:
    assert monday(FIRST + 6.9 * 86_400) == monday(FIRST)
    assert monday(FIRST + WEEK).isoweekday() == 1


def test_the_report_shows_the_latest_week_first() -> None:
    lines = report(weeks([*said(0, 80), *said(1, 80, ("c",))], embed), "today").splitlines()
    assert "people ask for other things" in lines[2]
    assert lines[6].startswith("| 2026-06-08") and lines[7].startswith("| 2026-06-01")
    assert "Nobody" in report([], "today")
