"""Quality figures, each with a 95 % interval.

A `Statistic` maps row weights of shape (resamples, rows) to one figure per resample, so a bootstrap is a few matrix
products. Weights of one give the figure itself; weights counted from draws with replacement give its spread (percentile
bootstrap, Efron and Tibshirani 1993; seeded, the same data give the same interval). The interval is widened to hold the
figure where the bootstrap is biased (calibration error, F1 of tiny classes). Plain proportions get Wilson's interval.
Names are those of the literature. Rows must not be empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass
from math import comb
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bot.manifest import Metric
from training.examples import OUTSIDE

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
Span = tuple[int, int, str]
"""Start and end (exclusive) in tokens or characters, and the type."""

RESAMPLES = 2000
_Z = NormalDist().inv_cdf(0.975)
_CELLS = 4_000_000
"""Weights held in memory at a time."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Figures of one class. `support` is the number of rows whose gold label it is."""

    label: str
    precision: Metric
    recall: Metric
    f1: Metric
    support: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of similar confidence: mean confidence, share that is right, number of rows."""

    confidence: float
    accuracy: float
    rows: int


def wilson(hits: int, rows: int) -> Metric:
    """A proportion with Wilson's score interval (Wilson 1927)."""
    share, z2 = hits / rows, _Z * _Z
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = _Z / (1 + z2 / rows) * (share * (1 - share) / rows + z2 / (4 * rows * rows)) ** 0.5
    return Metric(
        value=share, low=min(share, max(0.0, middle - half)), high=max(share, min(1.0, middle + half)), n=rows
    )


def bootstrap(statistic: Statistic, rows: int, *, seed: int = 0, clusters: ArrayLike | None = None) -> Metric:
    """The statistic with its percentile interval.

    `clusters` gives each row's cluster number from 0; whole clusters are drawn, as rows of one conversation are alike.
    """
    value = float(statistic(np.ones((1, rows)))[0])
    samples = resample(statistic, rows, seed=seed, clusters=clusters)
    low, high = np.nanquantile(samples, (0.025, 0.975))
    return Metric(value=value, low=float(min(low, value)), high=float(max(high, value)), n=rows)


def resample(
    statistic: Statistic, rows: int, *, seed: int = 0, clusters: ArrayLike | None = None, draws: int = RESAMPLES
) -> Floats:
    """The statistic of so many draws with replacement, shape (draws, ...)."""
    members = np.arange(rows) if clusters is None else np.asarray(clusters)
    groups = int(members.max()) + 1
    rng, step = np.random.default_rng(seed), max(1, _CELLS // rows)
    parts = []
    for first in range(0, draws, step):
        count = min(step, draws - first)
        drawn = rng.integers(groups, size=(count, groups)) + groups * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups)
        parts.append(statistic(weights[:, members].astype(np.float64)))
    return np.concatenate(parts)


def mean(values: ArrayLike) -> Statistic:
    """The mean of one number a row."""
    column = np.asarray(values, dtype=np.float64)
    return lambda weights: (weights @ column) / weights.sum(axis=1)


def difference(first: Statistic, second: Statistic) -> Statistic:
    """First minus second on the same draws: the paired bootstrap."""
    return lambda weights: first(weights) - second(weights)


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> Metric:
    """The share of rows whose label is right."""
    return wilson(sum(one == other for one, other in zip(gold, predicted, strict=True)), len(gold))


def f1_by_class(gold: Sequence[str], predicted: Sequence[str]) -> tuple[tuple[str, ...], Statistic]:
    """The labels in use, sorted, and their F1 as shape (resamples, labels), NaN where a label does not occur."""
    labels = tuple(sorted(set(gold) | set(predicted)))
    is_gold, is_predicted = _one_hot(gold, labels), _one_hot(predicted, labels)
    is_hit = is_gold * is_predicted

    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            scores: Floats = 2 * (weights @ is_hit) / (weights @ is_gold + weights @ is_predicted)
        return scores

    return labels, statistic


def macro(gold: Sequence[str], predicted: Sequence[str]) -> Statistic:
    """The mean F1 of the labels that occur."""
    _, by_class = f1_by_class(gold, predicted)
    return lambda weights: np.nanmean(by_class(weights), axis=1)


def macro_f1(gold: Sequence[str], predicted: Sequence[str], *, seed: int = 0) -> Metric:
    """F1 of each label that is gold or predicted, averaged without weights."""
    return bootstrap(macro(gold, predicted), len(gold), seed=seed)


