"""A text of the bot as sound: words instead of Markdown and digits, silence where it asks for a pause."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from bot.core.speech import RATE, Speaker, Speech
from bot.sound import Samples
from skills.speakable import parts_of

_PIECE_S = 0.1


class Spoken:
    """A `Speaker` that takes texts as the bot writes them. What holds nothing to say gives no sound."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    @property
    def id(self) -> str:
        """Who really speaks."""
        return self._speaker.id

    async def close(self) -> None:
        """Close the speaker."""
        await self._speaker.close()

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """See `Speaker.speak`."""
        for part in parts_of(speech.text, speech.language):
            if part.text:
                async with aclosing(self._speaker.speak(dataclasses.replace(speech, text=part.text))) as sound:
                    async for piece in sound:
                        yield piece
            for start in np.arange(0, part.pause_s, _PIECE_S):
                yield np.zeros(round(min(_PIECE_S, part.pause_s - start) * RATE), np.float32)
