"""What the learned ranking is trained on: stories cut, joined and nested in each other, and choices from the log.

A story is one path through a talk; people take others. So training sees each story also with another one in its middle
(chit-chat, a second wish), after a part of another one, or from its middle on, the slots carried along: what may come
in between is learned from the project's own stories and rules. Forms are not interrupted this way: how to go on inside
a form is for the stories to say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from bot.core.features import Features
from bot.core.program import Program
from bot.core.rules import GAP, points
from bot.core.script import LISTEN, Script, Story
from bot.manifest import DataSet
from skills.ranking import feature_names

Item = TypeVar("Item")
_JOINED, _SWITCHED, _CUT = 0.45, 0.15, 0.3
"""How often a path has another story inside, ends in the beginning of another story, begins in the middle."""
_MOST_INSIDE = 2
_BOUNDARY_TRIES = 4


class Cell(NamedTuple):
    """A state and the action chosen in it. `text` is the message word by word, where a story gives one."""

    state: Features
    action: str
    text: str = ""


class Path(NamedTuple):
    """Cells in order; the last one's action is to be learned. `groups` are the stories it was made from."""

    cells: tuple[Cell, ...]
    groups: frozenset[int]


class Choice(NamedTuple):
    """An action that was right in the logged talk of that name: `weight` 1 when somebody said so, less when nobody
    objected."""

    states: tuple[Features, ...]
    texts: tuple[str, ...]
    action: str
    weight: float
    talk: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """A whole story. Those that differ only in one `or` are of the same group."""

    cells: tuple[Cell, ...]
    group: int


@dataclass(frozen=True, slots=True)
class RankingData:
    """Everything to learn from. `asides` are turns that may come at any time outside of forms: rules, whole stories.

    `texts` are examples by intent; `strange` those of intents that no story has. `held` choices of
    the log only measure.
    """

    stories: tuple[Episode, ...]
    asides: tuple[Episode, ...]
    texts: Mapping[str, tuple[str, ...]]
    strange: tuple[str, ...] = ()
    logged: tuple[Choice, ...] = ()
    held: tuple[Choice, ...] = ()

    @property
    def groups(self) -> tuple[int, ...]:
        """The groups of the stories, in order."""
        return tuple(dict.fromkeys(episode.group for episode in self.stories))

    def described(self) -> DataSet:
        """The stories and logged choices for a manifest."""
        told = [(feature_names(cell.state), cell.text, cell.action) for s in self.stories for cell in s.cells]
        chosen = [(list(map(feature_names, item.states)), *item[1:]) for item in self.logged]
        rows = [json.dumps(row, ensure_ascii=False) for row in (*told, *chosen)]
        digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return DataSet(name="stories and log", sha256=digest, rows=len(self.groups) + len(self.logged))


def ranking_data(
    program: Program, examples: Iterable[tuple[str, str]], logged: Sequence[Choice] = ()
) -> RankingData | None:
    """What a program's stories give, with (text, intent) examples; None when it has none or wants no ranking."""
    script = program.script
    if script is None or not script.ranks or not script.stories:
        return None
    stories = tuple(_stories(script, program))
    rules = [_aside(_cells(rule, program), -number) for number, rule in enumerate(script.rules, 1)]
    wholes = [_aside(episode.cells[1:], episode.group) for episode in stories]
    asides = tuple(found for found in (*rules, *wholes) if found is not None)
    heard = {cell.state.intent for episode in (*stories, *asides) for cell in episode.cells}
    texts: dict[str, list[str]] = {}
    for text, intent in examples:
        texts.setdefault(intent.partition("/")[0], []).append(text)
    strange = tuple(text for intent in sorted(set(texts) - heard) for text in texts[intent])
    known = {intent: tuple(found) for intent, found in texts.items() if intent in heard}
    return RankingData(stories, asides, known, strange, tuple(logged))


def _stories(script: Script, program: Program) -> Iterable[Episode]:
    numbers: dict[tuple[str, str], int] = {}
    for story in script.stories:
        cells = _cells(story, program)
        if len(cells) > 1:
            yield Episode(cells, numbers.setdefault((story.name, story.where), len(numbers)))


