"""Encodings of recent texts. Customers say "yes", "hello" and what is on a button over and over; those cost nothing.

A bounded cache, least recently used first out. What comes back is the very arrays that went in, made read-only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skills.encoder import Encoding

LONGEST = 80
"""Texts above this many characters are hardly said twice."""


class Recent:
    """Encodings by text, at most `limit` bytes of arrays; 0 keeps nothing."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[str, tuple[Encoding, int]] = OrderedDict()

    def get(self, text: str, layers: Sequence[int]) -> Encoding | None:
        """The encoding of a text, if it is here with these layers."""
        found = self._kept.get(text)
        if found is None or any(layer not in found[0].states for layer in layers):
            return None
        self._kept.move_to_end(text)
        return found[0]

    def put(self, text: str, encoding: Encoding) -> None:
        """Keep an encoding."""
        arrays = [encoding.vector, encoding.offsets, *encoding.states.values()]
        size = sum(array.nbytes for array in arrays)
        if len(text) > LONGEST or size > self._limit:
            return
        for array in arrays:
            array.setflags(write=False)
        self._size += size - self._kept.pop(text, (None, 0))[1]
        self._kept[text] = (encoding, size)
        while self._size > self._limit:
            self._size -= self._kept.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Keep nothing of what is here."""
        self._kept.clear()
        self._size = 0