def per_class(gold: Sequence[str], predicted: Sequence[str], *, seed: int = 0) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of every label, in the order of the labels."""
    labels, statistic = f1_by_class(gold, predicted)
    values = statistic(np.ones((1, len(gold))))[0]
    samples = resample(statistic, len(gold), seed=seed)
    hits = Counter(one for one, other in zip(gold, predicted, strict=True) if one == other)
    support, guesses = Counter(gold), Counter(predicted)
    scores = []
    for number, label in enumerate(labels):
        f1 = _percentile(float(values[number]), samples[:, number], support[label])
        precision, recall = share(hits[label], guesses[label]), share(hits[label], support[label])
        scores.append(ClassScore(label, precision, recall, f1, support[label]))
    return tuple(scores)


def spans(tags: Sequence[str]) -> frozenset[Span]:
    """The slots of a BIO sequence in token positions.

    As conlleval (Tjong Kim Sang and Buchholz 2000) counts them: an `I-` that does not continue its type opens a slot.
    """
    found: list[Span] = []
    start, kind = 0, ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix != "I" or name != kind):
            found.append((start, position, kind))
            kind = ""
        if prefix in ("B", "I") and not kind:
            start, kind = position, name
    return frozenset(found)


def span_f1(gold: Sequence[Set[Hashable]], predicted: Sequence[Set[Hashable]]) -> Statistic:
    """Micro F1 of sets of spans, one set a row; 1 where there is nothing to find and nothing was found."""
    hits = np.array([len(one & other) for one, other in zip(gold, predicted, strict=True)], dtype=np.float64)
    total = np.array([len(one) + len(other) for one, other in zip(gold, predicted, strict=True)], dtype=np.float64)

    def statistic(weights: Floats) -> Floats:
        found = weights @ total
        return np.where(found > 0, 2 * (weights @ hits) / np.maximum(found, 1), 1.0)

    return statistic


def per_kind(gold: Sequence[Set[Span]], predicted: Sequence[Set[Span]], *, seed: int = 0) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of every kind of span, in the order of the kinds; `support` counts spans."""
    kinds = sorted({kind for row in (*gold, *predicted) for _, _, kind in row})
    is_gold, is_predicted = _kind_counts(gold, kinds), _kind_counts(predicted, kinds)
    is_hit = _kind_counts([one & other for one, other in zip(gold, predicted, strict=True)], kinds)

    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            scores: Floats = 2 * (weights @ is_hit) / (weights @ is_gold + weights @ is_predicted)
        return scores

    values, samples = statistic(np.ones((1, len(gold))))[0], resample(statistic, len(gold), seed=seed)
    totals = [counts.sum(axis=0).astype(int).tolist() for counts in (is_hit, is_gold, is_predicted)]
    scores = []
    for number, (kind, hits, support, guesses) in enumerate(zip(kinds, *totals, strict=True)):
        f1 = _percentile(float(values[number]), samples[:, number], support)
        scores.append(ClassScore(kind, share(hits, guesses), share(hits, support), f1, support))
    return tuple(scores)


def slot_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, seed: int = 0) -> Metric:
    """Micro F1 of whole slots over BIO sequences: borders and type must be right."""
    return bootstrap(span_f1([spans(row) for row in gold], [spans(row) for row in predicted]), len(gold), seed=seed)


def auroc(positive: Sequence[bool], scores: ArrayLike, *, seed: int = 0) -> Metric:
    """The chance that a positive row scores above a negative one, ties counted half. Needs rows of both kinds."""
    return bootstrap(area_under(positive, scores), len(positive), seed=seed)


def area_under(positive: Sequence[bool], scores: ArrayLike) -> Statistic:
    """As `auroc`."""
    is_positive = np.asarray(positive, dtype=bool)
    groups, group = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(groups)))

    def statistic(weights: Floats) -> Floats:
        ups = np.add.reduceat((weights * is_positive)[:, order], starts, axis=1)
        downs = np.add.reduceat((weights * ~is_positive)[:, order], starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs
        with np.errstate(invalid="ignore"):
            area: Floats = (ups * (below + downs / 2)).sum(axis=1) / (ups.sum(axis=1) * downs.sum(axis=1))
        return area

    return statistic


def oos_recall(in_scope: Sequence[bool], scores: ArrayLike, *, acceptance: float = 0.97, seed: int = 0) -> Metric:
    """The share of out-of-scope rows refused by the threshold that accepts `acceptance` of the in-scope rows.

    `scores` are the probabilities of being in scope. The threshold is found again in each resample.
    """
    figure = bootstrap(refused(in_scope, scores, acceptance), len(in_scope), seed=seed)
    return figure.model_copy(update={"n": len(in_scope) - sum(in_scope)})


def refused(in_scope: Sequence[bool], scores: ArrayLike, acceptance: float) -> Statistic:
    """As `oos_recall`."""
    inside, values = np.asarray(in_scope, dtype=bool), np.asarray(scores, dtype=np.float64)
    ordered = np.flatnonzero(inside)[np.argsort(values[inside], kind="stable")]
    outside = np.flatnonzero(~inside)[np.argsort(values[~inside], kind="stable")]
    refused_at = np.searchsorted(values[outside], values[ordered], side="left")

    def statistic(weights: Floats) -> Floats:
        kept = np.cumsum(weights[:, ordered], axis=1)
        cut = np.argmax(kept > (1 - acceptance) * kept[:, -1:] + 1e-9, axis=1)
        below = np.pad(np.cumsum(weights[:, outside], axis=1), ((0, 0), (1, 0)))
        with np.errstate(invalid="ignore"):
            recall: Floats = below[np.arange(len(weights)), refused_at[cut]] / below[:, -1]
        return recall

    return statistic


def ece(confidence: ArrayLike, right: Sequence[bool], *, bins: int = 15, seed: int = 0) -> Metric:
    """Expected calibration error over bins of equal mass (Nixon et al. 2019)."""
    return bootstrap(calibration_error(confidence, right, bins=bins), len(right), seed=seed)


def calibration_error(confidence: ArrayLike, right: Sequence[bool], *, bins: int = 15) -> Statistic:
    """As `ece`."""
    gap = np.asarray(confidence, dtype=np.float64) - np.asarray(right, dtype=np.float64)
    member = np.zeros((len(gap), min(bins, len(gap))))
    member[np.arange(len(gap)), _bin_of(confidence, bins)] = 1.0
    gaps = member * gap[:, None]
    return lambda weights: np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1)


