"""What stands beside the model: from what it was made, how it did, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any


def card(figures: Mapping[str, Any]) -> str:
    """The model card, of the figures of a run."""
    last = figures["measured"][-1]
    told = {
        **figures["recipe"],
        "parameters": f"{figures['parameters'] / 1e6:.1f}",
        "hours": f"{last['seconds'] / 3600:.1f}",
        "clean": f"{last['clean']:.1%}",
        "telephone": f"{last['telephone']:.1%}",
    }
    return files("training.hearing").joinpath("card.md").read_text("utf-8").format(**told)
