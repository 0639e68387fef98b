"""Fits the query projection: questions turn towards the passages that answered them, passages stay where they are.

For each pair of a question and its passage the index's own search, unturned, gives the passages that it wrongly prefers
(mined negatives); some at random join them. A softmax over the scores that the search would give, dense part turned
and lexical part as it is, should choose the right one (InfoNCE, van den Oord 2018). Some pairs are wrong: people
click what stands first, and like an answer for its tone. So a pair may be luck with chance `noise` (the loss is
bounded, as in Ghosh et al. 2017), and each counts by how far it is believed. Questions that no company's documents
answer are held where they are, so that the relevance floor goes on refusing them. And passages that nobody has asked
for yet must not lose to those that everybody asks for: pseudo-questions made of the passages themselves (those that
calibrate the floor) are rehearsed beside the pairs.

A question turns only as far as it is like one that taught (`retrieval.projection`). How far those turn is not fixed: on
pairs that were left out, those of the newest words, several shares of the turn are compared, none among them, and the
smallest is taken that is about as good as the best (the one-standard-error rule of Breiman et al. 1984): what is turned
further than it need be pays with questions that nobody has asked yet. Seconds on one thread; the same pairs and options
give the same projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bot.core.errors import InputError
from retrieval.calibration import OFF_TOPIC, pseudo_questions
from retrieval.index import Contents, Embedder
from retrieval.projection import QueryProjection, owner_of
from retrieval.search import BETTER, Searcher, lexical_scores, lexical_weight
from training.progress import Progress, silent

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEFT_OUT = 5
"""One pair in so many is left out to choose how far to turn."""
_REHEARSED = 2000
"""Chunks that are rehearsed at most."""
_KEPT = 2000
"""Questions that taught, the newest, that are kept to tell which ones are like them."""
_BETAS = (0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the chunk that answered it, by its id. `weight` is how far that is believed, 0..1.

    Pairs of one `group` (words that say the same) are left out together.
    """

    text: str
    chunk: str
    weight: float = 1.0
    group: str = ""


@dataclass(frozen=True, slots=True)
class ProjectionOptions:
    """`rank` of the turn; `mined` and `drawn` negatives of a pair; `temperature` of the softmax; `hold` keeps questions
    of no company where they are; `rehearsed` pseudo-questions join each batch; `decay` shrinks the turn."""

    seed: int = 0
    rank: int = 16
    mined: int = 20
    drawn: int = 10
    steps: int = 400
    batch: int = 64
    rate: float = 4e-3
    temperature: float = 0.05
    noise: float = 0.1
    hold: float = 2.0
    rehearsed: int = 48
    decay: float = 0.02
    most: int = 6000


@dataclass(frozen=True, slots=True)
class FittedProjection:
    """The projection, the share of the turn that was best on pairs left out, and reciprocal ranks there."""

    projection: QueryProjection
    share: float
    pairs: int
    left_out: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class _Table:
    """Pairs as arrays: `queries` (n, d), `weights` (n,), and candidates (n, k), the right one first.

    `high` and `low` are the rows of the vectors that are blended into a candidate's dense score, `lexical` what its
    words add to it.
    """

    queries: Floats
    weights: Floats
    high: Ints
    low: Ints
    lexical: Floats

    def take(self, rows: Ints) -> _Table:
        return _Table(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: _Table) -> _Table:
        return _Table(*(np.concatenate([getattr(one, field.name) for one in (self, other)]) for field in fields(self)))


def fit_projection(
    pairs: Sequence[Pair],
    contents: Contents,
    encoder: Embedder,
    options: ProjectionOptions | None = None,
    progress: Progress = silent,
) -> FittedProjection:
    """Fit a projection for an index. Pairs of chunks that the index no longer has are left alone.

    Raises:
        InputError: there are fewer than 10 pairs.
    """
    options = options or ProjectionOptions()
    known = {chunk.id for chunk in contents.chunks}
    kept = [pair for pair in pairs if pair.chunk in known][-options.most :]
    if len(kept) < 2 * _LEFT_OUT:
        raise InputError(f"a query projection needs at least {2 * _LEFT_OUT} pairs, found {len(kept)}")
    progress(0.0, "finding negatives")
    with threadpool_limits(1):
        ground = _ground(kept, contents, encoder, options)
        out = _left_out(kept)
        progress(0.3, "fitting")
        rest, held = (ground.pairs.take(np.flatnonzero(rows)) for rows in (~out, out))
        trial = _fit(rest, ground, options)
        scores = [_reciprocal(held, contents.vectors, _turn(trial, share, rest)) for share in _SHARES]
        best = smallest(scores, held.weights)
        progress(0.6, "fitting")
        trained = _fit(ground.pairs, ground, options) if best else trial
    progress(1.0, "fitting")
    projection = _turn(trained, _SHARES[best], ground.pairs, owner_of(encoder.fingerprint))
    before, after = (float(np.average(scores[number], weights=held.weights)) for number in (0, best))
    return FittedProjection(projection, _SHARES[best], len(kept), int(out.sum()), before, after)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a fit stands on: the pairs, pseudo-questions, vectors of questions of no company, the index's vectors."""

    pairs: _Table
    rehearsal: _Table
    anchors: Floats
    vectors: Floats


