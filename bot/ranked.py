"""What the answer of the learned ranking comes to: an action of its own, or the script's fallback and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bot.core.events import Predicted
from bot.core.findings import Scored
from bot.core.steps import Rank

KEPT = 5
"""How many candidates the log keeps."""


def chosen(step: Rank, ranked: Sequence[Scored], otherwise: str) -> Predicted:
    """The action to do next. `otherwise` is the reason that is noted when it is the fallback's."""
    kept = tuple(ranked[:KEPT])
    if not all(math.isfinite(item.score) for item in kept):
        kept, otherwise = (), "not a number"
    if kept and kept[0].name in step.barred:
        otherwise = "out of place"
    elif kept and kept[0].score >= step.below:
        return Predicted(action=kept[0].name, policy="RankingPolicy", candidates=kept)
    return Predicted(action=step.otherwise, policy="Fallback", reason=otherwise, candidates=kept)
