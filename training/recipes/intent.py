"""Fits an intent head on a frozen encoder: seconds, deterministic, and no out-of-scope example needed.

What is fitted, in order: a softmax regression on vector and words; prototypes; then, on rows that the scores have not
seen (cross-validation), how the two witnesses are mixed and how evidence becomes `in_scope`. For the last, texts that
fit no intent are made by rule: in each fold some intents are left out of training entirely, so that their rows fall
outside; and gibberish is written. Rows marked "oos", where there are any, are used as well.

With a few examples an intent, a discriminant of the encoder's inner layers joins as a third witness; it may be followed
by a view of layers that are tuned (`training/recipes/finetune.py`).

Rows count as much as their labels are believed (`IntentExample.weight`). What calibrates - the mixture, the evidence,
the threshold - is measured on rows of full weight only, as long as there are any: a doubtful label is no yardstick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from bot.core.errors import InputError
from skills import intent as head
from skills.encoder import Encoder
from skills.intent import Floats, IntentHead, IntentWeights
from skills.intent_views import View, pool
from training.examples import OOS, IntentExample
from training.progress import Progress, part, silent
from training.recipes.discriminant import LAYERS, discriminant, names_of, speaking
from training.recipes.finetune import TuneOptions
from training.recipes.intent_blend import NEUTRAL, Held, fit_blend
from training.recipes.intent_folds import folds_of, made_up
from training.recipes.intent_tuned import TUNED, Taught, tuned_view, with_tuned

Indices = npt.NDArray[np.int64]
Method = Literal["auto", "frozen", "few-shot", "late-branch", "lora", "full"]
FEW = 15
"""Examples an intent, on average, up to which `auto` is `few-shot`."""

_QUICK, _USUAL = 20, 0.7
"""Iterations of a head that only reads, and the temperature that heads usually get."""


@dataclass(frozen=True, slots=True)
class IntentOptions:
    """How to fit. `acceptance` is the share of in-scope texts that the threshold lets pass.

    `method`: "frozen" reads the sentence vector; "few-shot" the inner layers and the intents' names too; "late-branch",
    "lora" and "full" tune layers of the head's own besides (docs/training.md). `strength` is the weight of the data
    against the L2 penalty of the regression, four times it below 1,000 rows. `tensorboard`: see `TuneOptions`.
    """

    method: Method = "frozen"
    seed: int = 0
    strength: float = 5.0
    prototypes: int = 32
    folds: int = 3
    acceptance: float = 0.97
    iterations: int = 40
    tensorboard: str = ""


@dataclass(frozen=True, slots=True)
class _Data:
    """Encoded rows. `words` holds 1 + log of counts; `owners` are intent numbers, -1 for out of scope.

    `weights` tell how far the labels are believed, 0..1. `features`: the pooled layers, (rows, 0) where there are none;
    `named`: rows that are an intent's name.
    """

    texts: Sequence[str]
    vectors: Floats
    words: sparse.csr_matrix
    owners: Indices
    weights: Floats
    features: Floats
    named: npt.NDArray[np.bool_]


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
    method = chosen_method(rows, options.method)
    data = _encode(rows, intents, encoder, () if method == "frozen" else inner_layers(encoder), progress)
    progress(0.5, "fitting")
    with threadpool_limits(1):  # more threads give other last digits, and wait for each other on a busy machine
        weights = _fit(data, len(intents), options)
        views = _views(data, len(intents), encoder)
        fitting = progress if method in ("frozen", "few-shot") else part(progress, 0.0, 0.6)
        blend = fit_blend(_cross_validate(data, intents, encoder, options, fitting), options.acceptance)
    if (tuning := tune_options(replace(options, method=method), encoder)) is not None:
        inside = _take(data, np.flatnonzero(data.owners >= 0))
        taught = Taught(inside.texts, inside.owners, inside.weights, inside.vectors, len(intents))
        views = (*views, tuned_view(taught, encoder, tuning, part(progress, 0.6, 1.0)))
        blend = with_tuned(blend)
    wordless = any(row.intent != OOS and not head.has_words(row.text) for row in rows)
    blend = replace(blend, wordless=wordless)
    progress(1.0, "fitting")
    return IntentHead(intents, weights, blend, encoder.identity, views)


@dataclass(frozen=True, slots=True)
class Known:
    """Labelled texts: unit vectors, float32 (texts, dimension); intent numbers from 0; how far labels are believed."""

    texts: Sequence[str]
    vectors: Floats
    owners: Indices
    weights: Floats


def opinions(known: Known, count: int, texts: Sequence[str], vectors: Floats) -> Floats:
    """What a quick head of `known` says of other texts: probabilities (texts, intents), as sharp as they usually are.

    Each of the `count` intents has a text at least.
    """
    none = np.zeros((len(known.texts), 0), np.float32)
    unnamed = np.zeros(len(known.texts), bool)
    data = _Data(known.texts, known.vectors, _count_words(known.texts), known.owners, known.weights, none, unnamed)
    with threadpool_limits(1):
        weights = _fit(data, count, IntentOptions(iterations=_QUICK))
        logits, neighbours, _ = IntentHead([str(n) for n in range(count)], weights, NEUTRAL, "").witnesses(
            texts, vectors
        )
    return head.mix(logits, neighbours, replace(NEUTRAL, temperature=_USUAL))


def chosen_method(rows: Sequence[IntentExample], method: Method) -> Method:
    """What `auto` is for these rows; any other method is itself."""
    if method != "auto":
        return method
    inside = [row.intent for row in rows if row.intent != OOS]
    return "few-shot" if len(inside) <= FEW * len(set(inside)) else "frozen"


def tune_options(options: IntentOptions, encoder: Encoder) -> TuneOptions | None:
    """How the method tunes layers; None if it does not."""
    tuned = TUNED.get(options.method)
    return tuned(encoder.layers, options.seed, options.tensorboard) if tuned is not None else None


def inner_layers(encoder: Encoder) -> tuple[int, ...]:
    """The layers that a few-shot head pools."""
    return tuple(range(max(0, encoder.layers - LAYERS + 1), encoder.layers + 1))


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


def _encode(
    rows: Sequence[IntentExample],
    intents: Sequence[str],
    encoder: Encoder,
    layers: Sequence[int],
    progress: Progress,
) -> _Data:
    """The rows and, where layers are pooled, the names of the intents that speak."""
    texts = [row.text for row in rows]
    number = {intent: n for n, intent in enumerate(intents)} | {OOS: -1}
    owners = np.array([number[row.intent] for row in rows], np.int64)
    weights = np.array([row.weight for row in rows], np.float32)
    vectors, features = np.zeros((len(rows), encoder.dimension), np.float32), []
    for start in range(0, len(rows), 512):
        vectors[start : start + 512], pooled = _pooled(texts[start : start + 512], encoder, layers)
        features.append(pooled)
        progress(0.5 * min(1.0, (start + 512) / len(rows)), "encoding")
    unnamed = np.zeros(len(rows), bool)
    data = _Data(texts, vectors, _count_words(texts), owners, weights, np.concatenate(features), unnamed)
    return _with_names(data, intents, encoder, layers) if layers else data


def _pooled(texts: Sequence[str], encoder: Encoder, layers: Sequence[int]) -> tuple[Floats, Floats]:
    if not layers:
        return encoder.vectors(texts), np.zeros((len(texts), 0), np.float32)
    encodings = encoder.run(texts, layers)
    return np.stack([encoding.vector for encoding in encodings]), pool(encodings, layers)


def _with_names(data: _Data, intents: Sequence[str], encoder: Encoder, layers: Sequence[int]) -> _Data:
    names, inside = names_of(intents), data.owners >= 0
    vectors, features = _pooled([name or intent for name, intent in zip(names, intents, strict=True)], encoder, layers)
    said = np.array([bool(name) for name in names])
    kept = speaking(vectors * said[:, None], data.vectors[inside], data.owners[inside])
    texts = [*data.texts, *(names[n] for n in kept)]
    return _Data(
        texts,
        np.concatenate([data.vectors, vectors[kept]]),
        _count_words(texts),
        np.concatenate([data.owners, kept]),
        np.concatenate([data.weights, np.ones(len(kept), np.float32)]),
        np.concatenate([data.features, features[kept]]),
        np.concatenate([data.named, np.ones(len(kept), bool)]),
    )


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
    return _Data(
        [data.texts[row] for row in rows],
        data.vectors[rows],
        data.words[rows],
        data.owners[rows],
        data.weights[rows],
        data.features[rows],
        data.named[rows],
    )


def _views(data: _Data, count: int, encoder: Encoder) -> tuple[View, ...]:
    """The discriminant of the inner layers, if these were pooled."""
    if data.features.shape[1] == 0:
        return ()
    inside = _take(data, np.flatnonzero(data.owners >= 0))
    scores = discriminant(inside.features, inside.owners, inside.weights, count)
    return (View(inner_layers(encoder), scores),)


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
) -> list[Held]:
    """Per fold: scores of its rows, of the rows of left-out intents, and of made-up texts."""
    random = np.random.default_rng(options.seed)
    fold = np.where(data.named, -1, folds_of(np.where(data.named, -1, data.owners), options.folds, random))
    group = random.permutation(len(intents)) % options.folds if len(intents) >= 2 * options.folds else None
    made = made_up([text for text, named in zip(data.texts, data.named, strict=True) if not named], random)
    ones = np.ones(len(made), np.float32)
    none = np.zeros((len(made), data.features.shape[1]), np.float32)
    nobody, unnamed = np.full(len(made), -1), np.zeros(len(made), bool)
    gibberish = _Data(made, encoder.vectors(made), _count_words(made), nobody, ones, none, unnamed)
    results = []
    for number in range(options.folds):
        out = group == number if group is not None else np.zeros(len(intents), bool)
        results.append(_hold_out(data, fold == number, out, gibberish, options))
        progress(0.5 + 0.5 * (number + 2) / (options.folds + 2), "fitting")
    return results


def _hold_out(
    data: _Data, test: npt.NDArray[np.bool_], out: npt.NDArray[np.bool_], gibberish: _Data, options: IntentOptions
) -> Held:
    """Scores of the `test` rows and of gibberish by a head that knows neither them nor the intents that are `out`."""
    kept = np.flatnonzero(~out)
    renumber = np.full(len(out) + 1, -1)
    renumber[kept] = np.arange(len(kept))
    train = _take(data, np.flatnonzero(~test & (renumber[data.owners] >= 0)))
    train = replace(train, owners=renumber[train.owners])
    scorer = IntentHead([str(n) for n in kept], _fit(train, len(kept), options), NEUTRAL, "")
    sure = data.weights >= 1
    held = _take(data, np.flatnonzero(test & sure if sure.any() else test))
    texts = [*held.texts, *gibberish.texts]
    owners = np.concatenate([renumber[held.owners], gibberish.owners])
    found = scorer.witnesses(texts, np.concatenate([held.vectors, gibberish.vectors]))
    return Held(*found, owners, _seen(train, held, len(kept)))


def _seen(train: _Data, held: _Data, count: int) -> tuple[Floats, ...]:
    """Log probabilities of held-out rows by the inner layers, if these were pooled."""
    if train.features.shape[1] == 0:
        return ()
    weights = discriminant(train.features, train.owners, train.weights, count)
    return (head.log_shares(held.features @ weights.matrix.astype(np.float32) + weights.bias),)