def _cells(story: Story, program: Program) -> tuple[Cell, ...]:
    found = points(story, program)
    return tuple(
        Cell(point.states[-1], point.action, "" if point.states[-1].intent else point.states[-1].text)
        for point in found
    )


def _aside(cells: Sequence[Cell], group: int) -> Episode | None:
    """The turns of a story or rule that can stand anywhere: from a message on until the bot listens, with no form."""
    first = next((n for n, cell in enumerate(cells) if _hears(cell)), None)
    if first is None:
        return None
    kept = tuple(cells[first:])
    last = max((n for n, cell in enumerate(kept) if cell.action == LISTEN), default=-1)
    kept = kept[: last + 1]
    if not kept or any(GAP in (cell.action, cell.state.action) for cell in kept) or kept[-1].state.loop:
        return None
    if kept[0].state.loop or (kept[0].state.slots and group < 0):
        return None  # a rule with a condition does not hold just anywhere
    return Episode(kept, group)


def _hears(cell: Cell) -> bool:
    return cell.state.action == LISTEN and bool(cell.state.intent or cell.state.text)


class Paths:
    """Draws paths at random; the same seed gives the same ones."""

    def __init__(self, data: RankingData, random: np.random.Generator) -> None:
        self._data, self._random = data, random

    def draw(self) -> Path:
        """One path to learn from."""
        story = self._one(self._data.stories)
        end = 1 + int(self._random.integers(len(story.cells) - 1))
        path = Path(story.cells[: end + 1], frozenset((story.group,)))
        chance = self._random.random()
        if chance < _SWITCHED:
            path = self._switched(path)
        elif chance < _SWITCHED + _JOINED:
            for _ in range(1 + int(self._random.integers(_MOST_INSIDE))):
                path = self._joined(path)
        return self._shortened(path) if self._random.random() < _CUT else path

    def _joined(self, path: Path) -> Path:
        """With another story between two turns."""
        place, aside = self._place(path)
        if aside is None:
            return path
        before, after = path.cells[:place], path.cells[place:]
        inside = _carry(aside.cells, before[-1].state.slots)
        after = _carry(after, inside[-1].state.slots)
        return Path((*before, *inside, *after), path.groups | {aside.group})

    def _switched(self, path: Path) -> Path:
        """Left between two turns for another story."""
        place, aside = self._place(path)
        if aside is None:
            return path
        before = path.cells[:place]
        end = 1 + int(self._random.integers(len(aside.cells)))
        inside = _carry(aside.cells[:end], before[-1].state.slots)
        return Path((*before, *inside), path.groups | {aside.group})

    def _shortened(self, path: Path) -> Path:
        """From one of its messages on."""
        begins = [n for n, cell in enumerate(path.cells) if cell.state.action == LISTEN]
        return path if not begins else path._replace(cells=path.cells[self._one(begins) :])

    def _place(self, path: Path) -> tuple[int, Episode | None]:
        """A message outside of forms, and a story to put before it that begins otherwise."""
        cells = path.cells
        places = [n for n in range(1, len(cells)) if _hears(cells[n]) and not _in_form(cells, n)]
        if not places or not self._data.asides:
            return 0, None
        for _ in range(_BOUNDARY_TRIES):
            place, aside = self._one(places), self._one(self._data.asides)
            one, other = aside.cells[0].state, cells[place].state
            if aside.group not in path.groups and (one.intent, one.text) != (other.intent, other.text):
                return place, aside
        return 0, None

    def _one(self, items: Sequence[Item]) -> Item:
        return items[int(self._random.integers(len(items)))]


def _in_form(cells: Sequence[Cell], place: int) -> bool:
    return bool(cells[place].state.loop or cells[place - 1].state.loop)


def _carry(cells: Sequence[Cell], slots: frozenset[tuple[str, str]]) -> tuple[Cell, ...]:
    """The cells with slots that were set before them, where they do not set them themselves."""
    if not slots:
        return tuple(cells)
    return tuple(
        cell._replace(state=cell.state._replace(slots=frozenset({**dict(slots), **dict(cell.state.slots)}.items())))
        for cell in cells
    )