def brier(confidence: ArrayLike, right: Sequence[bool], *, seed: int = 0) -> Metric:
    """The mean squared gap between the confidence in the best label and whether it is right (Brier 1950)."""
    return bootstrap(squared_gap(confidence, right), len(right), seed=seed)


def squared_gap(confidence: ArrayLike, right: Sequence[bool]) -> Statistic:
    """As `brier`."""
    gap = np.asarray(confidence, dtype=np.float64) - np.asarray(right, dtype=np.float64)
    return mean(gap * gap)


def reliability(confidence: ArrayLike, right: Sequence[bool], *, bins: int = 10) -> tuple[Bin, ...]:
    """Bins of equal mass, from the least to the most confident."""
    values, hits, group = np.asarray(confidence), np.asarray(right), _bin_of(confidence, bins)
    parts = [group == number for number in range(int(group.max()) + 1)]
    return tuple(Bin(float(values[part].mean()), float(hits[part].mean()), int(part.sum())) for part in parts)


def risk_coverage(confidence: ArrayLike, right: Sequence[bool]) -> tuple[Floats, Floats]:
    """Coverage and the error rate among the covered rows, as rows are answered from the most confident down."""
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    wrong = 1.0 - np.asarray(right, dtype=np.float64)[order]
    answered = np.arange(1, len(order) + 1)
    return answered / len(order), np.cumsum(wrong) / answered


def coverage(confidence: ArrayLike, right: Sequence[bool], *, risk: float = 0.05) -> Statistic:
    """The largest share of the rows, the surest first, that can be answered with at most `risk` errors among them."""
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    wrong = 1.0 - np.asarray(right, dtype=np.float64)[order]

    def statistic(weights: Floats) -> Floats:
        answered = np.cumsum(weights[:, order], axis=1)
        errors = np.cumsum(weights[:, order] * wrong, axis=1)
        kept: Floats = np.where(errors <= risk * answered, answered, 0.0).max(axis=1) / answered[:, -1]
        return kept

    return statistic


def recall_at(ranks: Sequence[int | None], k: int) -> Metric:
    """The share of queries whose answer is among the first k. Ranks count from 1; None: not found."""
    return wilson(sum(rank is not None and rank <= k for rank in ranks), len(ranks))


def mrr(ranks: Sequence[int | None], *, seed: int = 0) -> Metric:
    """Mean reciprocal rank; an answer that was not found counts 0."""
    return bootstrap(mean([0.0 if rank is None else 1.0 / rank for rank in ranks]), len(ranks), seed=seed)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """The p-value of McNemar's exact test that two models are right equally often on the same rows."""
    gains = sum(one and not other for one, other in zip(first, second, strict=True))
    losses = sum(other and not one for one, other in zip(first, second, strict=True))
    tail = sum(comb(gains + losses, count) for count in range(min(gains, losses) + 1))
    return min(1.0, 2 * tail / (1 << gains + losses))


def _one_hot(values: Sequence[str], labels: Sequence[str]) -> Floats:
    number = {label: position for position, label in enumerate(labels)}
    hot = np.zeros((len(values), len(labels)))
    hot[np.arange(len(values)), [number[value] for value in values]] = 1.0
    return hot


def _kind_counts(rows: Sequence[Set[Span]], kinds: Sequence[str]) -> Floats:
    number = {kind: position for position, kind in enumerate(kinds)}
    counts = np.zeros((len(rows), len(kinds)))
    for position, row in enumerate(rows):
        for _, _, kind in row:
            counts[position, number[kind]] += 1
    return counts


def share(hits: int, rows: int) -> Metric:
    """A proportion that may be of nothing: 0 then, and anything is possible."""
    return wilson(hits, rows) if rows else Metric(value=0.0, low=0.0, high=1.0, n=0)


def _percentile(value: float, samples: Floats, rows: int) -> Metric:
    known = samples[~np.isnan(samples)]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (0.0, 1.0)
    return Metric(value=value, low=float(min(low, value)), high=float(max(high, value)), n=rows)


def _bin_of(confidence: ArrayLike, bins: int) -> NDArray[np.int64]:
    """The bin of each row, from 0, by rank: bins hold equally many rows."""
    values = np.asarray(confidence, dtype=np.float64)
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks * min(bins, len(values)) // len(values)
