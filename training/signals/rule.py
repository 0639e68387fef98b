"""What a labelling rule is, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bot.core.defaults import OUT_OF_SCOPE
from training.examples import OOS
from training.signals.similarity import Alike
from training.signals.turns import LoggedTurn

Task = Literal["intent", "scope", "reply", "passage"]
"""What a label is about: the intent of the turn, whether it belongs to us at all ("oos"), the text that would have
been the right reply, or the passage (chunk) that answers it."""

OUTSIDE = frozenset((OOS, OUT_OF_SCOPE))
"""Intents of turns that are none of our business."""

Talk = Sequence[LoggedTurn]
"""The turns of one conversation, in order."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One rule's word about one turn: with polarity +1 that `value` is right there, with -1 that it is wrong.

    `events` are the positions of the facts that the rule saw.
    """

    conversation: str
    turn: int
    task: Task
    value: str
    polarity: int
    rule: str
    version: int
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A named, versioned labelling rule.

    `start` is how often it is thought to be right before anybody has looked: a prior, not a measurement. For tasks in
    `supports` it only adds weight to what another rule says and never makes a label. `human`: a person said so on
    purpose. The docstring of `find` says what the rule means and which trap it has.
    """

    name: str
    version: int
    start: float
    find: Callable[[Talk, Alike], Iterable[Candidate]]
    supports: frozenset[Task] = frozenset()
    human: bool = False

    def run(self, talk: Talk, alike: Alike) -> Iterator[Candidate]:
        """What the rule says about one conversation."""
        for found in self.find(talk, alike):
            yield replace(found, rule=self.name, version=self.version)

    def __call__(self, talk: Talk, alike: Alike) -> list[Candidate]:
        """The same as a list."""
        return list(self.run(talk, alike))

    @property
    def meaning(self) -> str:
        """What it says, in one sentence."""
        return (self.find.__doc__ or "").partition("Trap:")[0].strip()

    @property
    def trap(self) -> str:
        """How it may be fooled."""
        return " ".join((self.find.__doc__ or "").partition("Trap:")[2].split())


def says(turn: LoggedTurn, task: Task, value: str, events: Iterable[int], polarity: int = 1) -> Candidate:
    """A candidate about a turn; the rule puts its name on it."""
    return Candidate(turn.conversation, turn.turn, task, value, polarity, "", 0, tuple(sorted(set(events))))
