"""The numbers that turn taking goes by. Times are milliseconds of sound; probabilities and likenesses are 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from bot.core.errors import InputError

_SHARES = ("start_at", "stop_at", "echo_at", "sure", "unsure")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How the listener decides. The defaults were set on our own training voices, starting from what voice frameworks
    publish (Pipecat, LiveKit, OpenAI's server_vad).

    Raises:
        InputError: a number is not in its range; says which.
    """

    start_at: float = 0.6
    """Probability of speech from which silence ends."""
    stop_at: float = 0.35
    """Probability of speech below which speech ends; lower than `start_at`, so that it does not flutter."""
    floor_db: float = -60.0
    """Level below which nothing is speech."""
    start_ms: float = 64.0
    """Speech that begins an utterance, or goes on with it after a pause."""
    stop_ms: float = 128.0
    """Silence that is a pause: the time to recognise and to ask for the probability that the turn is over."""
    lead_ms: float = 300.0
    """Sound before the first speech that belongs to the utterance."""
    partial_ms: float = 320.0
    """How often a live transcript is wanted while somebody speaks."""
    sure: float = 0.6
    """Probability that the turn is over from which the shortest wait is enough."""
    unsure: float = 0.1
    """Probability below which the longest wait is needed."""
    shortest_ms: float = 250.0
    """Silence that ends a turn which is surely over."""
    default_ms: float = 600.0
    """Silence that ends a turn when nobody tells how likely it is over."""
    longest_ms: float = 2000.0
    """Silence that ends every turn."""
    turn_ms: float = 30_000.0
    """Longest turn; what is said after it is another one."""
    continue_ms: float = 2000.0
    """Speech this soon after a turn that is not answered yet means that the turn was cut off."""
    hold_ms: float = 64.0
    """Speech over a reply until the sound is held. Longer than a reply: never held before it is given up."""
    interrupt_ms: float = 700.0
    """Speech over a reply that is more than a nod: live words interrupt from here on, and so does having none."""
    verdict_ms: float = 700.0
    """Silence after speech over a reply in which the transcript has to come."""
    false_ms: float = 2000.0
    """Longest time that a reply is held without words."""
    ignore_ms: float = 3000.0
    """Longest time that noise without words is not listened to."""
    answer_ms: float = 1500.0
    """What may be left of a question for "yes" to be its answer, not a nod."""
    echo_at: float = 0.5
    """Likeness to what is played from which sound is our own."""
    silence_ms: float = 8000.0
    """Silence on both sides until the caller is asked whether they are there."""
    silence_prompts: int = 2
    """How often they are asked before the bot gives up."""
    key_ms: float = 3000.0
    """Pause after the last key that ends an entry without #."""

    def __post_init__(self) -> None:
        """Every number in its range."""
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = (
                (0.0, 1.0) if field.name in _SHARES else (-120.0 if field.name == "floor_db" else 0.0, 600_000.0)
            )
            if not low <= value <= high:
                raise InputError(f"{field.name}: expected a number from {low:g} to {high:g}, found {value}")
        for lower, upper in (("stop_at", "start_at"), ("unsure", "sure"), ("shortest_ms", "longest_ms")):
            if getattr(self, lower) > getattr(self, upper):
                raise InputError(f"{lower}: expected at most {upper}, {getattr(self, upper):g}")

    def wait_ms(self, likely: float | None) -> float:
        """The silence that ends a turn, given the probability that it is over: from the shortest to the longest wait,
        evenly on a logarithmic scale."""
        if likely is None or math.isnan(likely):
            return self.default_ms
        if likely >= self.sure:
            return self.shortest_ms
        if likely <= self.unsure:
            return self.longest_ms
        share = (self.sure - likely) / (self.sure - self.unsure)
        low = max(self.shortest_ms, 1.0)
        return float(low * (self.longest_ms / low) ** share)
