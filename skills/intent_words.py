"""The words of a text as the intent head sees them: hashed n-grams, and a digest by which whole texts are known."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

BUCKETS = 8192
"""Hashed word features."""
MAX_CHARACTERS = 4096
MAX_WORDS = 256
LONGEST_WORD = 60
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Words:
    """Hashed n-grams of some texts: for text i, `buckets[starts[i]:starts[i + 1]]` and `counts` beside."""

    starts: npt.NDArray[np.int64]
    buckets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float32]


def hash_words(texts: Sequence[str]) -> Words:
    """Unigrams and bigrams as bucket numbers. Numbers count as one word each length; a Chinese character is a word."""
    starts: list[int] = [0]
    buckets: list[int] = []
    counts: list[int] = []
    for text in texts:
        tokens = _WORD.findall(_DIGITS.sub(lambda found: "0" * len(found[0]), text[:MAX_CHARACTERS].casefold()))[
            :MAX_WORDS
        ]
        seen: dict[int, int] = {}
        for gram in [*tokens, *(f"{first} {second}" for first, second in pairwise(tokens))]:
            bucket = zlib.crc32(gram.encode("utf-8", "replace")) % BUCKETS
            seen[bucket] = seen.get(bucket, 0) + 1
        buckets.extend(seen)
        counts.extend(seen.values())
        starts.append(len(buckets))
    return Words(np.array(starts, np.int64), np.array(buckets, np.int64), np.array(counts, np.float32))


def digest_of(text: str) -> int:
    """64 bits of the text's words, without regard to case and punctuation; of the text itself if it has none."""
    plain = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).casefold()
    words = " ".join(_WORD.findall(plain)) or plain.strip()
    return int.from_bytes(hashlib.sha256(words.encode("utf-8", "replace")).digest()[:8], "big")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text are: start and end in characters."""
    return [found.span() for found in _WORD.finditer(text[:MAX_CHARACTERS])]


def has_words(text: str) -> bool:
    """Whether anything in the text could be a word: not only digits, not longer than words are."""
    return any(len(word) <= LONGEST_WORD and not word.isdigit() for word in _WORD.findall(text[:MAX_CHARACTERS]))
