"""What every engine's sound must obey: it comes in time, it can be heard, and it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import numpy as np

from bot.core.errors import DeadlineExceeded, SkillError
from bot.core.speech import RATE
from bot.sound import Samples

NAME = "speaker"
MOST_SAMPLES = 120 * RATE
"""The longest sound of one sentence."""
_AUDIBLE = 1e-3
"""Of full scale: what is below, at the beginning, is silence that the caller would only wait for."""
_LEAD = RATE // 100
"""Samples of silence that stay before the first sound."""


class Times(Protocol):
    """How long an engine may take, in seconds; the `voice.speaker` section of the settings."""

    @property
    def first_s(self) -> float: ...
    @property
    def between_s(self) -> float: ...
    @property
    def total_s(self) -> float: ...


async def paced(sound: AsyncGenerator[Samples, None], times: Times, who: str) -> AsyncGenerator[Samples, None]:
    """The sound within its times, without the silence at its beginning. Time that the listener takes does not count.

    Raises:
        DeadlineExceeded: it was too slow.
        SkillError: there is nothing to hear, or no end.
    """
    clock, loop = _Clock(times, who), asyncio.get_running_loop()
    given, lead = 0, np.zeros(0, np.float32)
    async with aclosing(sound):
        while True:
            start = loop.time()
            piece = await clock.wait(sound, begun=given > 0)
            clock.left -= loop.time() - start
            if piece is None:
                break
            if not given:
                lead = np.concatenate([lead, piece])
                piece = _from_first_sound(lead)
                lead = lead if not len(piece) and len(lead) < MOST_SAMPLES else lead[:0]
            given += len(piece)
            if given > MOST_SAMPLES:
                raise SkillError(NAME, f"{who} does not end its sentence")
            if len(piece):
                yield piece
    if not given:
        raise SkillError(NAME, f"{who} gave no sound")


class _Clock:
    """How much longer an engine may take."""

    def __init__(self, times: Times, who: str) -> None:
        self._times, self._who = times, who
        self.left = times.total_s
        self._silent = min(times.first_s, times.total_s)

    async def wait(self, sound: AsyncGenerator[Samples, None], begun: bool) -> Samples | None:
        """The next piece; None at the end."""
        allowed = self._times.between_s if begun else self._silent - (self._times.total_s - self.left)
        try:
            async with asyncio.timeout(min(allowed, self.left)):
                return await anext(sound, None)
        except TimeoutError:
            if allowed >= self.left:
                raise self._late("did not end", self._times.total_s) from None
            if begun:
                raise self._late("did not go on", self._times.between_s) from None
            raise self._late("made no sound", self._silent) from None

    def _late(self, what: str, seconds: float) -> DeadlineExceeded:
        return DeadlineExceeded(NAME, f"{self._who} {what} within {seconds:g} s")


def _from_first_sound(samples: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(samples) >= _AUDIBLE)
    return samples[max(int(loud[0]) - _LEAD, 0) :] if len(loud) else samples[:0]
