"""Questions in, passages out: dense and lexical search, fused into one calibrated score.

A chunk's dense score blends its passage's and its best question's inner product with the question; its lexical score is
the share of the question's information that its words, and pairs of them, hold. Candidates come from both searches and
are ranked by both scores. How much words count is decided for each question: where the vectors tell the best candidate
clearly from the twentieth they are trusted, where they hardly do (foreign or technical language, a corpus on one
subject) the words decide. That is right for the order, but not for comparing questions with each other, so how good a
hit is at all is told by scores with one weight: the relevance model, fitted when the index was built, turns them into
the probability that the chunk answers the question. That is a hit's `score`, to be held against the floor; no hit has a
higher one than those ranked before it. Filters restrict both searches before anything is scored, so no other chunk can
show through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bot.core.errors import InputError
from bot.core.events import Hit
from bot.core.protocols import Hits, Query
from retrieval.corpus import Chunk
from retrieval.index import Contents, Embedder, check_fingerprint, read_index
from retrieval.lexical import Floats, Ints, Shares
from retrieval.projection import QueryProjection

CANDIDATES = 50
"""Chunks taken from each of the two searches."""
WORD_WEIGHT = 0.3
"""What a full share of words counts beside a cosine of 1 when hits are judged; see docs/benchmarks/retrieval.md."""
ORDER_WEIGHT = 0.15
"""What a full lexical score counts, by the gap, when candidates are ordered; see docs/benchmarks/retrieval.md."""
PAIRS = 0.4
"""The part of the lexical score that is of pairs of words."""
NEIGHBOURS = 20
"""The gap is that between the best dense score and the one in this place."""
GAPS = (0.05, 0.6)
"""Gaps are cut to this range."""
BETTER = 0.75
"""Weight of the better of the two likenesses, with the passage and with a question; the other has the rest."""
BREADTH = 128
"""How many neighbours the HNSW search keeps in view."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Chunk numbers, best first, with their dense scores and shares of words; arrays of one length."""

    chunks: Ints
    dense: Floats
    words: Floats

    @property
    def evidence(self) -> Floats:
        """What speaks for each of them, comparable between questions."""
        return evidence(self.dense, self.words)


def evidence(dense: Floats, words: Floats) -> Floats:
    """One score from two, to judge hits by."""
    return dense + np.float32(WORD_WEIGHT) * words


def lexical_scores(shares: Shares) -> Floats:
    """One lexical score from the shares of words and of pairs."""
    return np.float32(1 - PAIRS) * shares.words + np.float32(PAIRS) * shares.pairs


def lexical_weight(dense: Floats, trust: float = 1.0) -> np.float32:
    """What a full lexical score counts beside dense scores, trusted so far, to order candidates by both."""
    if not len(dense):
        return np.float32(0)
    place = min(NEIGHBOURS, len(dense))
    best = np.partition(dense, len(dense) - place)[-place:]
    return np.float32(ORDER_WEIGHT / trust / np.clip(best.max() - best.min(), *GAPS))


def blend(passage: Floats, asked: Floats) -> Floats:
    """The dense score of chunks from that of the passage and of the best question; equal where there is no question."""
    share, rest = np.float32(BETTER), np.float32(1 - BETTER)
    return np.asarray(share * np.maximum(passage, asked) + rest * np.minimum(passage, asked), np.float32)


