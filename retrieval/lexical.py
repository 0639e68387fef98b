"""Search by words: BM25 over lower-cased, lightly stemmed words; CJK text by pairs of characters.

Beside single words, two that stand next to each other are looked for as well: "credit card" says more than "credit" and
"card". Their share is told apart, as few true answers repeat a question's word order.

bm25s computes the weight of each word in each chunk once, at ingest; a query then only adds up the rows of its words,
which needs numpy alone. The sum is divided by the most that the query's words could bring, so a score says which share
of the query's information a chunk holds (0..1), and is comparable between queries and between corpora.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from retrieval.corpus import CJK

K1, B = 1.2, 0.75
_RUN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_IS_CJK = re.compile(f"[{CJK}]")

LETTERS = "abcdefghijklmnopqrstuvwxyz"
RESPELLED = range(4, 21)
"""Letters of words that are respelled: shorter ones are near too many others, longer ones are no words."""
MOST_GUESSES = 16
"""Unknown words of a query that are respelled; with `MOST_CHARACTERS` it bounds what a query costs."""
MOST_CHARACTERS = 4_000
"""Characters of a query that are looked at."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


def words(text: str) -> list[str]:
    """The words of a text: stems of words, pairs of neighbouring CJK characters (one alone stands for itself)."""
    return list(_words(text))


def stem(word: str) -> str:
    """English plurals to singulars (the S-stemmer of Harman 1991, "How effective is suffixing?")."""
    if len(word) > 3 and word.endswith("s"):
        if word.endswith("ies") and word[-4] not in "ae":
            return word[:-3] + "y"
        if word.endswith("es") and word[-3] not in "aeo":
            return word[:-1]
        if word[-2] not in "us":
            return word[:-1]
    return word


def pairs(found: Sequence[str]) -> list[str]:
    """Neighbouring words as terms of their own; Chinese, Japanese and Korean have theirs in the words already."""
    return [f"{one} {other}" for one, other in pairwise(found) if not (_IS_CJK.match(one) or _IS_CJK.match(other))]


def _words(text: str) -> Iterator[str]:
    for run in _RUN.findall(text.casefold()):
        if not _IS_CJK.match(run):
            yield stem(run)
        elif len(run) == 1:
            yield run
        else:
            yield from (run[at : at + 2] for at in range(len(run) - 1))


class Shares(NamedTuple):
    """For each chunk the share of the query's information that it holds in `words` and in `pairs` of words.

    Both float32 (chunks,), 0..1. A query without pairs has the share of its words as that of its pairs.
    """

    words: Floats
    pairs: Floats


@dataclass(frozen=True, slots=True)
class Lexical:
    """Weights of terms (words, pairs) in chunks, term by term: those of term t are at `starts[t]` to `starts[t + 1]`.

    `chunks` int32 and `weights` float32 run in parallel; `starts` is int64 (terms + 1); `idf` float32 (terms).
    """

    vocabulary: dict[str, int]
    starts: npt.NDArray[np.int64]
    chunks: Ints
    weights: Floats
    idf: Floats
    count: int

    @classmethod
    def build(cls, texts: Sequence[str]) -> Lexical:
        """Index texts; the number of a text is that of its chunk."""
        import bm25s

        tokens = [[*found, *pairs(found)] or [""] for found in map(words, texts)]
        scorer = bm25s.BM25(k1=K1, b=B, method="lucene")
        scorer.index(tokens, show_progress=False, create_empty_token=False)
        starts = np.asarray(scorer.scores["indptr"], np.int64)
        vocabulary = {word: int(number) for word, number in scorer.vocab_dict.items()}
        idf = _idf(np.diff(starts), len(texts)).astype(np.float32)
        chunks, weights = np.asarray(scorer.scores["indices"], np.int32), np.asarray(scorer.scores["data"], np.float32)
        return cls(vocabulary, starts, chunks, weights, idf, len(texts))

    def shares(self, text: str) -> Shares:
        """For each chunk the shares of the query's information that it holds.

        A word that no chunk has is taken for the nearest one that some has; if there is none, it counts against all of
        them as the rarest word would.
        """
        known = self._spelled(words(text[:MOST_CHARACTERS]))
        by_words, neighbours = self._share(known), pairs(known)
        return Shares(by_words, self._share(neighbours) if neighbours else by_words)

    def _share(self, terms: Sequence[str]) -> Floats:
        found = np.zeros(self.count, np.float32)
        most, unknown = 0.0, float(_idf(np.zeros(1), self.count)[0])
        for term in dict.fromkeys(terms):
            number = self.vocabulary.get(term)
            if number is None:
                most += unknown
                continue
            row = slice(self.starts[number], self.starts[number + 1])
            found[self.chunks[row]] += self.weights[row]
            most += float(self.idf[number])
        return found / np.float32(most) if most else found

    def _spelled(self, found: Sequence[str]) -> list[str]:
        """The words as the vocabulary spells them; unknown ones that are near no other stay."""
        unknown = [word for word in dict.fromkeys(found) if word not in self.vocabulary and len(word) in RESPELLED]
        spelled = {word: self._respelled(word) for word in unknown[:MOST_GUESSES]}
        return [spelled.get(word) or word for word in found]

    def _respelled(self, word: str) -> str | None:
        """The most frequent word of the vocabulary that is one slip away, if any."""
        near = {slip: number for slip in _slips(word) if (number := self.vocabulary.get(slip)) is not None}
        return min(near, key=lambda slip: float(self.idf[near[slip]]), default=None)


def _slips(word: str) -> Iterator[str]:
    """Words with one letter left out, swapped with the next, replaced or put in (Norvig 2007, "How to write a spelling
    corrector"); the first letter, which people rarely get wrong, stays."""
    for at in range(1, len(word) + 1):
        before, after = word[:at], word[at:]
        yield before + after[1:]
        yield before + after[1:2] + after[:1] + after[2:]
        for letter in LETTERS:
            yield before + letter + after[1:]
            yield before + letter + after


def _idf(documents: npt.NDArray[np.generic], total: int) -> npt.NDArray[np.float64]:
    """Lucene's inverse document frequency, never negative."""
    frequency = documents.astype(np.float64)
    weight: npt.NDArray[np.float64] = np.log1p((total - frequency + 0.5) / (frequency + 0.5))
    return weight
