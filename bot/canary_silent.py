"""A candidate's models, and how it scores in silence what the bundle in use has answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot.core import events as ev
from bot.core.errors import BotError
from bot.core.protocols import Hits, Query, Ranked, Situation, Understanding, Utterance
from bot.rollout import Rollout, Shadow, place

_KEPT = 1000
"""Durations of silent scoring that the quantiles are taken of."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The models of a bundle that differ from those in use; `close` ends their threads."""

    bundle: str
    understand: Callable[[Utterance], Awaitable[Understanding]]
    rank: Callable[[Situation], Awaitable[Ranked]] | None
    close: Callable[[], None]
    retrieve: Callable[[Query], Awaitable[Hits]] | None = None


class Silent:
    """The candidate scores some of the baseline's turns after they were answered, one at a time, and says nothing."""

    def __init__(self, candidate: Candidate, rollout: Rollout) -> None:
        self._candidate, self._baseline = candidate, rollout.baseline
        self.share = 1.0 if rollout.share == 0 else rollout.plan.shadow
        self._salt, self._found = f"shadow.{rollout.salt}", rollout.shadow
        self._took: deque[float] = deque(maxlen=_KEPT)
        self._task: asyncio.Task[None] | None = None

    def see(self, facts: Sequence[ev.Recorded]) -> None:
        """Score what was understood just now, if the lot falls on it."""
        for recorded in facts:
            event = recorded.event
            if not isinstance(event, ev.Understood) or event.source != "model" or event.bundle != self._baseline:
                continue
            if place(self._salt, f"{recorded.conversation}.{recorded.turn}") >= self.share:
                continue
            if self._task is not None and not self._task.done():
                self._count(missed=1)
            else:
                self._task = asyncio.get_running_loop().create_task(self._score(event, recorded.at))

    async def _score(self, event: ev.Understood, at: float) -> None:
        started = time.perf_counter()
        try:
            found = await self._candidate.understand(Utterance(text=event.text, now=at))
        except BotError:
            self._count(turns=1, errors=1)
            return
        self._took.append(time.perf_counter() - started)
        accepted = bool(found.intents) and found.in_scope >= found.threshold
        said = found.intents[0].name if accepted else ""
        before = event.intents[0].name if event.accepted else ""
        abstained = self._found.abstained
        self._found = self._found.model_copy(
            update={"abstained": (abstained[0] + (not said), abstained[1] + (not before))}
        )
        self._count(turns=1, agreed=int(said == before))

    def _count(self, **more: int) -> None:
        self._found = self._found.model_copy(
            update={name: getattr(self._found, name) + count for name, count in more.items()}
        )

    def found(self) -> Shadow:
        """What was found so far."""
        if not self._took:
            return self._found
        took = sorted(self._took)
        p50, p95 = (took[min(int(len(took) * part), len(took) - 1)] for part in (0.5, 0.95))
        return self._found.model_copy(update={"p50": p50, "p95": p95})

    def stop(self) -> None:
        """Score nothing more."""
        if self._task is not None:
            self._task.cancel()
