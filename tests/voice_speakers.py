"""A speaker without a program: a tone for every sentence, its pitch and length told by the text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np

from bot.core.errors import SkillError
from bot.core.speech import RATE, Speech
from bot.sound import Samples


class ToneSpeaker:
    """Deterministic. `fails` are texts that it cannot say; `breaks` are texts at which it fails after one piece."""

    def __init__(self, name: str = "tone", seconds_per_character: float = 0.01, delay_s: float = 0.0) -> None:
        self.id = name
        self.said: list[Speech] = []
        self.left: list[str] = []
        self.fails: set[str] = set()
        self.breaks: set[str] = set()
        self.closed = False
        self._length, self._delay_s = seconds_per_character, delay_s

    async def close(self) -> None:
        self.closed = True

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        self.said.append(speech)
        try:
            for place, piece in enumerate(self.pieces(speech.text)):
                await asyncio.sleep(self._delay_s)
                if speech.text in self.fails or (place and speech.text in self.breaks):
                    raise SkillError("speaker", f"{self.id} cannot say {speech.text!r}")
                yield piece
        except (GeneratorExit, asyncio.CancelledError):
            self.left.append(speech.text)
            raise

    def pieces(self, text: str) -> list[Samples]:
        """The sound of a text in pieces of 100 ms."""
        places = np.arange(round(len(text) * self._length * RATE))
        tone = 0.3 * np.sin(2 * np.pi * (300 + sum(map(ord, text)) % 500) * places / RATE)
        return [tone[start : start + RATE // 10].astype(np.float32) for start in range(0, len(tone), RATE // 10)]


async def sound_of(pieces: AsyncGenerator[Samples, None]) -> Samples:
    """All of it."""
    return np.concatenate([*[piece async for piece in pieces], np.zeros(0, np.float32)])
