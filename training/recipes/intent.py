"""Fits an intent head on a frozen encoder: seconds, deterministic, and no out-of-scope example needed.

What is fitted, in order: a softmax regression on vector and words; prototypes; then, on rows that the scores have not
seen (cross-validation), how the two witnesses are mixed and how evidence becomes `in_scope`. For the last, texts that
fit no intent are made by rule: in each fold some intents are left out of training entirely, so that their rows fall
outside; and gibberish is written. Rows marked "oos", where there are any, are used as well.

The fitted evidence weights are drawn towards the values in `PRIOR`, found on public data: with little data they rule.

Rows count as much as their labels are believed (`IntentExample.weight`). What calibrates - the mixture, the evidence,
the threshold - is measured on rows of full weight only, as long as there are any: a doubtful label is no yardstick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from bot.core.errors import InputError
from skills import intent as head
from skills.encoder import Encoder
from skills.intent import EVIDENCE, Blend, Floats, IntentHead, IntentWeights
from training.examples import OOS, IntentExample
from training.progress import Progress, silent

Indices = npt.NDArray[np.int64]

PRIOR = {"energy": 0.8, "margin": 0.3, "nearest": 0.5, "density": 1.0, "support": 0.8, "agreement": 0.3, "known": 0.6}
"""Weights of standardised evidence; see docs/decisions/0023-out-of-scope.md."""
PRIOR_STRENGTH = 20.0
_LETTERS = list("abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class IntentOptions:
    """How to fit. `acceptance` is the share of in-scope texts that the threshold lets pass.

    `strength` is the weight of the data against the L2 penalty of the regression, four times it below 1,000 rows.
    """

    seed: int = 0
    strength: float = 5.0
    prototypes: int = 32
    folds: int = 3
    acceptance: float = 0.97
    iterations: int = 40


@dataclass(frozen=True, slots=True)
class _Data:
    """Encoded rows. `words` holds 1 + log of counts; `owners` are intent numbers, -1 for out of scope.

    `weights` tell how far the labels are believed, 0..1.
    """

    texts: Sequence[str]
    vectors: Floats
    words: sparse.csr_matrix
    owners: Indices
    weights: Floats


@dataclass(frozen=True, slots=True)
class _Held:
    """Scores of rows by heads that have not seen them. `owners` is -1 where no intent of that head fits."""

    logits: Floats
    neighbours: Floats
    evidence: Floats
    owners: Indices


def fit_intent(
    rows: Sequence[IntentExample],
    encoder: Encoder,
    options: IntentOptions | None = None,
    progress: Progress = silent,
) -> IntentHead:
    """Fit a head. The same rows, encoder and options give the same head.

    Raises:
        InputError: fewer than two intents, or an intent with fewer than two different texts.
    """
    options = options or IntentOptions()
    rows = _clean(rows)
    intents = _intents(rows)
    data = _encode(rows, intents, encoder, progress)
    progress(0.5, "fitting")
    with threadpool_limits(1):  # more threads give other last digits, and wait for each other on a busy machine
        weights = _fit(data, len(intents), options)
        blend = _blend(_cross_validate(data, intents, encoder, options, progress), options)
    wordless = any(row.intent != OOS and not head.has_words(row.text) for row in rows)
    blend = replace(blend, wordless=wordless)
    progress(1.0, "fitting")
    return IntentHead(intents, weights, blend, encoder.identity)


def _clean(rows: Sequence[IntentExample]) -> list[IntentExample]:
    """Each text and intent once, with the highest weight that one of its rows has; none empty."""
    found: dict[tuple[str, str], IntentExample] = {}
    for row in rows:
        known = found.get(key := (row.text.strip(), row.intent))
        if row.text.strip() and (known is None or row.weight >= known.weight):
            found[key] = row
    return list(found.values())


def _intents(rows: Sequence[IntentExample]) -> list[str]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.intent] = counts.get(row.intent, 0) + 1
    counts.pop(OOS, None)
    if len(counts) < 2:
        raise InputError(f"training an intent head needs examples of at least 2 intents, found {sorted(counts)}")
    if poor := sorted(intent for intent, count in counts.items() if count < 2):
        raise InputError(f"training needs at least 2 different examples of each intent; add some to {', '.join(poor)}")
    return sorted(counts)


def _encode(rows: Sequence[IntentExample], intents: Sequence[str], encoder: Encoder, progress: Progress) -> _Data:
    texts = [row.text for row in rows]
    number = {intent: n for n, intent in enumerate(intents)} | {OOS: -1}
    owners = np.array([number[row.intent] for row in rows], np.int64)
    vectors = np.zeros((len(rows), encoder.dimension), np.float32)
    for start in range(0, len(rows), 512):
        vectors[start : start + 512] = encoder.vectors(texts[start : start + 512])
        progress(0.5 * min(1.0, (start + 512) / len(rows)), "encoding")
    weights = np.array([row.weight for row in rows], np.float32)
    return _Data(texts, vectors, _count_words(texts), owners, weights)


def _count_words(texts: Sequence[str]) -> sparse.csr_matrix:
    words = head.hash_words(texts)
    return sparse.csr_matrix((1 + np.log(words.counts), words.buckets, words.starts), (len(texts), head.BUCKETS))


def _rarity(words: sparse.csr_matrix) -> npt.NDArray[np.float16]:
    """Inverse document frequency of each bucket, 0 for those that no row has."""
    seen = np.bincount(words.indices, minlength=head.BUCKETS)
    rarity = np.log((1 + words.shape[0]) / (1 + seen)) + 1
    return np.where(seen > 0, rarity, 0).astype(np.float16)


def _weigh(words: sparse.csr_matrix, rarity: npt.NDArray[np.float16]) -> sparse.csr_matrix:
    """Rows of length WORD_WEIGHT, as the head makes them."""
    weighed = words.multiply(rarity.astype(np.float32)).tocsr()
    norms = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(head.WORD_WEIGHT / np.maximum(norms, 1e-6)) @ weighed, dtype=np.float32)


def _take(data: _Data, rows: Indices) -> _Data:
    texts = [data.texts[row] for row in rows]
    return _Data(texts, data.vectors[rows], data.words[rows], data.owners[rows], data.weights[rows])


def _fit(data: _Data, count: int, options: IntentOptions) -> IntentWeights:
    """Regression and prototypes for intents 0 to count - 1."""
    inside = _take(data, np.flatnonzero(data.owners >= 0))
    rarity = _rarity(inside.words)
    inside = replace(inside, words=_weigh(inside.words, rarity))
    matrix, word_matrix, bias = _regression(inside, count, options)
    scale = np.maximum(np.abs(word_matrix).max(axis=0) / 127, 1e-12).astype(np.float32)
    prototypes, owners = _prototypes(inside, count, options)
    rounded = np.rint(prototypes * (127 / np.abs(prototypes).max(axis=1, keepdims=True))).astype(np.int8)
    return IntentWeights(
        matrix=matrix.astype(np.float16),
        bias=bias,
        word_matrix=np.rint(word_matrix / scale).astype(np.int8),
        word_scale=scale,
        rarity=rarity,
        prototypes=rounded,
        owners=owners,
    )


def _regression(data: _Data, count: int, options: IntentOptions) -> tuple[Floats, Floats, Floats]:
    """Softmax regression with an L2 penalty, by L-BFGS; (dimension, intents), (BUCKETS, intents), (intents,)."""
    width, used = data.vectors.shape[1], np.unique(data.words.indices)
    words = data.words[:, used]
    back = sparse.csr_matrix(words.T)
    sizes = (width * count, len(used) * count)
    rows, total = np.arange(len(data.owners)), float(data.weights.sum())
    pull = data.weights / total
    decay = 1 / (options.strength * float(np.clip(4000 / total, 1, 4)) * total)

    def unpack(point: npt.NDArray[np.float64]) -> tuple[Floats, Floats, Floats]:
        dense, sparse_, bias = np.split(point.astype(np.float32), np.cumsum(sizes))
        return dense.reshape(width, count), sparse_.reshape(len(used), count), bias

    def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        dense, sparse_, bias = unpack(point)
        logits = data.vectors @ dense + words @ sparse_ + bias
        logits -= logits.max(axis=1, keepdims=True)
        share = np.exp(logits)
        sums = share.sum(axis=1, keepdims=True)
        value = float(pull @ (np.log(sums[:, 0]) - logits[rows, data.owners]))
        share /= sums
        share[rows, data.owners] -= 1
        share *= pull[:, None]
        gradient = np.concatenate([(data.vectors.T @ share).ravel(), (back @ share).ravel(), share.sum(axis=0)])
        penalty = point.copy()
        penalty[-count:] = 0
        return value + decay / 2 * float(penalty @ point), gradient + decay * penalty

    start = np.zeros(sum(sizes) + count)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": options.iterations, "maxcor": 8})
    dense, sparse_, bias = unpack(found.x)
    word_matrix = np.zeros((head.BUCKETS, count), np.float32)
    word_matrix[used] = sparse_
    return dense, word_matrix, bias


def _prototypes(data: _Data, count: int, options: IntentOptions) -> tuple[Floats, npt.NDArray[np.int32]]:
    """At most `options.prototypes` unit vectors per intent: its rows, or the centres of their clusters."""
    found = []
    for owner in range(count):
        found.append(_centres(data.vectors[data.owners == owner], options))
    owners = np.repeat(np.arange(count, dtype=np.int32), [len(part) for part in found])
    return np.concatenate(found), owners


def _centres(vectors: Floats, options: IntentOptions) -> Floats:
    """Spherical k-means, started from spread-out rows."""
    if len(vectors) <= options.prototypes:
        return vectors
    chosen = [int((vectors @ vectors.mean(axis=0)).argmax())]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < options.prototypes:
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    centres = vectors[chosen]
    for _ in range(8):
        owner = (vectors @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, owner, vectors)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-9), centres)
    return centres


def _cross_validate(
    data: _Data, intents: Sequence[str], encoder: Encoder, options: IntentOptions, progress: Progress
) -> list[_Held]:
    """Per fold: scores of its rows, of the rows of left-out intents, and of made-up texts."""
    random = np.random.default_rng(options.seed)
    fold = _folds(data.owners, options.folds, random)
    group = random.permutation(len(intents)) % options.folds if len(intents) >= 2 * options.folds else None
    made = _made_up(data.texts, random)
    ones = np.ones(len(made), np.float32)
    gibberish = _Data(made, encoder.vectors(made), _count_words(made), np.full(len(made), -1), ones)
    results = []
    for number in range(options.folds):
        out = group == number if group is not None else np.zeros(len(intents), bool)
        results.append(_hold_out(data, fold == number, out, gibberish, options))
        progress(0.5 + 0.5 * (number + 2) / (options.folds + 2), "fitting")
    return results


def _folds(owners: Indices, folds: int, random: np.random.Generator) -> Indices:
    """Fold of each row, intents spread evenly; an intent's first two rows never share a fold."""
    fold = np.zeros(len(owners), np.int64)
    for owner in np.unique(owners):
        rows = random.permutation(np.flatnonzero(owners == owner))
        fold[rows] = (np.arange(len(rows)) + random.integers(folds)) % folds
    return fold


