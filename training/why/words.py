"""Which words counted: a straight line through what the head says of the text with words taken out.

After LIME (Ribeiro, Singh and Guestrin 2016, "Why should I trust you?"): the text without each word in turn, then
without random handfuls of words; each variant is scored by the encoder and the head that served; weighted ridge
regression gives each word the log-odds that it adds. Variants that keep more of the text weigh more. The result is
checked by deletion (as in DeYoung and others 2020, ERASER): without the words that count most the score must fall
further than without as many that count least; if it does not, the weights are told as not to be believed.

The table of known examples takes no part: it knows whole texts, not words.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from skills.entities_rules import words
from skills.intent import IntentScores
from training.why.values import Attribution, Removal, Word

VARIANTS = 50
"""Texts that are scored besides the whole one."""
MOST_WORDS = 40
"""Words of a long text that are looked at; the rest stays in every variant."""
_RIDGE = 0.05
_WIDTH = 0.35
"""Width of the kernel over the share of words that are left out."""
_FLOOR = 1e-4
_MOST_REMOVED = 3

Floats = npt.NDArray[np.float64]
Span = tuple[int, int]


class Judge(Protocol):
    """The classifiers of a bundle, without their table of known examples."""

    intents: tuple[str, ...]
    threshold: float

    def judge(self, texts: Sequence[str]) -> IntentScores:
        """Score texts in one batch."""
        ...


def attribute(text: str, judge: Judge, rejected: bool = False) -> Attribution | None:
    """The words' weights; None for a text of fewer than two words.

    What is explained is the best intent or, if `rejected`, that none was in scope.
    """
    spans = word_spans(text)
    if len(spans) < 2:
        return None
    kept = masks(len(spans), zlib.crc32(text.encode("utf-8", "replace")))
    scores = judge.judge([text, *(without(text, spans, row) for row in kept)])
    best = int(scores.probabilities[0].argmax())
    share = 1 - scores.in_scope if rejected else scores.probabilities[:, best]
    odds = log_odds(np.asarray(share, np.float64))
    weights, fit = line(np.vstack([np.ones(len(spans)), kept]), odds)
    order = np.argsort(-weights, kind="stable")
    found = _checked(text, judge, spans, order, (best, rejected))
    return Attribution(
        target="out of scope" if rejected else f"intent {judge.intents[best]}",
        score=float(share[0]),
        words=tuple(
            Word(text=text[start:end], start=start, end=end, weight=round(float(weight), 4))
            for (start, end), weight in zip(spans, weights, strict=True)
        ),
        removed=found.removed,
        without_most=found.most,
        without_least=found.least,
        holds=found.most < found.least,
        fit=round(fit, 3),
        variants=len(kept),
        turning=found.turning,
    )


def word_spans(text: str) -> list[Span]:
    """The places of the words that are looked at; signs are none."""
    return [(start, end) for word, start, end in words(text) if word[0].isalnum()][:MOST_WORDS]


def masks(count: int, seed: int) -> Floats:
    """Rows of 1 (kept) and 0 (left out): each word alone left out, then random handfuls, all different."""
    chosen = {frozenset((n,)): None for n in range(count)}
    draw = random.Random(seed)
    for _ in range(VARIANTS * 4):
        if len(chosen) >= max(VARIANTS, count):
            break
        chosen[frozenset(draw.sample(range(count), draw.randint(2, max(2, count - 1))))] = None
    rows = np.ones((len(chosen), count))
    for row, left_out in zip(rows, chosen, strict=True):
        row[sorted(left_out)] = 0
    return rows


def without(text: str, spans: Sequence[Span], kept: npt.ArrayLike) -> str:
    """The text with the words left out that are 0; spaces are closed up."""
    parts, end = [], 0
    for (start, stop), keep in zip(spans, np.asarray(kept), strict=True):
        if not keep:
            parts.append(text[end:start])
            end = stop
    return " ".join("".join([*parts, text[end:]]).split())


def log_odds(share: Floats) -> Floats:
    """Log-odds of probabilities, bounded."""
    bounded = np.clip(share, _FLOOR, 1 - _FLOOR)
    found: Floats = np.log(bounded / (1 - bounded))
    return found


def line(kept: Floats, odds: Floats) -> tuple[Floats, float]:
    """Weights of a weighted ridge regression of `odds` on `kept`, and its weighted R2."""
    nearness = np.exp(-(((1 - kept.mean(axis=1)) / _WIDTH) ** 2))
    total = nearness.sum()
    centre, middle = nearness @ kept / total, float(nearness @ odds / total)
    inputs, target = kept - centre, odds - middle
    weighted = inputs * nearness[:, None]
    weights: Floats = np.linalg.solve(weighted.T @ inputs + _RIDGE * np.eye(kept.shape[1]), weighted.T @ target)
    spread = float(nearness @ target**2)
    rest = float(nearness @ (target - inputs @ weights) ** 2)
    return weights, 1 - rest / spread if spread > 0 else 0.0


class _Deletion(NamedTuple):
    """The score without the words that count most, and without as many that count least."""

    removed: int
    most: float
    least: float
    turning: Removal | None


def _checked(
    text: str, judge: Judge, spans: Sequence[Span], order: npt.NDArray[np.intp], target: tuple[int, bool]
) -> _Deletion:
    """What deletion shows: the first words against the last, and the fewest first words that turn the result."""
    count = min(_MOST_REMOVED, len(spans) // 2)
    cuts = [order[:size] for size in range(1, min(len(spans) - 1, 2 * _MOST_REMOVED) + 1)]
    texts = [without(text, spans, _left(len(spans), cut)) for cut in (*cuts, order[-count:])]
    scores = judge.judge(texts)
    best, rejected = target
    share = 1 - scores.in_scope if rejected else scores.probabilities[:, best]
    turning = _turning(text, judge, spans, (cuts, texts, scores), target)
    return _Deletion(count, float(share[count - 1]), float(share[-1]), turning)


def _turning(
    text: str,
    judge: Judge,
    spans: Sequence[Span],
    tried: tuple[Sequence[npt.NDArray[np.intp]], Sequence[str], IntentScores],
    target: tuple[int, bool],
) -> Removal | None:
    cuts, texts, scores = tried
    best, rejected = target
    for row, cut in enumerate(cuts):
        top, scope = int(scores.probabilities[row].argmax()), float(scores.in_scope[row])
        accepted = scope >= judge.threshold
        if (accepted if rejected else top != best) and texts[row]:
            return Removal(
                words=tuple(text[spans[n][0] : spans[n][1]] for n in sorted(cut)),
                text=texts[row],
                intent=judge.intents[top],
                score=float(scores.probabilities[row, top]),
                in_scope=scope,
            )
    return None


def _left(count: int, cut: npt.NDArray[np.intp]) -> Floats:
    kept = np.ones(count)
    kept[cut] = 0
    return kept
