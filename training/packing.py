"""Samples of any length in rows of one length, so that no step is spent on padding.

Best-fit decreasing: the longest sample first, each into the fullest row that still has room. Samples of a row do not
see each other (a block-diagonal mask) and each counts its positions from 0: a sample is trained as if it were alone.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
IGNORED = -100
"""The label of a token that is given, not learned: what `torch.nn.functional.cross_entropy` leaves out."""


class Tokens(NamedTuple):
    """A sample as token ids; the first `given` of them are not learned."""

    ids: Sequence[int]
    given: int = 0


class Rows(NamedTuple):
    """Packed samples, each int64 (rows, length).

    `labels` are the ids themselves (the model shifts them), `IGNORED` where nothing is learned. `segments` number the
    samples of a row from 1; 0 is padding. `positions` count within a sample.
    """

    ids: Ints
    labels: Ints
    segments: Ints
    positions: Ints

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return int((self.labels != IGNORED).sum())

    def take(self, rows: Ints) -> Rows:
        """Some of the rows."""
        return Rows(*(part[rows] for part in self))


def pack(samples: Sequence[Tokens], length: int, pad: int) -> Rows:
    """Fill rows of `length` tokens. A longer sample is cut into pieces; what was given before a cut stays given.

    The first token of a sample is never learned: nothing stands before it.
    """
    pieces = [piece for sample in samples for piece in _pieces(sample, length)]
    order = sorted(range(len(pieces)), key=lambda index: (-len(pieces[index].ids), index))
    rows: list[list[Tokens]] = []
    room: list[tuple[int, int]] = []  # (tokens free, row), sorted
    for index in order:
        piece = pieces[index]
        at = bisect_left(room, (len(piece.ids), -1))
        free, row = room.pop(at) if at < len(room) else (length, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(piece)
        insort(room, (free - len(piece.ids), row))
    return _filled(rows, length, pad)


def _pieces(sample: Tokens, length: int) -> list[Tokens]:
    starts = range(0, len(sample.ids), length)
    return [Tokens(sample.ids[start : start + length], max(0, sample.given - start)) for start in starts]


def _filled(rows: Sequence[Sequence[Tokens]], length: int, pad: int) -> Rows:
    shape = (len(rows), length)
    ids, labels = np.full(shape, pad, np.int64), np.full(shape, IGNORED, np.int64)
    segments, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, pieces in enumerate(rows):
        at = 0
        for number, piece in enumerate(pieces, 1):
            end = at + len(piece.ids)
            ids[row, at:end], segments[row, at:end], positions[row, at:end] = piece.ids, number, np.arange(end - at)
            begin = at + max(1, min(piece.given, len(piece.ids)))
            labels[row, begin:end] = ids[row, begin:end]
            at = end
    return Rows(ids, labels, segments, positions)
