"""Tells a running bot that somebody was erased, by whatever process: an erasure ends with a receipt in a folder.

What the bot keeps of texts to be quick does not say whose they were. So all of it is dropped, which costs milliseconds.
"""

from __future__ import annotations

from pathlib import Path

from skills.entities_numbers import value_of
from skills.support import forget as forget_sentences

RECEIPTS = "receipts"
"""The folder below the state folder; `training.receipts` writes there."""


class Erasures:
    """Looks whether there is a new receipt, at the price of one `stat`."""

    def __init__(self, state: Path) -> None:
        self._folder = state / RECEIPTS
        self._seen = self._stamp()

    def happened(self) -> bool:
        """Whether somebody was erased since it was asked last."""
        before, self._seen = self._seen, self._stamp()
        return before != self._seen

    def _stamp(self) -> int:
        try:
            return self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def forget_texts() -> None:
    """Drop the numbers and sentences that were read lately, such as those of orders."""
    value_of.cache_clear()
    forget_sentences()
