"""A text of the bot as sound: words instead of Markdown and digits, silence where it asks for a pause."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import numpy as np

from bot.core.speech import RATE, Speaker, Speech
from bot.sound import Samples
from bot.speaking.chain import Chain
from skills.speakable import parts_of

_PIECE_S = 0.1
_LONGEST = 600
"""Characters that are said in one go, some forty seconds; texts without a full stop are cut at a space."""


class Spoken:
    """A `Speaker` that takes texts as the bot writes them. What holds nothing to say gives no sound."""

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        """Those who speak, the best first."""
        self.speakers = tuple(speakers)
        self._speaker = Chain(speakers)

    @property
    def id(self) -> str:
        """Who really speaks, in their order."""
        return self._speaker.id

    async def close(self) -> None:
        """Close them all."""
        await self._speaker.close()

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """See `Speaker.speak`."""
        for part in parts_of(speech.text, speech.language):
            for text in _short(part.text):
                async with aclosing(self._speaker.speak(dataclasses.replace(speech, text=text))) as sound:
                    async for piece in sound:
                        yield piece
            for start in np.arange(0, part.pause_s, _PIECE_S):
                yield np.zeros(round(min(_PIECE_S, part.pause_s - start) * RATE), np.float32)


def _short(text: str) -> Iterator[str]:
    while len(text) > _LONGEST:
        cut = text.rfind(" ", 0, _LONGEST)
        cut = cut if cut > 0 else _LONGEST
        yield text[:cut]
        text = text[cut:].lstrip()
    if text:
        yield text