def _ground(pairs: Sequence[Pair], contents: Contents, encoder: Embedder, options: ProjectionOptions) -> _Ground:
    asked = [Pair(text, chunk.id) for chunk, text in pseudo_questions(contents.chunks, _REHEARSED)]
    rehearsal = _table(asked, contents, encoder, options)
    # Their words are the passage's own, so the words alone would find it and the vectors would learn nothing.
    alone = replace(rehearsal, lexical=np.where(np.isfinite(rehearsal.lexical), np.float32(0), rehearsal.lexical))
    table = _table(pairs, contents, encoder, options)
    return _Ground(table, alone, _encoded(OFF_TOPIC, encoder), contents.vectors)


def _encoded(texts: Sequence[str], encoder: Embedder) -> Floats:
    return np.stack([encoded.vector for encoded in encoder.run(list(texts))]).astype(np.float32)


def _table(pairs: Sequence[Pair], contents: Contents, encoder: Embedder, options: ProjectionOptions) -> _Table:
    random = np.random.default_rng(options.seed)
    searcher, starts = Searcher(contents), _starts(contents)
    number = {chunk.id: place for place, chunk in enumerate(contents.chunks)}
    documents = [chunk.document for chunk in contents.chunks]
    queries, width = _encoded([pair.text for pair in pairs], encoder), 1 + options.mined + options.drawn
    high, low = np.zeros((2, len(pairs), width), np.int64)
    lexical = np.zeros((len(pairs), width), np.float32)
    for row, pair in enumerate(pairs):
        right = number[pair.chunk]
        ranked = searcher.rank(pair.text, queries[row], top=4 * options.mined)
        mined = ranked.chunks.tolist()
        others = [chunk for chunk in mined if documents[chunk] != documents[right]][: options.mined]
        drawn = random.integers(len(documents), size=width).tolist()
        others += [chunk for chunk in drawn if documents[chunk] != documents[right]]
        chosen = np.array([right, *others, *([right] * width)][:width])  # a corpus of one document has no negatives
        high[row], low[row] = _rows(contents, starts, queries[row], chosen)
        weight = lexical_weight(ranked.dense, contents.relevance.trust)
        lexical[row] = weight * lexical_scores(contents.lexical.shares(pair.text))[chosen]
        lexical[row, 1 + len(others) :] = -np.inf
    weights = np.array([pair.weight for pair in pairs], np.float32)
    return _Table(queries, weights / max(float(weights.mean()), 1e-6), high, low, lexical)


def _starts(contents: Contents) -> Ints:
    return np.searchsorted(contents.owners, np.arange(len(contents.chunks) + 1)).astype(np.int64)


def _rows(contents: Contents, starts: Ints, query: Floats, chunks: Ints) -> tuple[Ints, Ints]:
    """For each chunk the rows of its passage and of its best question, the better one first."""
    passage = starts[chunks]
    asked = passage.copy()
    for place, chunk in enumerate(chunks.tolist()):
        first, end = int(starts[chunk]) + 1, int(starts[chunk + 1])
        if end > first:
            asked[place] = first + int(np.argmax(contents.vectors[first:end] @ query))
    better = contents.vectors[asked] @ query > contents.vectors[passage] @ query
    return np.where(better, asked, passage), np.where(better, passage, asked)


