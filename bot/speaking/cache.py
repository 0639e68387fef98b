"""Sentences that were said before are not made again; one that several callers need at once is made once.

The key is who speaks and what is asked of it. Only whole sounds are kept, as PCM16, those used least recently go first.
A sentence that nobody listens to any more is given up, and its process or connection with it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from bot.core.errors import SkillError
from bot.core.speech import Speaker, Speech
from bot.sound import Samples, from_pcm16, to_pcm16

Key = tuple[str, Speech]
_PIECE = 1_600
"""Samples of a piece of a kept sound: 100 ms."""


class Sounds:
    """Whole sounds within a budget of memory; shared by speakers."""

    def __init__(self, budget: int) -> None:
        """`budget` in bytes."""
        self._budget, self._used = budget, 0
        self._sounds: OrderedDict[Key, bytes] = OrderedDict()

    @property
    def used(self) -> int:
        """Bytes of sound that are kept."""
        return self._used

    def get(self, key: Key) -> bytes | None:
        """The sound, now the one used last."""
        found = self._sounds.get(key)
        if found is not None:
            self._sounds.move_to_end(key)
        return found

    def put(self, key: Key, sound: bytes) -> None:
        """Keep a sound; one that alone would fill a quarter of the memory is not kept."""
        if len(sound) > self._budget // 4:
            return
        self._used += len(sound) - len(self._sounds.pop(key, b""))
        self._sounds[key] = sound
        while self._used > self._budget:
            _, oldest = self._sounds.popitem(last=False)
            self._used -= len(oldest)


class Cached:
    """A `Speaker` that remembers what it said."""

    def __init__(self, speaker: Speaker, sounds: Sounds) -> None:
        self._speaker, self._sounds = speaker, sounds
        self._making: dict[Key, _Making] = {}

    @property
    def id(self) -> str:
        """Who really speaks."""
        return self._speaker.id

    async def close(self) -> None:
        """Give up what is being made and close the speaker."""
        for making in list(self._making.values()):
            await making.stop()
        await self._speaker.close()

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """See `Speaker.speak`."""
        key = (self._speaker.id, speech)
        known = self._sounds.get(key)
        if known is not None:
            samples = from_pcm16(known)
            for start in range(0, len(samples), _PIECE):
                yield samples[start : start + _PIECE]
            return
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = _Making(self, key)
        async with aclosing(making.listen()) as sound:
            async for piece in sound:
                yield piece

    async def make(self, key: Key, making: _Making) -> None:
        """Say it once for all who listen, and keep it when it is whole."""
        try:
            async with aclosing(self._speaker.speak(key[1])) as sound:
                async for piece in sound:
                    making.add(piece)
            self._sounds.put(key, to_pcm16(np.concatenate([*making.pieces, np.zeros(0, np.float32)])))
            making.whole = True
        except SkillError as error:
            making.error = error
        finally:
            self.forget(key, making)
            making.end()

    def forget(self, key: Key, making: _Making) -> None:
        """Nobody else shall listen to it."""
        if self._making.get(key) is making:
            del self._making[key]


class _Making:
    """A sentence that is being said, and those who listen."""

    def __init__(self, cached: Cached, key: Key) -> None:
        self.pieces: list[Samples] = []
        self.error: SkillError | None = None
        self.whole = False
        self._cached, self._key = cached, key
        self._ended = False
        self._news = asyncio.Event()
        self._listeners = 0
        self._task = asyncio.create_task(cached.make(key, self))

    def add(self, piece: Samples) -> None:
        """One more piece."""
        self.pieces.append(piece)
        self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def listen(self) -> AsyncGenerator[Samples, None]:
        """All pieces from the first on; the last listener to leave stops the work.

        Raises:
            SkillError: it could not be said.
        """
        self._listeners += 1
        place = 0
        try:
            while place < len(self.pieces) or not self._ended:
                if place == len(self.pieces):
                    await self._news.wait()
                    continue
                place += 1
                yield self.pieces[place - 1]
            if not self.whole:
                raise self.error or SkillError("speaker", "was closed in the middle of a sentence")
        finally:
            self._listeners -= 1
            if not self._listeners:
                await self.stop()

    async def stop(self) -> None:
        """Give it up and wait until its process is gone."""
        self._cached.forget(self._key, self)
        self._task.cancel()
        await asyncio.wait([self._task])
