"""What a generator may not write, decided token by token before it is chosen.

It may use the placeholders of its prompt and no other; no digit, currency sign, address or mark-up of its own; no word
with a capital letter inside a sentence, which would be a name; and no four tokens in a row twice. What cannot be
written need not be found afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from skills.decoder import Choose, Floats
from skills.prompting import ABSTAIN, END, special_tokens

_OWN_VALUE = re.compile(r"[\d<>{}\[\]|@#$£€¥%&*=_\\/~^]|www|http", re.IGNORECASE)
_NAME = re.compile(r"^[^A-Za-z]*(?!I\b)[A-Z]")
_SENTENCE_END = re.compile(r"[.!?:]\s*[\"')]*\s*$")
_REPEAT = 4
Mask = npt.NDArray[np.bool_]


class Constraints:
    """The rules for one vocabulary: each token's text, in the order of their ids."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._texts = list(vocabulary)
        self._ids = {text: number for number, text in enumerate(vocabulary)}
        special = set(special_tokens())
        self._never: Mask = np.array([text in special or bool(_OWN_VALUE.search(text)) for text in vocabulary])
        self._names: Mask = np.array([text not in special and bool(_NAME.search(text)) for text in vocabulary])
        self._never[[self._ids[END]]] = False

    def around(self, choose: Choose, allowed: Iterable[str], *, abstain: bool = True) -> Choose:
        """A choice that keeps the rules; `allowed` are the placeholders of the prompt, `abstain` whether it may."""
        never = self._never.copy()
        never[[self._ids[text] for text in allowed]] = False

        def chosen(logits: Floats, written: Sequence[int]) -> int:
            forbidden = never.copy()
            said = "".join(self._texts[token] for token in written[-12:])
            if written and not _SENTENCE_END.search(said):
                forbidden |= self._names
            # Abstaining is a decision about the whole answer: it comes first or not at all, and only when it is more
            # likely than all answers together; as one token it would win against any one of their beginnings.
            forbidden[self._ids[ABSTAIN]] = bool(written) or not abstain or _odds(logits, self._ids[ABSTAIN]) <= 1
            forbidden[self._ids[END]] = not written
            forbidden[list(_repeats(written))] = True
            return choose(np.where(forbidden, np.float32(-np.inf), logits), written)

        return chosen


def _odds(logits: Floats, token: int) -> float:
    """How much more likely a token is than all others together."""
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return float(weights[token] / max(weights.sum() - weights[token], 1e-12))


def _repeats(written: Sequence[int]) -> Iterable[int]:
    """Tokens that would write the last ones a second time."""
    tail = tuple(written[1 - _REPEAT :])
    if len(tail) < _REPEAT - 1:
        return
    for start in range(len(written) - len(tail)):
        if tuple(written[start : start + len(tail)]) == tail:
            yield written[start + len(tail)]