def _left_out(pairs: Sequence[Pair]) -> npt.NDArray[np.bool_]:
    """Which pairs choose how far to turn: one group in `_LEFT_OUT`, the groups that came last."""
    groups = list(dict.fromkeys(pair.group or pair.text for pair in pairs))
    held = set(groups[-max(1, len(groups) // _LEFT_OUT) :])
    out = np.array([(pair.group or pair.text) in held for pair in pairs])
    return out if not out.all() else np.arange(len(pairs)) >= len(pairs) - len(pairs) // _LEFT_OUT


def _fit(table: _Table, ground: _Ground, options: ProjectionOptions) -> tuple[Floats, Floats]:
    """`down` and `up`, by Adam (Kingma and Ba 2015) with decoupled decay of `up`."""
    random, dimension = np.random.default_rng(options.seed), ground.vectors.shape[1]
    down = (random.standard_normal((options.rank, dimension)) / np.sqrt(dimension)).astype(np.float32)
    up = np.zeros((dimension, options.rank), np.float32)
    moments = [np.zeros_like(part) for part in (down, up, down, up)]
    for step in range(options.steps):
        batch = table.take(random.integers(len(table.queries), size=min(options.batch, len(table.queries))))
        again = ground.rehearsal.take(random.integers(len(ground.rehearsal.queries), size=options.rehearsed))
        gradients = _gradients(down, up, batch.joined(again), ground, options)
        rate = options.rate * 0.5 * (1 + np.cos(np.pi * step / options.steps))
        for place, (part, gradient) in enumerate(zip((down, up), gradients, strict=True)):
            first, second = moments[place], moments[place + 2]
            first += (1 - _BETAS[0]) * (gradient - first)
            second += (1 - _BETAS[1]) * (gradient * gradient - second)
            shift = first / (1 - _BETAS[0] ** (step + 1)) / (np.sqrt(second / (1 - _BETAS[1] ** (step + 1))) + 1e-8)
            part -= np.asarray(rate * shift, np.float32)
        up *= np.float32(1 - rate * options.decay)
    return down, up


def _gradients(
    down: Floats, up: Floats, batch: _Table, ground: _Ground, options: ProjectionOptions
) -> tuple[Floats, Floats]:
    inner = batch.queries @ down.T
    turned = batch.queries + inner @ up.T
    length = np.linalg.norm(turned, axis=1, keepdims=True)
    unit = turned / length
    candidates = _candidates(batch, ground.vectors)
    scores = (np.einsum("nkd,nd->nk", candidates, unit) + batch.lexical) / np.float32(options.temperature)
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    luck = options.noise / share.shape[1]
    trust = (1 - options.noise) * share[:, 0] / ((1 - options.noise) * share[:, 0] + luck)
    share[:, 0] -= 1
    share *= (batch.weights * trust / (options.temperature * len(share)))[:, None]
    by_unit = np.einsum("nk,nkd->nd", share, candidates)
    by_turned = (by_unit - unit * (by_unit * unit).sum(axis=1, keepdims=True)) / length
    held = ground.anchors @ down.T
    by_held = (2 * options.hold / len(held)) * (held @ up.T)
    to_up = by_turned.T @ inner + by_held.T @ held
    to_down = (by_turned @ up).T @ batch.queries + (by_held @ up).T @ ground.anchors
    return np.asarray(to_down, np.float32), np.asarray(to_up, np.float32)


def _candidates(table: _Table, vectors: Floats) -> Floats:
    """What a question is multiplied with to get the dense scores: float32 (n, k, dimension)."""
    blended = np.float32(BETTER) * vectors[table.high] + np.float32(1 - BETTER) * vectors[table.low]
    return np.asarray(blended, np.float32)


def _turn(trained: tuple[Floats, Floats], share: float, table: _Table, encoder: str = "") -> QueryProjection:
    """A share of what was trained, for questions like those of the table. They are rounded as they will be stored."""
    taught = table.queries[-_KEPT:].astype(np.float16).astype(np.float32)
    return QueryProjection(trained[0], np.asarray(trained[1] * np.float32(share), np.float32), taught, encoder)


def smallest(scores: Sequence[Floats], weights: Floats) -> int:
    """Of the shares that are about as good as the best the smallest: within one standard error of the difference.

    `scores`: reciprocal ranks of the same rows by each share, the smallest share first.
    """
    means = [float(np.average(one, weights=weights)) for one in scores]
    best = scores[int(np.argmax(means))]
    for number, one in enumerate(scores):
        gap = weights * (best - one) / weights.sum()
        if gap.sum() <= 1.001 * np.sqrt((gap * gap).sum()):
            return number
    return int(np.argmax(means))


def _reciprocal(table: _Table, vectors: Floats, projection: QueryProjection) -> Floats:
    """The reciprocal ranks of the right candidates with a projection, (n,)."""
    turned = projection.run(table.queries)
    scores = np.einsum("nkd,nd->nk", _candidates(table, vectors), turned) + table.lexical
    ranks = 1 + (scores[:, 1:] >= scores[:, :1]).sum(axis=1)
    return np.asarray(1 / ranks, np.float32)
