"""A caller's sound played through the listener, frame by frame, as a live call would: rows for fitting, and outcomes.

The recogniser is played by the truth: what has been said by the moment of asking, with some of the words spoiled, given
back some sound later. So what is measured here is turn taking alone; a recogniser's own errors come in by `wrong`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bot.core.hearing import Decision, Frame, GoesOn, Likely, Listening, MaybeDone, Signal, TurnDone, Words
from bot.core.listening import step
from bot.core.speech import RATE
from bot.core.thresholds import Thresholds
from skills.turn_end import Pause, features
from skills.voice_activity import VoiceActivity
from training.turns.clips import Clip, Sound

_BATCH = 16


class Head(Protocol):
    """Features to the probability that the turn is over, as `skills.turn_end.TurnEnd.of`."""

    def of(self, row: Sequence[float]) -> float:
        """The probability."""
        ...


@dataclass(frozen=True)
class Ears:
    """What the caller's words come back as: a share of them `wrong`, after so many ms; `silent`: no words at all."""

    wrong: float = 0.0
    late_ms: float = 160.0
    silent: bool = False

    def hear(self, text: str, dice: random.Random) -> str | None:
        """The text as it was recognised."""
        if self.silent:
            return None
        heard = [dice.choice(("", _bent(word, dice))) if dice.random() < self.wrong else word for word in text.split()]
        return " ".join(word for word in heard if word)


def _bent(word: str, dice: random.Random) -> str:
    """Another word of about the same sound."""
    at = dice.randrange(len(word))
    return word[:at] + dice.choice("aeioulnrst") + word[at + 1 :]


@dataclass
class Asked:
    """A pause that the listener asked about: what the head saw, when, and whether the turn was over by then."""

    row: list[float]
    at: float
    over: bool
    left: float
    """Milliseconds from the pause's beginning until the caller went on; endless if they did not."""


@dataclass
class Outcome:
    """What came of a turn. `waited` is from the true end of speech to `TurnDone`, negative when it was cut off."""

    clip: Clip
    asked: list[Asked] = field(default_factory=list)
    waited: float | None = None
    cut_in: str = ""
    began: float | None = None


def heard_frames(activity: VoiceActivity, sounds: Sequence[Sound]) -> list[list[Frame]]:
    """The frames of each sound."""
    found: list[list[Frame]] = []
    for at in range(0, len(sounds), _BATCH):
        found += activity.run([(activity.open(), sound) for sound in sounds[at : at + _BATCH]])
    return found


def play(
    clip: Clip, frames: Sequence[Frame], head: Head | None, limits: Thresholds, ears: Ears, dice: random.Random
) -> Outcome:
    """One turn through the listener, up to its first `TurnDone`."""
    state, outcome, due = Listening(), Outcome(clip), list[tuple[float, Signal]]()
    for frame in frames:
        ready = [signal for at, signal in due if at <= state.now]
        due = [(at, signal) for at, signal in due if at > state.now]
        for signal in [*ready, frame]:
            state, decisions = step(state, signal, limits)
            for decision in decisions:
                if isinstance(decision, MaybeDone):
                    due = _ask(outcome, state, decision, head, ears, dice)
                elif isinstance(decision, GoesOn):
                    due = []
                elif _note(outcome, decision):
                    return outcome
    return outcome


def _ask(
    outcome: Outcome, state: Listening, decision: MaybeDone, head: Head | None, ears: Ears, dice: random.Random
) -> list[tuple[float, Signal]]:
    clip = outcome.clip
    heard = ears.hear(clip.text_at(decision.end), dice)
    sound = clip.samples[: int(decision.end * RATE / 1000)][-2 * RATE :]
    row = features(Pause(heard, sound, state.voiced, clip.turn.language, clip.turn.expects))
    later = [start for start in clip.starts if start > state.spoke - 50]
    over = not later and decision.end >= clip.ends[-1] - 50
    outcome.asked.append(Asked(row, state.now, over, later[0] - state.spoke if later else float("inf")))
    at = state.now + ears.late_ms
    words = [(at, Words(heard, True, clip.turn.language))] if heard else []
    return [*words, *([(at, Likely(head.of(row)))] if head is not None else [])]


def _note(outcome: Outcome, decision: Decision) -> bool:
    """Whether the turn is over with this decision."""
    if not isinstance(decision, TurnDone):
        return False
    outcome.waited = decision.end - outcome.clip.ends[-1]
    gaps = [
        gap for gap in outcome.clip.gaps if gap.start <= decision.end - decision.waited + 100 and decision.end < gap.end
    ]
    outcome.cut_in = gaps[-1].kind if gaps else "within a word" if outcome.waited < 0 else ""
    return True
