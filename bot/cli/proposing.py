"""Proposals made from the log: new intents, and knowledge from people's answers. A person approves each."""

from __future__ import annotations

from pathlib import Path


def propose(root: Path, by: str, *, discover: bool) -> None:
    """Show what was found, one by one, and keep what is approved."""
    raise NotImplementedError
