"""Which tokens may follow, as openai-whisper decides it; and how likely a token is among them.

Without times: no marks, no signs that nobody says, no empty text. With times: they stand in pairs around a piece of
text, never go back, and one is taken when all of them together are likelier than any single token of text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skills.speech_tokens import SpeechTokens

Floats = npt.NDArray[np.float32]
_NO = np.float32(-np.inf)
_LATEST_START = 1.0
"""Seconds: the highest time that may stand first."""


class Rules:
    """What a model may write."""

    def __init__(self, tokens: SpeechTokens, *, times: bool) -> None:
        self._tokens, self._times = tokens, times
        self._latest = round(_LATEST_START * tokens.shape.n_audio_ctx / 30)
        self._always = np.zeros(tokens.shape.n_vocab, np.float32)
        self._always[tokens.never] = _NO
        if times:
            self._always[tokens.mark("notimestamps")] = _NO
        self._first = self._always.copy()
        self._first[tokens.not_first] = _NO

    def allow(self, logits: Floats, written: Sequence[int]) -> Floats:
        """The log-probabilities of what may follow; minus infinity for all else. `logits` are (vocabulary,)."""
        found = logits + (self._always if written else self._first)
        if self._times:
            self._pairs(found, written)
            self._prefer_times(found)
        return log_odds(found)

    def _pairs(self, scores: Floats, written: Sequence[int]) -> None:
        begin = self._tokens.times
        last = bool(written) and written[-1] >= begin
        before = len(written) < 2 or written[-2] >= begin
        if last and before:
            scores[begin:] = _NO
        elif last:
            scores[: self._tokens.end] = _NO
        if told := [token for token in written if token >= begin]:
            scores[begin : told[-1] + (0 if last and not before else 1)] = _NO
        if not written:
            scores[:begin] = _NO
            scores[begin + self._latest + 1 :] = _NO

    def _prefer_times(self, scores: Floats) -> None:
        begin = self._tokens.times
        odds = log_odds(scores)
        if np.logaddexp.reduce(odds[begin:]) > odds[:begin].max():
            scores[:begin] = _NO


def log_odds(scores: Floats) -> Floats:
    """The log of the softmax; all minus infinity stays so."""
    highest = scores.max()
    if not np.isfinite(highest):
        return scores
    shifted = scores - highest
    found: Floats = shifted - np.log(np.exp(shifted).sum())
    return found
