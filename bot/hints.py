"""Names in error messages: the nearest one that exists, and lists that stay short."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that ends a message: `; did you mean 'x'?`, or nothing when no known name is close."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a message, in order, the rest counted."""
    ordered = sorted(names)
    shown = ", ".join(ordered[:most])
    return f"{shown} and {len(ordered) - most} more" if len(ordered) > most else shown
