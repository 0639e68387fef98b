"""Callers, recognisers and speakers that are simple, quick and exactly predictable; and a clock that jumps.

What is said is a tone: each text of a `Phrasebook` has a pitch of its own, which its recogniser knows again after
mu-law and a change of rate. The speaker hums, a fixed time for each character.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from bot.core.errors import SkillError
from bot.core.hearing import Frame
from bot.core.speech import RATE, Heard, Speech, Utterance, Word
from bot.sound import Samples
from connectors.voice.parts import Manners, News, Parts
from connectors.voice.session import Call

T = TypeVar("T")
SAMPLES_PER_CHARACTER = RATE // 20


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when there is nothing to do."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._clocked = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if not ready and timeout:
            self._clocked.now += timeout
        return ready


def virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class LoudEar:
    """Takes what is louder than -40 dBFS for speech."""

    def __init__(self) -> None:
        self._left: Samples = np.zeros(0, np.float32)

    def feed(self, samples: Samples) -> Sequence[Frame]:
        sound = np.concatenate([self._left, samples])
        whole = len(sound) // 512 * 512
        self._left = sound[whole:]
        levels = [10 * np.log10(np.square(one).mean() + 1e-10) for one in sound[:whole].reshape(-1, 512)]
        return [Frame(32.0, 0.99 if level > -40 else 0.01, float(level)) for level in levels]


class Phrasebook:
    """Says and recognises a few texts; a text is a tone of its own pitch. Its sound lasts `seconds`."""

    name = "phrasebook"

    def __init__(self, *texts: str, took: float = 0.05, seconds: float = 1.0) -> None:
        self.texts, self.took, self.seconds = texts, took, seconds
        self.asked: list[Utterance] = []
        self.error: Exception | None = None

    def sound(self, text: str, seconds: float | None = None) -> Samples:
        """A text as it is spoken; a text that is not known is a noise."""
        pitch = 300 + 100 * self.texts.index(text) if text in self.texts else 3_000
        at = np.arange(int((seconds or self.seconds) * RATE)) / RATE
        return (0.5 * np.sin(2 * np.pi * pitch * at)).astype(np.float32)

    def run(self, batch: Sequence[Utterance]) -> Sequence[Heard]:
        self.asked += batch
        return [self._hear(one) for one in batch]

    async def recognise(self, utterance: Utterance) -> Heard:
        """As a runner would call it."""
        await asyncio.sleep(self.took)
        if self.error is not None:
            raise self.error
        return self.run([utterance])[0]

    def _hear(self, one: Utterance) -> Heard:
        samples = np.asarray(one.samples)
        loud = samples[np.abs(samples) > 0.1]
        if len(loud) < RATE // 20:
            return Heard("", "en", 0.0, 0.99, model=self.name)
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        pitch = float(power.argmax()) * RATE / len(samples)
        number = round((pitch - 300) / 100)
        text = self.texts[number] if 0 <= number < len(self.texts) else ""
        words = tuple(Word(word, 0.0, 1.0, 0.9) for word in text.split())
        return Heard(text, "en", 0.9, 0.01, words, self.name)


@dataclass
class Hum:
    """A speaker: so many samples for each character, in pieces of a tenth of a second. `error`: it cannot."""

    id: str = "hum"
    latency: float = 0.05
    error: SkillError | None = None
    said: list[str] = field(default_factory=list)
    broken_off: int = 0

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        self.said.append(speech.text)
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.latency)
        whole = np.full(len(speech.text) * SAMPLES_PER_CHARACTER, 0.1, np.float32)
        whole[np.arange(len(whole)) % 40 < 20] *= -1  # 400 Hz
        try:
            for start in range(0, len(whole), RATE // 10):
                yield whole[start : start + RATE // 10]
        except GeneratorExit:
            self.broken_off += 1
            raise

    async def close(self) -> None:
        """Nothing is held."""


class Listener:
    """The wire of a caller who hears everything at its pace: plays sound, returns marks, and counts samples."""

    def __init__(self, delay: float = 0.0) -> None:
        self.call: Call | None = None
        self.news: list[tuple[float, News]] = []
        self.played = 0
        self.cleared: list[float] = []
        self._delay, self._free, self._flushed = delay, 0.0, 0
        self.playing: list[tuple[float, float]] = []
        """From when to when sound is heard, in the loop's time."""

    async def play(self, samples: Samples) -> None:
        now = asyncio.get_running_loop().time()
        start = max(self._free, now + self._delay)
        self._free = start + len(samples) / RATE
        self.playing.append((start, self._free))

    async def mark(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        flushed = self._flushed
        loop.call_at(max(self._free, loop.time()), self._reached, name, flushed)

    async def clear(self) -> None:
        now = asyncio.get_running_loop().time()
        self.cleared.append(now)
        self._flushed += 1
        self.playing = [(start, min(end, now)) for start, end in self.playing if start < now]
        self._free = now

    async def tell(self, news: News) -> None:
        self.news.append((asyncio.get_running_loop().time(), news))

    def _reached(self, name: str, flushed: int) -> None:
        if self.call is not None and flushed == self._flushed:
            self.call.marked(name)

    def heard_seconds(self) -> float:
        """How long sound was heard so far."""
        now = asyncio.get_running_loop().time()
        return sum(max(0.0, min(end, now) - start) for start, end in self.playing)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What was told of one kind."""
        return [dict(news.fields) for _, news in self.news if news.kind == kind]


def parts(book: Phrasebook, hum: Hum | None = None, **changes: Any) -> Parts:
    """A call's parts from these fakes."""
    given: dict[str, Any] = {"manners": Manners(), **changes}
    return Parts(recognise=book.recognise, speaker=hum or Hum(), ear=LoudEar, **given)


async def speak(call: Call, sound: Samples, step: float = 0.02) -> None:
    """Feed sound to a call as fast as it is spoken."""
    size = int(step * RATE)
    for start in range(0, len(sound), size):
        await call.hear(sound[start : start + size])
        await asyncio.sleep(step)


def silence(seconds: float) -> Samples:
    """Nothing, so long."""
    return np.zeros(int(seconds * RATE), np.float32)
