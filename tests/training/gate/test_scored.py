"""Skills that are judged by a score a row: rankings, searches."""

from __future__ import annotations

from collections.abc import Sequence

from tests.training.gate.rows import WHOLE
from training.examples import Origin
from training.gate.evidence import Evidence, Side, paired
from training.gate.judge import judge
from training.gate.measured import Judged
from training.gate.verdict import Comparison


def row(number: int, score: float, talk: str = "") -> Judged:
    return Judged(f"question {chr(0x4E00 + number)}", "returns", "returns", score, origin=Origin(group=talk))


def rows(*scores: float) -> list[Judged]:
    return [row(number, score) for number, score in enumerate(scores)]


def found(new: Sequence[Judged], old: Sequence[Judged]) -> tuple[bool, Comparison]:
    sides = paired(Side({}, scored={"retrieval": new}), Side({}, scored={"retrieval": old}))
    verdict = judge(Evidence(WHOLE, *sides, current_id="old", skills=("retrieval",)))
    return verdict.promote, verdict.comparisons[0]


def test_reciprocal_ranks_are_compared_row_by_row() -> None:
    promote, item = found(rows(*[1.0, 1.0, 0.5] * 40), rows(*[1.0, 0.5, 0.5] * 40))
    assert (promote, item.finding, item.metric) == (True, "better", "mrr")
    assert item.change is not None and abs(item.change.value - 1 / 6) < 1e-9
    assert (item.gains, item.flips) == (40, 0)


def test_small_changes_of_rank_narrow_the_margin() -> None:
    _, fine = found(rows(*[0.5, 0.4] * 100), rows(*[0.4, 0.5] * 100))
    _, rough = found(rows(*[1.0, 0.0] * 100), rows(*[0.0, 1.0] * 100))
    assert fine.margin is not None and rough.margin is not None
    assert fine.margin < 0.3 * rough.margin


def test_a_worse_search_is_stopped() -> None:
    promote, item = found(rows(*[0.5] * 60), rows(*[1.0] * 60))
    assert (promote, item.finding) == (False, "worse")


def test_too_few_rows_say_nothing_and_stop_nothing() -> None:
    promote, item = found(rows(1.0, 0.0, 1.0, 0.0, 0.5, 1.0), rows(0.0, 1.0, 1.0, 1.0, 1.0, 0.5))
    assert (promote, item.finding) == (True, "too few rows")


def test_only_rows_that_both_answered_are_compared() -> None:
    _, item = found([*rows(1.0, 1.0), row(7, 0.0)], [row(9, 1.0), *rows(0.5, 1.0)])
    assert item.change is not None and item.change.n == 2


def test_rows_of_one_conversation_count_as_alike() -> None:
    alone, together = ([row(n, float(n < 6), f"talk {n // size}") for n in range(60)] for size in (1, 6))
    before = [row(n, 0.0, f"talk {n}") for n in range(60)], [row(n, 0.0, f"talk {n // 6}") for n in range(60)]
    assert found(alone, before[0])[1].effect == 1
    assert found(together, before[1])[1].effect > 4