def _hold_out(
    data: _Data, test: npt.NDArray[np.bool_], out: npt.NDArray[np.bool_], gibberish: _Data, options: IntentOptions
) -> _Held:
    """Scores of the `test` rows and of gibberish by a head that knows neither them nor the intents that are `out`."""
    kept = np.flatnonzero(~out)
    renumber = np.full(len(out) + 1, -1)
    renumber[kept] = np.arange(len(kept))
    train = _take(data, np.flatnonzero(~test & (renumber[data.owners] >= 0)))
    train = replace(train, owners=renumber[train.owners])
    scorer = IntentHead([str(n) for n in kept], _fit(train, len(kept), options), _NEUTRAL, "")
    sure = data.weights >= 1
    held = _take(data, np.flatnonzero(test & sure if sure.any() else test))
    texts = [*held.texts, *gibberish.texts]
    owners = np.concatenate([renumber[held.owners], gibberish.owners])
    return _Held(*scorer.witnesses(texts, np.concatenate([held.vectors, gibberish.vectors])), owners)


def _made_up(texts: Sequence[str], random: np.random.Generator) -> list[str]:
    """Gibberish as long as some of the texts: random letters, repeated letters, letters of real words mixed up."""
    made = []
    for text in random.permutation(np.array(texts, object))[: max(10, min(60, len(texts) // 20))]:
        words = str(text).split()[:12]
        made.append(" ".join("".join(random.choice(_LETTERS, random.integers(2, 9))) for _ in words))
        made.append(" ".join("".join(random.permutation(list(word))) for word in words))
        made.append("".join(random.choice(_LETTERS, random.integers(3, 10))))
        made.append(str(random.choice(_LETTERS)) * int(random.integers(3, 200)))
    return made


_ZEROS = np.zeros(len(EVIDENCE), np.float32)
_NEUTRAL = Blend(0.3, 1.0, _ZEROS, _ZEROS + 1, _ZEROS, 0.0, 0.5)
"""Of heads that only give their witnesses."""


def _blend(held: Sequence[_Held], options: IntentOptions) -> Blend:
    weight, temperature = _fit_mixture(held)
    evidence = np.concatenate([fold.evidence for fold in held])
    inside = np.concatenate([fold.owners >= 0 for fold in held])
    mean = evidence[inside].mean(axis=0)
    scale = np.maximum(evidence[inside].std(axis=0), 1e-3)
    weights, bias = _fit_evidence((evidence - mean) / scale, inside)
    blend = Blend(weight, temperature, mean, scale, weights, bias, 0.5)
    accepted = head.in_scope(evidence[inside], blend)
    return replace(blend, threshold=float(np.quantile(accepted, 1 - options.acceptance)))


def _fit_mixture(held: Sequence[_Held]) -> tuple[float, float]:
    """Neighbour weight and temperature with the best log likelihood on held-out rows."""
    best = (np.inf, 0.3, 1.0)
    for weight in (0.0, 0.15, 0.3, 0.45, 0.6):
        for temperature in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0):
            losses = []
            for fold in held:
                rows = np.flatnonzero(fold.owners >= 0)
                share = head.mix(fold.logits[rows], fold.neighbours[rows], weight, temperature)
                losses.append(-np.log(np.maximum(share[np.arange(len(rows)), fold.owners[rows]], 1e-9)))
            best = min(best, (float(np.concatenate(losses).mean()), weight, temperature))
    return best[1], best[2]


def _fit_evidence(z: Floats, inside: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Logistic regression, both sides weighing the same, drawn towards PRIOR."""
    prior = np.array([PRIOR[name] for name in EVIDENCE])
    sign = np.where(inside, 1.0, -1.0)
    share = np.where(inside, 0.5 / max(1, inside.sum()), 0.5 / max(1, (~inside).sum()))

    def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = sign * (z @ point[:-1] + point[-1])
        pull = point[:-1] - prior
        strength = PRIOR_STRENGTH / len(z)
        slope = -sign * share / (1 + np.exp(np.clip(margin, -30, 30)))
        gradient = np.append(z.T @ slope + strength * pull, slope.sum())
        return float((share * np.logaddexp(0, -margin)).sum() + strength / 2 * pull @ pull), gradient

    found = minimize(loss, np.append(prior, 2.0), jac=True, method="L-BFGS-B")
    return found.x[:-1].astype(np.float32), float(found.x[-1])
