"""Paired outcomes of two bundles as they could be, to test the gate with: discordance, conversations, a planted change.

Rows of a conversation are alike: each takes, with probability sqrt(`alike`), what its conversation drew, so any two of
them are correlated by `alike`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.gate import stats

_RIGHT = 0.9


@dataclass(frozen=True)
class World:
    """`discordance` is the share of rows that only one bundle has right, `change` the candidate's true gain.

    Conversations have one of `sizes` turns, each size equally often.
    """

    groups: int
    discordance: float
    change: float = 0.0
    alike: float = 0.0
    sizes: tuple[int, ...] = (1,)

    @property
    def rows(self) -> int:
        """How many rows are to be expected."""
        return round(self.groups * sum(self.sizes) / len(self.sizes))

    @property
    def effect(self) -> float:
        """The design effect: 1 + (m - 1) rho, m the size of the conversation of a row."""
        own = sum(size * size for size in self.sizes) / sum(self.sizes)
        return 1 + (own - 1) * self.alike


@dataclass(frozen=True)
class Sample:
    """Outcomes of both bundles by row, and each row's group."""

    new: NDArray[np.float64]
    old: NDArray[np.float64]
    member: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.new)

    @property
    def discordant(self) -> int:
        """How many rows only one bundle has right."""
        return int((self.new != self.old).sum())

    @property
    def effect(self) -> float:
        """The design effect as the gate estimates it."""
        return stats.design_effect(self.new - self.old, self.member)

    @cached_property
    def sums(self) -> stats.Floats:
        """As `stats.changed` takes them, by group."""
        return np.stack([np.bincount(self.member, weights=column) for column in self.alone().T], axis=1)

    def alone(self) -> stats.Floats:
        """The same as if every row were a group of its own."""
        two = np.full(self.rows, 2.0)
        return np.stack([self.new, two, self.old, two], axis=1)


def sample(world: World, seed: int) -> Sample:
    """One draw. The same seed gives the same."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice(np.array(world.sizes), size=world.groups)
    member = np.repeat(np.arange(world.groups), sizes)
    up, down = (world.discordance + world.change) / 2, (world.discordance - world.change) / 2
    moves, chances = np.array([1, -1, 0]), [up, down, 1 - up - down]
    own = rng.choice(moves, p=chances, size=len(member))
    shared = rng.choice(moves, p=chances, size=world.groups)[member]
    move = np.where(rng.random(len(member)) < world.alike**0.5, shared, own)
    old = np.where(move == 0, rng.random(len(member)) < _RIGHT, move < 0).astype(np.float64)
    return Sample(old + move, old, member)
