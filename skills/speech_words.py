"""When each word was said, from where the decoder attended when it wrote its tokens.

openai-whisper's way (dynamic time warping over the attention of some heads), on the attention that the decoder had
anyway while it wrote: no second pass over the text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_WIDTH = 7
"""Positions over which attention is smoothed."""
_POSITION = 0.02


def starts(aligned: Sequence[Floats], tokens: int, positions: int) -> npt.NDArray[np.float64]:
    """When each token begins, in seconds, and behind them when the last one ends: (tokens + 1,).

    `aligned` are the attention rows (heads, positions) before the softmax, in the order of the text, those for the
    tokens and the end last; `positions` is how many of them are sound.
    """
    rows = np.stack(aligned, axis=1)[..., :positions].astype(np.float64)
    shares = np.exp(rows - rows.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    spread = np.maximum(shares.std(axis=1, keepdims=True), 1e-9)
    smooth = _median((shares - shares.mean(axis=1, keepdims=True)) / spread)
    matrix = smooth.mean(axis=0)[-(tokens + 1) :]
    return path_starts(-matrix).astype(np.float64) * _POSITION


def path_starts(cost: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The column at which the cheapest path through a matrix enters each row, from its first corner to its last."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        column = diagonal - row
        best = np.minimum(np.minimum(total[row - 1, column - 1], total[row - 1, column]), total[row, column - 1])
        total[row, column] = cost[row - 1, column - 1] + best
    found = np.zeros(rows, np.int64)
    row, column = rows, columns
    while row > 0:
        found[row - 1] = max(column - 1, 0)
        options = (total[row - 1, column - 1], total[row - 1, column], total[row, column - 1])
        if options[0] < options[1] and options[0] < options[2]:
            row, column = row - 1, column - 1
        elif options[1] < options[0] and options[1] < options[2]:
            row -= 1
        else:
            column -= 1
        if column == 0:
            found[:row] = 0
            break
    return found


def _median(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each value's median with its neighbours along the last axis."""
    half = _WIDTH // 2
    if values.shape[-1] <= half:
        return values
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(half, half)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WIDTH, axis=-1)
    found: npt.NDArray[np.float64] = np.partition(windows, half, axis=-1)[..., half]
    return found