class Searcher:
    """Ranks the chunks of an index. Holds the vectors in memory; `rank` may be called from one thread at a time."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._graph = _graph(contents)
        self._starts = np.searchsorted(contents.owners, np.arange(len(contents.chunks) + 1)).astype(np.int64)
        self._having = _by_metadata(contents.chunks)
        self._trust = contents.relevance.trust

    def rank(self, text: str, vector: Floats, filters: Mapping[str, str] | None = None, top: int = 5) -> Ranked:
        """The best `top` chunks among those whose metadata equals the filters."""
        allowed = self._allowed(filters or {})
        shares = self._contents.lexical.shares(text)
        lexical = lexical_scores(shares)
        chosen = np.union1d(self._near(vector, allowed), self._worded(lexical, allowed)).astype(np.int32)
        dense = self._dense(vector, chosen)
        scores = dense + lexical_weight(dense, self._trust) * lexical[chosen]
        order = np.argsort(-scores, kind="stable")[:top]
        return Ranked(chosen[order], dense[order], shares.words[chosen][order])

    def _allowed(self, filters: Mapping[str, str]) -> Ints | None:
        """The chunks that pass the filters, ascending; `None` if there are no filters."""
        allowed: Ints | None = None
        for item in filters.items():
            passing = self._having.get(item, np.zeros(0, np.int32))
            allowed = passing if allowed is None else np.intersect1d(allowed, passing, assume_unique=True)
        return allowed

    def _near(self, vector: Floats, allowed: Ints | None) -> Ints:
        """Chunks of the nearest vectors. A small allowed set is compared whole."""
        faiss = _faiss()
        owners = self._contents.owners
        if allowed is not None and len(allowed) <= CANDIDATES:
            return allowed
        options: dict[str, Any] = {}
        if allowed is not None:
            options["sel"] = faiss.IDSelectorBatch(np.flatnonzero(np.isin(owners, allowed)).astype(np.int64))
        if self._contents.graph is None:
            parameters = faiss.SearchParameters(**options)
        else:
            parameters = faiss.SearchParametersHNSW(efSearch=BREADTH, **options)
        most = min(CANDIDATES, len(owners))
        _, rows = self._graph.search(vector[None], most, params=parameters)
        near: Ints = owners[rows[0][rows[0] >= 0]]
        return near

    def _worded(self, lexical: Floats, allowed: Ints | None) -> Ints:
        """Chunks with the largest lexical scores above 0."""
        among = np.flatnonzero(lexical).astype(np.int32) if allowed is None else allowed[lexical[allowed] > 0]
        if len(among) <= CANDIDATES:
            return among
        return among[np.argpartition(-lexical[among], CANDIDATES)[:CANDIDATES]]

    def _dense(self, vector: Floats, chosen: Ints) -> Floats:
        """For each chosen chunk the blend of its likenesses: of its passage and of the best of its questions."""
        if not len(chosen):
            return np.zeros(0, np.float32)
        lengths = self._starts[chosen + 1] - self._starts[chosen]
        firsts = np.cumsum(lengths) - lengths
        rows = np.arange(lengths.sum()) - np.repeat(firsts - self._starts[chosen], lengths)
        likeness = self._contents.vectors[rows] @ vector
        passage = likeness[firsts]
        likeness[firsts[lengths > 1]] = -np.inf
        return blend(passage, np.maximum.reduceat(likeness, firsts))


class KnowledgeIndex:
    """A `Retriever` over an index on disk, read once. `projection` turns the questions' vectors, if there is one."""

    def __init__(
        self, index: str, contents: Contents, embedder: Embedder, projection: QueryProjection | None = None
    ) -> None:
        self.id = index
        self.contents = contents
        self.chunks = contents.chunks
        self.projection = projection
        self._relevance = contents.relevance
        self.embedder = embedder
        self._searcher = Searcher(contents)

    def projected(self, projection: QueryProjection | None) -> KnowledgeIndex:
        """The same index, sharing its memory, with another projection or none.

        Raises:
            InputError: the projection is for vectors of another dimension.
        """
        if projection is not None and projection.dimension != self.embedder.dimension:
            raise InputError(f"expected a projection of {self.embedder.dimension}, found {projection.dimension}")
        found = copy(self)
        found.projection = projection
        return found

    @classmethod
    def open(cls, root: Path, embedder: Embedder) -> KnowledgeIndex:
        """Open the current index below `root`.

        Raises:
            NotFound: there is no index.
            IntegrityError: a file was changed, or the vectors are of another encoder.
        """
        index, contents = read_index(root)
        check_fingerprint(root, index, contents.fingerprint, embedder)
        return cls(index, contents, embedder)

    @property
    def floor(self) -> float:
        """The least score of a hit that may be used as an answer."""
        return self._relevance.floor

    def search(self, queries: Sequence[Query]) -> list[Hits]:
        """The best passages for each query, in the order of the queries. A hit's score is a probability.

        Raises:
            InputError: a query's vector does not have the index's dimension.
        """
        return [self._hits(query, vector) for query, vector in zip(queries, self._vectors(queries), strict=True)]

    def _vectors(self, queries: Sequence[Query]) -> list[Floats]:
        """The vectors given with the queries; the others are computed in one batch."""
        missing = iter(self.embedder.run([query.text for query in queries if query.vector is None]))
        vectors = [next(missing).vector if query.vector is None else query.vector for query in queries]
        for vector in vectors:
            if np.shape(vector) != (self.embedder.dimension,):
                raise InputError(f"expected vectors of shape ({self.embedder.dimension},), found {np.shape(vector)}")
        if self.projection is not None:
            vectors = [self.projection.run(vector) for vector in vectors]
        return [np.ascontiguousarray(vector, np.float32) for vector in vectors]

    def _hits(self, query: Query, vector: Floats) -> Hits:
        ranked = self._searcher.rank(query.text, vector, query.filters, query.top)
        scores = np.minimum.accumulate(self._relevance.probability(ranked.evidence))
        pairs = zip(ranked.chunks.tolist(), scores.tolist(), strict=True)
        return Hits(tuple(_hit(self.chunks[number], score) for number, score in pairs), self.floor, self.id)


def build_graph(vectors: Floats) -> bytes:
    """An HNSW graph over unit vectors, in FAISS's own format. One thread, so that equal vectors give equal bytes."""
    faiss = _faiss()

    graph = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 100
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    graph.add(vectors)
    faiss.omp_set_num_threads(threads)
    return bytes(faiss.serialize_index(graph))


def _graph(contents: Contents) -> Any:
    faiss = _faiss()
    if contents.graph is not None:
        return faiss.deserialize_index(np.frombuffer(contents.graph, np.uint8))
    flat = faiss.IndexFlatIP(contents.vectors.shape[1])
    flat.add(contents.vectors)
    return flat


def _faiss() -> Any:
    """FAISS without its types, which lack half of its names; imported at the first use, to keep starts short."""
    import faiss

    return faiss


def _by_metadata(chunks: Sequence[Chunk]) -> dict[tuple[str, str], Ints]:
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, chunk in enumerate(chunks):
        for item in chunk.metadata.items():
            found[item].append(number)
    return {item: np.asarray(numbers, np.int32) for item, numbers in found.items()}


def _hit(chunk: Chunk, score: float) -> Hit:
    return Hit(
        chunk=chunk.id,
        document=chunk.document,
        title=chunk.title,
        text=chunk.text,
        score=score,
        url=chunk.url,
        answer=chunk.answer,
    )
