"""stub"""

from __future__ import annotations

from pathlib import Path

from training.gate.verdict import Verdict


def write_pages(folder: Path, verdict: Verdict) -> Path:
    """."""
    return folder
