"""Key mashing is no wish. A tokenizer that knows its language breaks real words into few, long pieces, and "asdf qwer"
into crumbs; a small training set cannot teach an intent head that, so it is a rule. The tokenizer breaks the words of
languages that it does not know too, so what looks as if it could be spoken ("obrigado") is not judged.
"""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"[A-Za-z]{3,}")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEYS = {row[at : at + 4] for keys in _ROWS for row in (keys, keys[::-1]) for at in range(len(row) - 3)}
_UNSPEAKABLE = re.compile(
    rf"\b[b-df-hj-np-tv-xz]{{3,}}\b|[b-df-hj-np-tv-xz]{{4,}}|([a-z])\1{{3}}|{'|'.join(sorted(_KEYS))}", re.IGNORECASE
)
"""A word without a vowel, four consonants in a row, one letter again and again, or four keys side by side."""
_CRUMB = 2.1
"""Letters per piece at or below which a text is no language. Misspelt and foreign words stay above it."""
_FEWEST = 5
"""Letters below which a text is not judged: "thx", "KLM"."""
_SAMPLE = 40
"""Words looked at."""


def is_gibberish(text: str, offsets: npt.NDArray[np.int32]) -> bool:
    """Whether every word of a text in Latin letters falls into crumbs, and one of them cannot be spoken.

    `offsets`: int32 (tokens, 2), the character span of each piece, as in `Encoding`.
    """
    words = [match.span() for match in islice(_WORD.finditer(text), _SAMPLE)]
    letters = sum(end - start for start, end in words)
    if letters < _FEWEST or not text.isascii():  # nothing to judge, an abbreviation, or no Latin letters
        return False
    if not any(_UNSPEAKABLE.search(text, *word) for word in words):
        return False
    starts = offsets[:, 0][offsets[:, 1] > offsets[:, 0]]
    borders = np.searchsorted(starts, words)
    pieces = borders[:, 1] - borders[:, 0]
    # A word that the tokenizer knows whole speaks for the text.
    return bool(pieces.min() > 1 and letters / pieces.sum() <= _CRUMB)
