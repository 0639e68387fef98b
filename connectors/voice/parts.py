"""What a call is made of: the models that are handed in, how the call is led, and the wire that carries it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from bot.core.hearing import Frame
from bot.core.protocols import Gateway
from bot.core.speech import Heard, Speaker, Utterance
from bot.core.thresholds import Thresholds
from bot.sound import Samples

Stage = Literal["vad_stop", "eot", "asr_final", "nlu", "llm_ttft", "tts_ttfb", "playout"]
"""Marks of a turn: the pause is noticed, the turn is over, the words are final, the bot knows what it will say, a
generator's first words, the speaker's first sound, that sound on its way to the caller."""


class Ear(Protocol):
    """The detector of one call."""

    def feed(self, samples: Samples) -> Sequence[Frame]:
        """One frame for each 32 ms of the sound so far; what is left over waits for the next piece."""
        ...


class Ending(Protocol):
    """How likely it is that a turn is over."""

    def __call__(self, text: str, samples: Samples, spoken_ms: float, language: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Manners:
    """How a call is led. Texts are said as they stand; an empty one is not said.

    `record` keeps the sound of what callers say, once `record_notice` has been said to the end.
    """

    disclosure: str = ""
    record_notice: str = ""
    greeting: str = ""
    still_there: str = "Are you still there?"
    say_again: str = "Sorry, I did not catch that. Please say it again."
    farewell: str = ""
    record: bool = False
    language: str = "en"
    voice: str = ""
    rate: float = 1.0
    call_seconds: float = 1_800.0
    thresholds: Thresholds = Thresholds(turn_ms=20_000.0)  # noqa: RUF009 - a frozen value

    @property
    def opening(self) -> tuple[str, ...]:
        """What is said before anything else."""
        texts = (self.disclosure, self.record_notice if self.record else "", self.greeting)
        return tuple(text for text in texts if text)


def _no_words(conversation: str) -> Sequence[str]:
    return ()


def _nothing(*told: Any) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Load:
    """How much the recogniser has to do for all calls: a live transcript must not keep anybody's answer waiting."""

    partial: int = 0
    final: int = 0

    @property
    def idle(self) -> bool:
        """Whether there is time for a live transcript."""
        return not (self.partial or self.final)


@dataclass(frozen=True, slots=True)
class Parts:
    """The models behind calls. `words` gives spellings that are likely in a conversation; `keep` stores sound and gives
    its sha256; `hush` ends the wording of an answer that nobody hears; `observe` is told conversation, turn, stage and
    seconds."""

    recognise: Callable[[Utterance], Awaitable[Heard]]
    speaker: Speaker
    ear: Callable[[], Ear]
    ending: Ending | None = None
    words: Callable[[str], Sequence[str]] = _no_words
    keep: Callable[[bytes], Awaitable[str]] | None = None
    hush: Callable[[str], None] = _nothing
    observe: Callable[[str, int, str, float], None] = _nothing
    manners: Manners = field(default_factory=Manners)
    load: Load = field(default_factory=Load)


NewsKind = Literal[
    "speech_started", "speech_stopped", "partial", "final", "dropped", "turn", "say", "said", "interrupted", "latency",
    "error", "ended",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class News:
    """Something that a wire may show: what is heard, what is said, how long it took, what went wrong."""

    kind: NewsKind
    fields: dict[str, JsonValue] = field(default_factory=dict)


class Wire(Protocol):
    """How a call reaches its caller. Nothing here may take long; a peer that does not read is cut off by the wire."""

    async def play(self, samples: Samples) -> None:
        """Send sound, at `bot.core.speech.RATE`."""
        ...

    async def mark(self, name: str) -> None:
        """Ask to be told (`Call.marked`) when all that was sent before has been played."""
        ...

    async def clear(self) -> None:
        """Throw away what was sent and is not played yet."""
        ...

    async def tell(self, news: News) -> None:
        """Show something."""
        ...


def open_gateway(gateway: Gateway | None) -> Gateway:
    """The gateway of a channel that is open."""
    assert gateway is not None, "the server opens a channel before it serves"
    return gateway


class Pace:
    """Lets a peer send sound as fast as people speak, and a little faster: more waits, unread, at its own end."""

    def __init__(self, ahead: float = 4.0) -> None:
        self._begun: float | None = None
        self._ahead, self._taken = ahead, 0.0

    async def take(self, seconds: float) -> None:
        """Wait until so much more sound may have been spoken."""
        now = asyncio.get_running_loop().time()
        if self._begun is None or now - self._begun > self._taken:
            self._begun, self._taken = now, 0.0  # a peer that was silent has saved nothing up
        self._taken += seconds
        wait = self._taken - (now - self._begun) - self._ahead
        if wait > 0:
            await asyncio.sleep(wait)
