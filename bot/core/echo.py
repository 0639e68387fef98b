"""Whether what comes in is the bot's own voice, out of a loudspeaker and into the microphone.

Two witnesses. The envelopes: the level of what is played, some hundred milliseconds ago and some decibels lower, is
compared with the level of what comes in; when they move together and nothing louder lies on top, it is an echo. The
words: a transcript that repeats what is being said. Both give a number from 0 to 1; the listener decides.

Levels are dBFS of frames of equal length (32 ms); what is quieter than `SILENCE` counts as silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from bot.core.asides import plain

SILENCE = -60.0
FRAMES = 48
"""Frames that are compared: 1.5 s."""
LAGS = 16
"""Longest delay of an echo, in frames: 0.5 s."""
UNKNOWN = 0.4
"""Likeness while the first second and a half is played, when nobody can know yet: little enough to be interrupted, and
enough to make a transcript of the bot's own words count as an echo."""
_KEEP = FRAMES + LAGS
_FEW = 16
"""Frames of speech that have to be there before an echo path is believed in."""
_EVERY = 8
"""Frames of the reply after which the path is looked for anew: it changes slowly, and looking costs."""
_ALIKE = 0.6
"""Correlation from which two envelopes belong together."""
_MARGIN = 6.0
"""Decibels above the expected echo from which somebody else speaks too."""


class Path(NamedTuple):
    """How an echo comes back: frames of delay, and decibels of gain (negative: quieter)."""

    lag: int
    gain: float


class Echo(NamedTuple):
    """What was played and what came in lately, frame by frame; changed by `step`."""

    played: tuple[float, ...] = ()
    heard: tuple[float, ...] = ()
    path: Path | None = None
    loud: int = 0
    """Frames in which something was played, since the call began."""

    def step(self, played: float, heard: float) -> tuple[Echo, float]:
        """Take the levels of one more frame of both; also the likeness of this frame to an echo, 0 to 1.

        Give `SILENCE` or less for `played` while nothing is played, so that an echo's tail is known for one.
        """
        state = self._replace(
            played=(*self.played, _clipped(played))[-_KEEP:],
            heard=(*self.heard, _clipped(heard))[-FRAMES:],
            loud=self.loud + (_clipped(played) > SILENCE),
        )
        if state.loud > self.loud and state.loud % _EVERY == 0:
            state = state._replace(path=_path(state.played, state.heard) or self.path)
        return state, _likeness(state)


def _clipped(level: float) -> float:
    """A level between silence and full scale; what is no number is silence."""
    return min(max(level, SILENCE), 0.0) if level == level else SILENCE


def _path(played: Sequence[float], heard: Sequence[float]) -> Path | None:
    """The delay at which the envelopes are most alike, if they are alike at all."""
    if sum(level > SILENCE for level in played[-FRAMES:]) < _FEW:
        return None
    best = max(range(LAGS), key=lambda lag: _correlation(_shifted(played, len(heard), lag), heard))
    shifted = _shifted(played, len(heard), best)
    if _correlation(shifted, heard) < _ALIKE:
        return None
    gains = sorted(there - here for here, there in zip(shifted, heard, strict=True) if here > SILENCE + 15)
    return Path(best, gains[len(gains) // 2]) if gains else None


def _shifted(played: Sequence[float], count: int, lag: int) -> list[float]:
    """What was played `lag` frames before each of the last `count` frames; silence before the beginning."""
    end = len(played) - lag
    found = list(played[max(0, end - count) : max(0, end)])
    return [SILENCE] * (count - len(found)) + found


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Pearson's correlation; 0 where one does not move."""
    count = len(one)
    mean, middle = sum(one) / count, sum(other) / count
    top = sum((a - mean) * (b - middle) for a, b in zip(one, other, strict=True))
    spread = sum((a - mean) ** 2 for a in one) * sum((b - middle) ** 2 for b in other)
    return float(top / spread**0.5) if spread > 1e-9 else 0.0


def _likeness(state: Echo) -> float:
    """How well the newest frame is explained by the echo path: 1 below the expected level, 0 from the margin on."""
    if state.path is None:
        return UNKNOWN if state.loud < FRAMES and state.played[-1] > SILENCE else 0.0
    lag, gain = state.path
    near = (_shifted(state.played, 1, max(0, lag + step))[0] for step in (-1, 0, 1))
    loudest = max(near)
    if loudest <= SILENCE:
        return 0.0
    above = state.heard[-1] - (loudest + gain)
    return min(1.0, max(0.0, 1.0 - above / _MARGIN))


def likeness(heard: str, spoken: str, short: bool = False) -> float:
    """The share of the heard words that stand in the spoken text in the same order, 0 to 1; 0 below three words.

    One or two words are no evidence, unless `short` says that they are: people answer a question in its own words.
    """
    mine, theirs = plain(spoken).split(), plain(heard).split()
    if len(theirs) < (1 if short else 3):
        return 0.0
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(theirs)
