"""Speakers in their order: when one cannot say a sentence, the next one does.

Once a sentence has begun, nobody else begins it again: the caller would hear it twice. Who failed is left alone for a
while, so that a server that is down costs one wait and not one for every sentence.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog

from bot.core.errors import SkillError
from bot.core.speech import Speaker, Speech
from bot.sound import Samples

REST_S = 20.0
"""Seconds that a speaker which failed is left alone."""
_log = structlog.get_logger("understudy.speaking")


class Chain:
    """A `Speaker` made of others, the best first."""

    def __init__(self, speakers: Sequence[Speaker], rest_s: float = REST_S) -> None:
        self._speakers, self._rest_s = tuple(speakers), rest_s
        self._until = [0.0] * len(self._speakers)

    @property
    def id(self) -> str:
        """All of them, in their order."""
        return " | ".join(speaker.id for speaker in self._speakers)

    async def close(self) -> None:
        """Close them all."""
        for speaker in self._speakers:
            await speaker.close()

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """See `Speaker.speak`. A voice by name is the first speaker's; the others use their own."""
        order = self._order()
        for place in order:
            asked = speech if place == 0 else dataclasses.replace(speech, voice="")
            begun = False
            try:
                async with aclosing(self._speakers[place].speak(asked)) as sound:
                    async for piece in sound:
                        begun = True
                        yield piece
                return
            except SkillError as error:
                self._until[place] = asyncio.get_running_loop().time() + self._rest_s
                _log.warning("speaker_failed", speaker=self._speakers[place].id, begun=begun, error=str(error))
                if begun or place == order[-1]:
                    raise

    def _order(self) -> list[int]:
        """Those that rest come last: better a late word than none."""
        now = asyncio.get_running_loop().time()
        return sorted(range(len(self._speakers)), key=lambda place: self._until[place] > now)
