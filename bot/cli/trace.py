"""Times of the stages of turns, for people to look at."""

from __future__ import annotations

from bot.turns import Timing

STAGES = ("ack", "understand", "retrieve", "generate", "action", "decide", "commit")


class Trace:
    """Collects what the manager observes."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, int], dict[str, float]] = {}

    def observe(self, timing: Timing) -> None:
        """Note a timing; the manager's observer."""
        stages = self._turns.setdefault((timing.conversation, timing.turn), {})
        stages[timing.stage] = stages.get(timing.stage, 0.0) + timing.seconds * 1000

    def clear(self) -> None:
        """Forget what was seen."""
        self._turns = {}

    def line(self) -> str:
        """The turns seen, on one line."""
        return "; ".join(
            ", ".join(f"{stage} {stages[stage]:.1f} ms" for stage in STAGES if stage in stages)
            for stages in self._turns.values()
        )

    def summary(self) -> list[tuple[str, int, float, float, float]]:
        """Stage, number of turns, median, 95th percentile and maximum in milliseconds."""
        rows = []
        for stage in STAGES:
            values = sorted(turn[stage] for turn in self._turns.values() if stage in turn)
            if values:
                last = len(values) - 1
                rows.append((stage, len(values), values[last // 2], values[round(last * 0.95)], values[-1]))
        return rows
