"""What must not get worse besides the figure itself: calibration, out-of-scope, noise, cost, tests, honest labels.

A guarded figure fails when the harm is more than is allowed and real: p of the one-sided swap test (the two bundles'
answers swapped at random, groups whole) is at most 5 %, and it still stands among the p of all guarded figures by
Holm's correction (`standing`). So of bundles that change nothing one in twenty is stopped by chance, however few rows
there are and however many figures are looked at. The interval beside it is of the bootstrap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training import metrics as m
from training.evaluate import IntentResult
from training.examples import OOS
from training.gate import stats
from training.gate.evidence import Cost, Side, Tests
from training.gate.measured import groups_of
from training.gate.verdict import Check, Quote, State

_FEWEST = 50
_DRAWS = 1_000
_SHOWN = 10
_WON_FOR_LOST = 3
"""Sample tests that must be won for each that is lost."""
_SLOWER, _SLOWER_MS = 1.25, 2.0
_LARGER, _LARGER_BYTES = 1.25, 1 << 20
_SMALL_ERROR = 0.05
_SURELY = 0.9
_CONTRADICTED, _BATCH = 0.3, 10
"""Labels of a batch are refused if surely more than this share of them, and ten at least, contradict what is known."""
Results = Sequence[IntentResult]


@dataclass(frozen=True, slots=True)
class _Figure:
    """A guarded figure. `sign` is 1 where more is worse, -1 where less is. `read` makes its statistic from results."""

    name: str
    title: str
    sign: int
    allowed: float
    read: Callable[[Results], m.Statistic]


def calibration(candidate: Results, current: Results) -> list[Check]:
    """Is the confidence still right? An error of at most 0.05 is small; a better Brier score counts more."""
    error, brier, covered = (_guarded(figure, candidate, current) for figure in _CALIBRATION)
    everyone = np.ones((1, len(candidate)))
    scores = [float(m.squared_gap(_sure(side), _right(side))(everyone)[0]) for side in (candidate, current)]
    small = float(m.calibration_error(_sure(candidate), _right(candidate))(everyone)[0]) <= _SMALL_ERROR
    if error.state == "failed" and (small or scores[0] < scores[1]):
        why = "small enough" if small else "the Brier score, which counts it, is better"
        error = error.model_copy(update={"state": "passed", "sentence": f"{error.sentence}; {why}"})
    return [error, brier, covered]


def scope(candidate: Results, current: Results) -> list[Check]:
    """Are out-of-scope messages still told from the others?"""
    outside = sum(result.row.intent == OOS for result in candidate)
    found = [_guarded(_ACCEPTED, _inside(candidate), _inside(current))]
    if outside < _FEWEST or outside == len(candidate):
        text = f"out of scope: {outside} rows are none of the intents; {_FEWEST} are needed to judge"
        return [*found, Check(name="scope", state="insufficient data", sentence=text)]
    return found + [_guarded(figure, candidate, current) for figure in _SCOPE]


def noise(candidate: Side, current: Side, known: Set[str]) -> list[Check]:
    """Are mistyped and misheard messages of the `known` intents understood as well as they are now?"""
    found = []
    for kind in sorted(set(candidate.noise) & set(current.noise)):
        new, old = ([r for r in side.noise[kind] if r.row.intent in known] for side in (candidate, current))
        if not new:
            continue
        found.append(_guarded(_Figure("noise", f"accuracy with noise ({kind})", -1, 0.01, _accuracy), new, old))
    return found


def standing(checks: Sequence[Check]) -> list[Check]:
    """The checks; guarded figures whose harm is luck, seen among all that were looked at, pass."""
    tested = [number for number, check in enumerate(checks) if check.p is not None]
    stands = stats.holm([checks[number].p or 0.0 for number in tested])
    luck = {number for number, real in zip(tested, stands, strict=True) if not real}
    why = f", which among {len(tested)} figures may be luck"
    return [
        check.model_copy(update={"state": "passed", "sentence": check.sentence + why})
        if number in luck and check.state == "failed"
        else check
        for number, check in enumerate(checks)
    ]


def cost(candidate: Cost, current: Cost, grown: float) -> list[Check]:
    """Time and size against the current bundle; `grown` is how many times more labels there are."""
    allowed = int(current.bytes * _LARGER * max(1.0, grown)) + _LARGER_BYTES
    text = f"size: {_mb(candidate.bytes)}, {_mb(current.bytes)} in use; allowed {_mb(allowed)}"
    found = [Check(name="size", state=_state(candidate.bytes <= allowed), sentence=text)]
    if candidate.p95_ms is not None and current.p95_ms is not None:
        budget = current.p95_ms * _SLOWER + _SLOWER_MS
        times = f"{candidate.p95_ms:.1f} ms, {current.p95_ms:.1f} in use; allowed {budget:.1f}"
        text = f"latency: one message takes (p95) {times}"
        found.append(Check(name="latency", state=_state(candidate.p95_ms <= budget), sentence=text))
    return found


def tests(candidate: Tests | None, current: Tests | None, samples: Collection[str] = ()) -> list[Check]:
    """Does every test of the project that passes now still pass?

    Of test files that are `samples` of what people write, some may be lost, if three are won for each: they measure, as
    messages do, and of a hundred of them hardly any retraining loses none.
    """
    if not candidate:
        return []
    before = current or {}
    lost = sorted(name for name, passed in candidate.items() if before.get(name, False) and not passed)
    won = [name for name, passed in candidate.items() if passed and not before.get(name, True)]
    promised = [name for name in lost if not _of(name, samples)]
    sampled = [len([name for name in names if _of(name, samples)]) for names in (won, lost)]
    passed = sum(candidate.values())
    text = f"tests: {passed} of {len(candidate)} test conversations pass"
    text += f", {sum(before.values())} with the bundle in use" if current is not None else ""
    text += f"; {len(lost)} that pass now would fail" if lost else ""
    text += f" (of samples {sampled[1]}, and {sampled[0]} won; allowed is one for three won)" if sampled[1] else ""
    state = _state(not promised and sampled[0] >= _WON_FOR_LOST * sampled[1])
    return [Check(name="tests", state=state, sentence=text, examples=tuple(Quote(text=name) for name in lost))]


def _of(name: str, samples: Collection[str]) -> bool:
    """Whether a test, named with its place as in "name (tests/file.yml:7)", is of one of the files."""
    return any(f"({file}:" in name or f"({file})" in name for file in samples)


def labels(fresh: Results, known: Sequence[str]) -> list[Check]:
    """Do new labels contradict what the current bundle is sure of?

    Asked of each batch (source and month), and of all rows that are surely of one intent: labels that were mixed up, or
    poisoned on purpose, come from one place or go one way.
    """
    sure = [item for item in fresh if item.row.intent in known and item.score >= _SURELY and item.accepted]
    if not sure:
        return []
    batches: dict[str, list[IntentResult]] = defaultdict(list)
    for item in sure:
        origin = item.row.origin
        batches[f"in {origin.source or 'one source'}{' of ' + origin.month if origin.month else ''}"].append(item)
        batches[f"of those that are surely {item.predicted}"].append(item)
    suspect = {name: _contradictions(rows) for name, rows in batches.items() if _refused(rows)}
    text = f"labels: {len(_contradictions(sure))} of {len(sure)} labels contradict what the current bundle is sure of"
    for name, rows in suspect.items():
        text += f"; {len(rows)} of {len(batches[name])} {name}: look at them before they teach"
    shown = dict.fromkeys(_doubted(row) for rows in suspect.values() for row in rows[:_SHOWN])
    return [Check(name="labels", state=_state(not suspect), sentence=text, examples=tuple(shown))]


def _doubted(result: IntentResult) -> Quote:
    note = f"labelled {result.row.intent}, surely {result.predicted}"
    return Quote(text=result.row.text, note=note, conversation=result.row.origin.group)


def _contradictions(rows: Results) -> list[IntentResult]:
    return [row for row in rows if not row.right]


def _refused(rows: Results) -> bool:
    """Whether the lower bound at 95 % of the share that contradicts is over what is tolerated."""
    wrong = len(_contradictions(rows))
    return wrong >= _BATCH and 1 - stats.upper(len(rows) - wrong, len(rows)) > _CONTRADICTED


def _guarded(figure: _Figure, candidate: Results, current: Results) -> Check:
    groups, rows = groups_of([result.row for result in candidate]), len(candidate)
    pair = figure.read(candidate), figure.read(current)
    now, before = (float(statistic(np.ones((1, rows)))[0]) for statistic in pair)
    drawn = m.resample(m.difference(*pair), rows, clusters=groups, draws=_DRAWS)
    bias = np.nanmean(drawn) - (now - before)  # calibration errors of draws are larger than those of the rows
    low, high = np.nanquantile(drawn - bias, (0.025, 0.975))
    may = "rise" if figure.sign > 0 else "fall"
    text = (
        f"{figure.title} {now:.3f} against {before:.3f} in use, change {now - before:+.3f} [{low:+.3f}, {high:+.3f}] "
        f"on {rows} rows; may {may} by {figure.allowed:.3f}"
    )
    if rows < _FEWEST:
        text = f"{text}: {_FEWEST} rows are needed to judge"
        return Check(name=figure.name, state="insufficient data", sentence=text)
    harmed = figure.sign * (now - before) > figure.allowed
    p = _swapped(figure, (*candidate, *current), groups)
    text += f"; p = {p:.3f}" if harmed else ""
    return Check(name=figure.name, state=_state(not (harmed and p <= stats.LEVEL)), sentence=text, p=p)


def _swapped(figure: _Figure, both: Results, groups: NDArray[np.int64]) -> float:
    """How often answers swapped at random, groups whole, look as harmful as these. `both`: candidate, then current."""
    keep = np.random.default_rng(0).integers(2, size=(_DRAWS + 1, int(groups.max()) + 1))[:, groups].astype(np.float64)
    keep[0] = 1.0
    statistic = figure.read(both)
    harm = figure.sign * (statistic(np.hstack([keep, 1 - keep])) - statistic(np.hstack([1 - keep, keep])))
    return float((1 + (np.nan_to_num(harm[1:]) >= harm[0] - 1e-9).sum()) / (1 + _DRAWS))


def _accuracy(results: Results) -> m.Statistic:
    return m.mean(_right(results))


def _state(fine: bool) -> State:
    return "passed" if fine else "failed"


def _inside(results: Results) -> Results:
    return [result for result in results if result.row.intent != OOS]


def _right(results: Results) -> list[bool]:
    return [result.right for result in results]


def _sure(results: Results) -> list[float]:
    return [result.score for result in results]


def _is_inside(results: Results) -> list[bool]:
    return [result.row.intent != OOS for result in results]


def _scope_score(results: Results) -> list[float]:
    return [result.in_scope for result in results]


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _unrefused(results: Results) -> m.Statistic:
    refused = m.refused(_is_inside(results), _scope_score(results), 0.95)
    return lambda weights: 1 - refused(weights)


_CALIBRATION = (
    _Figure("calibration", "calibration error", 1, 0.01, lambda r: m.calibration_error(_sure(r), _right(r))),
    _Figure("calibration", "Brier score", 1, 0.01, lambda r: m.squared_gap(_sure(r), _right(r))),
    _Figure("calibration", "share answered at 5 % errors", -1, 0.02, lambda r: m.coverage(_sure(r), _right(r))),
)
_ACCEPTED = _Figure(
    "scope", "in-scope rows accepted", -1, 0.02, lambda r: m.mean([float(result.accepted) for result in r])
)
_SCOPE = (
    _Figure("scope", "out of scope: AUROC", -1, 0.01, lambda r: m.area_under(_is_inside(r), _scope_score(r))),
    _Figure(
        "scope",
        "out of scope: accepted at 95 % acceptance (FPR@95)",
        1,
        0.03,
        _unrefused,
    ),
    _Figure(
        "scope",
        "out of scope: refused at 97 % acceptance",
        -1,
        0.03,
        lambda r: m.refused(_is_inside(r), _scope_score(r), 0.97),
    ),
)
