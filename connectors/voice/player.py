"""Says sentences one after the other, knows how much of them was heard, and can stop at any sample.

One task makes sound, a few seconds ahead; another sends it, a little ahead of what is heard, with a mark after every
fifth of a second. Marks that come back say what was played; between them the position is estimated by the clock, and
it never runs past what was sent. `hold` stops the sound and remembers the place, `resume` plays on from there, `stop`
gives the reply up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bot.core.errors import SkillError
from bot.core.heard import Playback
from bot.core.speech import RATE, Speaker, Speech
from bot.sound import Samples
from connectors.voice.parts import Wire

CHUNK = RATE // 10
"""Samples that are sent at once."""
MARK_EVERY = RATE // 5
LEAD = 0.6
"""Seconds of sound that may be on their way."""
_AHEAD = 8 * RATE
"""Samples that are made before they are sent: most sentences are whole then, and how long they last is known."""
_TAIL = 2 * RATE
"""Samples that are kept for playing on after a hold; more than `LEAD`."""
_PATIENCE = 2.0
"""Seconds after which sound whose mark does not come back counts as played."""
_PER_CHARACTER = RATE // 15
"""Samples of a character of speech, where a sentence is not made to its end."""
SILENT = -100.0
"""dBFS of nothing."""
_Ints = NDArray[np.int16]
_NONE: _Ints = np.zeros(0, np.int16)


@dataclass(eq=False)
class Line:
    """One message to be said, sentence by sentence. `message` is its id in the log, "" if it is not there."""

    message: str = ""
    text: str = ""
    start: int = -1
    playback: Playback = field(default_factory=Playback)
    making: tuple[str, int] = ("", 0)
    """The sentence that is being made, and its samples so far."""

    def heard(self, played: int) -> str:
        """What had reached the caller when the reply had been played up to a sample."""
        if self.start < 0:
            return ""
        sentence, made = self.making
        whole = self.playback.add(sentence, max(made, len(sentence) * _PER_CHARACTER)) if sentence else self.playback
        return whole.reach(max(0, played - self.start)).heard()


class Player:
    """The mouth of one call. A reply is all that is said from `begin` to `end`."""

    def __init__(self, wire: Wire, speaker: Speaker, speech: Callable[[str], Speech]) -> None:
        self._wire, self._speaker, self._speech = wire, speaker, speech
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._may_send, self._over = asyncio.Event(), asyncio.Event()
        self._may_send.set()
        self._over.set()
        self._epoch = 0
        self.failed: Callable[[SkillError], None] = lambda error: None
        self.sounded: Callable[[str], None] = lambda stage: None
        self._reset()

    def _reset(self) -> None:
        self._epoch += 1
        self.lines: list[Line] = []
        self._said: asyncio.Queue[tuple[Line, str] | None] = asyncio.Queue()
        self._pending, self._tail = _NONE, _NONE
        self._complete = False
        self._changed = asyncio.Event()
        self._made = self._sent = self._played = 0
        self._since = self._due = 0.0

    # What is to be said

    def begin(self) -> None:
        """A new reply. What was said before must be over."""
        self._reset()
        self._over.clear()
        self._may_send.set()
        self._tasks = (asyncio.create_task(self._make()), asyncio.create_task(self._send()))

    def say(self, line: Line, sentence: str) -> None:
        """Say one more sentence of a message."""
        line.text += sentence
        if line not in self.lines:
            self.lines.append(line)
        self._said.put_nowait((line, sentence))

    def end(self) -> None:
        """Nothing more belongs to this reply."""
        self._said.put_nowait(None)

    async def finished(self) -> None:
        """Wait until the reply was played, or given up."""
        await self._over.wait()

    # Where it stands

    @property
    def playing(self) -> bool:
        """Whether a reply is being said, or held."""
        return not self._over.is_set()

    @property
    def held(self) -> bool:
        """Whether the sound is stopped for now."""
        return self.playing and not self._may_send.is_set()

    @property
    def text(self) -> str:
        """All that the reply says, as far as it is known."""
        return " ".join(line.text for line in self.lines)

    @property
    def samples(self) -> int:
        """How long the reply is, as far as it is made."""
        return self._made

    def position(self) -> int:
        """The sample of the reply that is heard now; -1 when nothing is."""
        if self._over.is_set() or not self._sent:
            return -1
        if self.held:
            return self._played
        return min(self._played + int(max(0.0, _now() - self._since) * RATE), self._sent)

    def level(self, samples: int) -> float:
        """dBFS of what is heard just now, over so many samples."""
        at = self.position()
        if at < 0 or self.held:
            return SILENT
        start = max(0, len(self._tail) - (self._sent - at) - samples)
        heard = self._tail[start : start + samples].astype(np.float32) / np.float32(32768)
        power = float(np.square(heard).mean()) if len(heard) else 0.0
        return float(10 * np.log10(power)) if power > 1e-10 else SILENT

    def marked(self, name: str) -> None:
        """A mark came back. Those of an earlier reply, or from before a hold, say nothing."""
        epoch, _, sample = name.partition(".")
        if epoch != str(self._epoch) or not (sample.isascii() and sample.isdecimal() and len(sample) < 12):
            return
        if self._played <= int(sample) <= self._sent and not self.held:
            self._played, self._since = int(sample), _now()

    def played_up_to(self, sample: int) -> None:
        """The peer says how far it has played; it cannot have played more than was sent."""
        self._played, self._since = min(max(sample, 0), self._sent), _now()

    def unheard(self) -> list[tuple[Line, str]]:
        """The messages of the reply that were not heard to their end, each with what of it was."""
        found = [(line, line.heard(self._played)) for line in self.lines]
        return [(line, heard) for line, heard in found if heard.strip() != line.text.strip()]

    # Stopping

    async def hold(self) -> int:
        """Stop the sound now; the sample up to which the reply was heard."""
        if self.playing and not self.held:
            self._played = max(0, self.position())
            self._may_send.clear()
            self._epoch += 1
            await self._wire.clear()
        return self._played

    def resume(self) -> None:
        """Play on where the reply was held."""
        if not self.held:
            return
        again = self._tail[max(0, len(self._tail) - (self._sent - self._played)) :]
        self._pending = np.concatenate([again, self._pending])
        self._tail = self._tail[: len(self._tail) - len(again)]
        self._sent -= len(again)
        self._since = self._due = _now()
        self._may_send.set()
        self._changed.set()

    async def stop(self) -> None:
        """Give the reply up, and end what makes its sound."""
        if self.playing and not self.held:
            await self.hold()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = ()
        self._over.set()

    # Making and sending

    async def _make(self) -> None:
        while (said := await self._said.get()) is not None:
            await self._speak(*said)
        self._complete = True
        self._changed.set()

    async def _speak(self, line: Line, sentence: str) -> None:
        if line.start < 0:
            line.start = self._made
        line.making = (sentence, 0)
        begun = self._made
        try:
            async with aclosing(self._speaker.speak(self._speech(sentence))) as sound:
                async for samples in sound:
                    await self._append(samples, first=self._made == begun)
                    line.making = (sentence, self._made - begun)
        except SkillError as error:
            self.failed(error)
        line.playback, line.making = line.playback.add(sentence, self._made - begun), ("", 0)

    async def _append(self, samples: Samples, first: bool) -> None:
        if first and len(samples):
            self.sounded("tts_ttfb")
        for start in range(0, len(samples), RATE):
            piece = np.clip(samples[start : start + RATE], -1, 1) * np.float32(32767)
            self._made += len(piece)
            self._pending = np.concatenate([self._pending, np.nan_to_num(piece).astype(np.int16)])
            self._changed.set()
            while len(self._pending) > _AHEAD:
                await self._change()

    async def _send(self) -> None:
        while True:
            await self._may_send.wait()
            if len(self._pending):
                await self._pace()
                if not self.held:
                    await self._give()
            elif not self._complete:
                await self._change()
            elif self._played >= self._sent or _now() - self._due > _PATIENCE:
                self._played = self._sent
                self._over.set()
                return
            else:
                await asyncio.sleep(0.02)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _pace(self) -> None:
        """Stay at most `LEAD` ahead of what can have been played."""
        now = _now()
        self._due = max(self._due, now)
        if self._due - now > LEAD:
            await asyncio.sleep(self._due - now - LEAD)

    async def _give(self) -> None:
        part, self._pending = self._pending[:CHUNK], self._pending[CHUNK:]
        before, epoch = self._sent, self._epoch
        if self._due <= _now() or not before:
            self._since = _now()
        self._sent += len(part)
        self._due += len(part) / RATE
        self._tail = np.concatenate([self._tail, part])[-_TAIL:]
        self._changed.set()
        await self._wire.play(part.astype(np.float32) / np.float32(32767))
        if not before:
            self.sounded("playout")
        if before // MARK_EVERY != self._sent // MARK_EVERY or not len(self._pending):
            await self._wire.mark(f"{epoch}.{self._sent}")


def _now() -> float:
    return asyncio.get_running_loop().time()
