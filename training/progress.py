"""Telling a caller how far a long piece of work has come. Nothing in `training` prints."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Told how much is done, 0 to 1, and what is being done."""


def silent(share: float, what: str) -> None:
    """Tell nobody."""


def part(progress: Progress, low: float, high: float) -> Progress:
    """A progress whose 0 to 1 is `low` to `high` of the whole."""
    return lambda share, what: progress(low + (high - low) * share, what)
