"""What the listener is told and what it decides: the values of `bot.core.listening`.

Positions (`at`, `start`, `end`) are milliseconds of incoming sound since the call began; `sample` counts the samples of
the reply that is played. Decisions are dataclasses, so that a `Hold` never equals a `Resume` of the same sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Frame(NamedTuple):
    """A piece of sound. `speech` is the probability that somebody speaks, `level` dBFS, `echo` the likeness to what is
    played, 0 to 1; `played` the sample of the reply that is heard now, -1 for none; `busy`: an answer is being made."""

    ms: float
    speech: float
    level: float = 0.0
    echo: float = 0.0
    played: int = -1
    busy: bool = False


class Words(NamedTuple):
    """The transcript of the open utterance, "" when there are no words in it; `final`: asked for by a `MaybeDone` whose
    pause still lasts."""

    text: str
    final: bool = False
    language: str = ""


class Likely(NamedTuple):
    """The probability that the turn is over at the open pause."""

    probability: float


class Key(NamedTuple):
    """A key of the telephone: 0-9, * or #."""

    key: str


class Reply(NamedTuple):
    """A reply of so many samples begins to play; `asks` when it ends with a question."""

    samples: int
    asks: bool = False
    text: str = ""


Signal = Frame | Words | Likely | Key | Reply


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Sound from `at` on belongs to an utterance. `continues`: the turn before was not over, its answer is void."""

    at: float
    continues: bool = False


@dataclass(frozen=True, slots=True)
class PartialWanted:
    """Recognise this sound for the live transcript; answer with `Words`."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class MaybeDone:
    """A pause. Recognise this sound; answer with `Words(final=True)` and, if there is a head for it, `Likely`."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class GoesOn:
    """The pause was only a pause."""


@dataclass(frozen=True, slots=True)
class TurnDone:
    """The turn is over. `waited` is the silence since the last speech; `forced`: the turn had grown too long."""

    start: float
    end: float
    waited: float
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was begun is no utterance: noise, a nod, our own voice."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop the sound at once and remember the sample: somebody may be interrupting."""

    sample: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Play on from the sample: nobody interrupted."""

    sample: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The reply is given up; it was heard up to the sample."""

    sample: int


@dataclass(frozen=True, slots=True)
class SilencePrompt:
    """Nobody has said anything for long: ask whether they are there. `number` counts from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody has answered the prompts either."""


@dataclass(frozen=True, slots=True)
class KeysDone:
    """Keys of the telephone, entered until # or until no more came."""

    keys: str


Turning = SpeechBegan | PartialWanted | MaybeDone | GoesOn | TurnDone | Dropped
Playing = Hold | Resume | Interrupt
Decision = Turning | Playing | SilencePrompt | GiveUp | KeysDone
Phase = Literal["quiet", "speaking", "pausing", "ignoring"]


class Overlap(NamedTuple):
    """Speech over a reply that is undecided: where the reply stood, since when, and whether it is held."""

    sample: int
    since: float
    held: bool = False


class Listening(NamedTuple):
    """What is known of the call so far. Times are ms of sound; changed by `bot.core.listening.step` only."""

    now: float = 0.0
    phase: Phase = "quiet"
    run: float = 0.0
    """Speech lately, in ms, that would begin an utterance or end a pause; while ignoring, silence."""
    start: float = 0.0
    """Where the open utterance begins, with the lead before it."""
    spoke: float = 0.0
    """Where speech was last heard."""
    voiced: float = 0.0
    """Speech of the open utterance, in ms."""
    echoed: float = 0.0
    """Likeness to an echo, summed over that speech."""
    asked: float = 0.0
    """When a partial was last wanted; when ignoring began."""
    words: Words | None = None
    likely: float | None = None
    overlap: Overlap | None = None
    reply: Reply | None = None
    played: int = -1
    done: float | None = None
    """When the turn ended that no reply has answered yet."""
    idle: float = 0.0
    prompts: int = 0
    keys: str = ""
    pressed: float = 0.0
