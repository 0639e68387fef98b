"""Search by words: BM25 over lower-cased, lightly stemmed words; CJK text by pairs of characters.

bm25s computes the weight of each word in each chunk once, at ingest; a query then only adds up the rows of its words,
which needs numpy alone. The sum is divided by the most that the query's words could bring, so a score says which share
of the query's information a chunk holds (0..1), and is comparable between queries and between corpora.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    """The terms of a text: stems of words, pairs of neighbouring CJK characters (one alone stands for itself)."""
    return list(_terms(text))


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


def _terms(text: str) -> Iterator[str]:
    for run in _RUN.findall(text.casefold()):
        if not _IS_CJK.match(run):
            yield stem(run)
        elif len(run) == 1:
            yield run
        else:
            yield from (run[at : at + 2] for at in range(len(run) - 1))


@dataclass(frozen=True, slots=True)
class Lexical:
    """Weights of words in chunks, word by word: those of word w are at `starts[w]` to `starts[w + 1]`.

    `chunks` int32 and `weights` float32 run in parallel; `starts` is int64 (words + 1); `idf` float32 (words).
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

        tokens = [words(text) or [""] for text in texts]
        scorer = bm25s.BM25(k1=K1, b=B, method="lucene")
        scorer.index(tokens, show_progress=False, create_empty_token=False)
        starts = np.asarray(scorer.scores["indptr"], np.int64)
        vocabulary = {word: int(number) for word, number in scorer.vocab_dict.items()}
        idf = _idf(np.diff(starts), len(texts)).astype(np.float32)
        chunks, weights = np.asarray(scorer.scores["indices"], np.int32), np.asarray(scorer.scores["data"], np.float32)
        return cls(vocabulary, starts, chunks, weights, idf, len(texts))

    def shares(self, text: str) -> Floats:
        """For each chunk the share of the query's information that it holds: float32 (chunks,), 0..1.

        A word that no chunk has is taken for the nearest one that some has; if there is none, it counts against all of
        them as the rarest word would.
        """
        found = np.zeros(self.count, np.float32)
        most, unknown = 0.0, float(_idf(np.zeros(1), self.count)[0])
        guesses = MOST_GUESSES
        for word in dict.fromkeys(words(text[:MOST_CHARACTERS])):
            number = self.vocabulary.get(word)
            if number is None and guesses and len(word) in RESPELLED:
                guesses -= 1
                number = self._respelled(word)
            if number is None:
                most += unknown
            else:
                row = slice(self.starts[number], self.starts[number + 1])
                found[self.chunks[row]] += self.weights[row]
                most += float(self.idf[number])
        return found / np.float32(most) if most else found

    def _respelled(self, word: str) -> int | None:
        """The most frequent word of the vocabulary that is one slip away, if any."""
        near = map(self.vocabulary.get, _slips(word))
        return min((number for number in near if number is not None), key=self.idf.__getitem__, default=None)


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
