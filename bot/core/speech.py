"""The seams of voice: what recognises speech and what speaks.

Sound is mono float32 in [-1, 1] at 16,000 samples a second wherever two parts of ours meet; a wire that has another
rate or encoding changes it at its own edge.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

RATE = 16_000
"""Samples a second."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Sound to recognise: `samples` is a float32 array of shape (n,) at `RATE`.

    `language` is a code such as "en", "" to find out; `prompt` is text before it; `words` are spellings that are likely
    (names, order ids).
    """

    samples: Any
    language: str = ""
    prompt: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word. `start` and `end` are seconds from the beginning of the sound; `probability` is 0 to 1."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What was recognised. An empty `text` means that nobody spoke, or that it could not be made out.

    `confidence` is the geometric mean of the tokens' probabilities, `no_speech` the probability that nobody spoke.
    """

    text: str
    language: str
    confidence: float
    no_speech: float
    words: tuple[Word, ...] = ()
    model: str = ""


@runtime_checkable
class Recogniser(Protocol):
    """Speech to text: a skill, synchronous and batch first."""

    name: str

    def run(self, batch: Sequence[Utterance]) -> Sequence[Heard]:
        """What was said in each, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Speech:
    """One sentence to say. `language` is a code; `voice` a name the speaker knows, "" for its own choice; `rate` a
    factor on the usual pace."""

    text: str
    language: str = "en"
    voice: str = ""
    rate: float = 1.0


@runtime_checkable
class Speaker(Protocol):
    """Text to speech. Asynchronous, since it waits for a process or a server."""

    @property
    def id(self) -> str:
        """What speaks: engine, voice and version; part of the key of what is kept."""
        ...

    def speak(self, speech: Speech) -> AsyncGenerator[Any, None]:
        """The sentence as float32 pieces of shape (n,) at `RATE`, as they are ready.

        Raises:
            SkillError: it could not be said.
        """
        ...

    async def close(self) -> None:
        """Let go of processes and connections."""
        ...
