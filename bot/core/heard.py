"""Which part of a spoken reply has been heard.

A reply is played as pieces (sentences, or parts of them) whose texts, joined, are the reply's text. The wire knows how
many samples have left the loudspeaker, or gets marks back for points it has named. From that follows the exact text of
the pieces that were reached; of the piece that is being played, the words up to a mark within it. Where no marks are,
words may be estimated: characters are taken to need equal time, and a word counts when all of it was said.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple


class Piece(NamedTuple):
    """A text and the samples it takes. `marks` are pairs (samples from the piece's start, characters said by then), in
    rising order; the end of the piece is a mark by itself."""

    text: str
    samples: int
    marks: tuple[tuple[int, int], ...] = ()


class Playback(NamedTuple):
    """The pieces of one reply, in the order of playing, and how far it was heard."""

    pieces: tuple[Piece, ...] = ()
    played: int = 0
    """Samples that have been heard; only grows."""

    @property
    def samples(self) -> int:
        """Samples of all pieces so far."""
        return sum(piece.samples for piece in self.pieces)

    @property
    def text(self) -> str:
        """The text of all pieces so far."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def over(self) -> bool:
        """Whether everything that was added has been heard."""
        return self.played >= self.samples

    def add(self, text: str, samples: int, marks: tuple[tuple[int, int], ...] = ()) -> Playback:
        """With one more piece at the end. What has no sound is heard with what stands before it."""
        return self._replace(pieces=(*self.pieces, Piece(text, max(0, samples), marks)))

    def reach(self, played: int) -> Playback:
        """Heard up to this sample of the reply. Older news than is known changes nothing."""
        return self._replace(played=max(self.played, min(played, self.samples)))

    def heard(self, estimate: bool = True) -> str:
        """The text that has been heard. `estimate=False`: only as far as the ends of pieces and their marks prove."""
        said, left = "", self.played
        for piece in self.pieces:
            if left < piece.samples:
                return said + _begun(piece, left, estimate)
            said, left = said + piece.text, left - piece.samples
        return said


def _begun(piece: Piece, played: int, estimate: bool) -> str:
    """What was heard of a piece that is being played."""
    marks = ((0, 0), *piece.marks, (piece.samples, len(piece.text)))
    at = bisect_right([sample for sample, _ in marks], played) - 1
    sample, sure = marks[at]
    if not estimate:
        return piece.text[:sure]
    until, characters = marks[at + 1]
    reached = sure + (characters - sure) * (played - sample) / (until - sample)
    ends = [word.end() for word in re.finditer(r"\S+", piece.text) if word.end() <= reached]
    return piece.text[: max([sure, *ends])]
