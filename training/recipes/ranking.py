"""Fits the learned ranking: seconds on one thread, the same data and options give the same model.

Paths are drawn from the stories (`training.ranking_rows`), messages are worded by the project's examples so that their
vectors are real, and what a bot will not know at run time is left out at random: intents, entities, texts. Messages of
intents that no story has, and nonsense, teach "none of these". Stories are then left out by turns (all of them at most
`folds` times) to see how well a model predicts stories it has not seen, and how sure it may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bot.core.errors import InputError
from bot.core.features import Features
from bot.core.script import LISTEN
from skills.ranking import (
    WINDOW,
    ActionRanking,
    Floats,
    TextVectors,
    feature_names,
    forward,
    latest,
    latest_texts,
    said,
    windows_of,
)
from training.evaluate import Unseen
from training.progress import Progress, part, silent
from training.ranking_rows import Cell, Choice, Paths, RankingData
from training.recipes.ranking_net import Parameters, Rows, Sizes, loss

_NONSENSE = (
    *("xq zzrt plo", "bla bla bla", "qwpoe rtzu", "the green idea sleeps", "7 fish 9", "hmpf grr"),
    *("how high is that mountain", "play some music", "my neighbour paints fences", "count to twelve in Latin"),
    *("who wrote this novel", "turn left at the bridge", "spiders have eight legs", "is it raining on the moon"),
)
_WORDED, _UNNAMED, _STRANGE, _EXTRA = 0.65, 0.1, 0.06, 0.05
"""How often a message has a text, has a text but no intent, is made strange; how often an entity or slot is added."""
_PER_INTENT = 12
_MANY = 2000
"""Places in stories from which on a small network is too small."""
_PULL = 4.0
"""How many stories' worth the temperature 1 counts."""


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """How to fit. `paths` are drawn for each place of a story, within `fewest` and `most`; `logged` choices from the
    log for each of them. `rehearsal` is the number of steps of the models that stories are left out of.
    """

    seed: int = 0
    paths: int = 60
    fewest: int = 2000
    most: int = 6000
    logged: float = 0.5
    steps: int = 300
    rehearsal: int = 200
    batch: int = 64
    rate: float = 6e-3
    decay: float = 0.02
    dropout: float = 0.15
    folds: int = 5
    width: int = 32
    hidden: int = 64


@dataclass(frozen=True, slots=True)
class FittedRanking:
    """A model and how models like it do on unseen stories."""

    model: ActionRanking
    unseen: Unseen


@dataclass(frozen=True, slots=True)
class _Sample:
    """Feature numbers by state and text numbers, latest first; the action's number; made from which stories."""

    features: list[list[int]]
    texts: list[int]
    target: int
    weight: float = 1.0
    groups: frozenset[int] = frozenset()
    where: str = ""


class _Speller:
    """Turns paths into samples: numbers for features, texts and actions, with what is left out and added at random."""

    def __init__(self, data: RankingData, random: np.random.Generator) -> None:
        self.random = random
        self.actions = sorted(
            {cell.action for story in (*data.stories, *data.asides) for cell in story.cells}
            | {choice.action for choice in data.logged}
        )
        self.number = {action: number for number, action in enumerate(self.actions)}
        self.vocabulary: dict[str, int] = {}
        self.texts: dict[str, int] = {"": 0}
        self.by_intent = {intent: self._worded(texts, _PER_INTENT) for intent, texts in data.texts.items()}
        self.strange = [*self._worded(data.strange, 4 * _PER_INTENT), *self._worded(_NONSENSE, len(_NONSENSE))]
        self._spelled: dict[Features, list[int]] = {}
        cells = [cell for story in data.stories for cell in story.cells]
        self._slots = sorted({slot for cell in cells for slot in cell.state.slots})
        self._entities = sorted({name for cell in cells for name in cell.state.entities})

    def _worded(self, texts: Sequence[str], most: int) -> list[int]:
        """Numbers of some of the texts."""
        texts = sorted(set(filter(None, map(said, texts))))
        chosen = self.random.permutation(len(texts))[:most]
        return [self.text(texts[n]) for n in chosen]

    def text(self, text: str) -> int:
        """The number of a text."""
        return self.texts.setdefault(said(text), len(self.texts))

    def vectors(self, encoder: TextVectors) -> Floats:
        """The vectors of all texts, row 0 is zero."""
        found = encoder.vectors(list(self.texts)[1:])
        return np.concatenate([np.zeros((1, found.shape[1]), np.float32), found])

    def spell(self, state: Features) -> list[int]:
        """The numbers of a state's features."""
        found = self._spelled.get(state)
        if found is None:
            numbers = self.vocabulary
            found = [numbers.setdefault(name, len(numbers) + 1) for name in feature_names(state)]
            self._spelled[state] = found
        return found

    def plain(self, cells: Sequence[Cell], groups: frozenset[int]) -> _Sample:
        """A path as it stands, messages worded."""
        window = cells[::-1][:WINDOW]
        texts = [self._wording(cell) if cell.state.action == LISTEN else 0 for cell in window]
        features = [self.spell(cell.state) for cell in window]
        where = ", ".join(feature_names(window[0].state))
        return _Sample(features, texts, self.number[window[0].action], groups=groups, where=where)

    def varied(self, cells: Sequence[Cell], groups: frozenset[int]) -> _Sample:
        """A path as talks differ."""
        draw = self.random.random
        target = self.number[cells[-1].action]
        features, texts = [], []
        for place, cell in enumerate(cells[::-1][:WINDOW]):
            state, text = cell.state, 0
            if state.action == LISTEN:
                if not place and not state.loop and draw() < _STRANGE:
                    text, target = self.strange[int(self.random.integers(len(self.strange)))], len(self.actions)
                    state = state._replace(intent="", entities=frozenset())
                else:
                    text = self._wording(cell) if cell.text or draw() < _WORDED else 0
                    if text and draw() < _UNNAMED:
                        state = state._replace(intent="")
            elif draw() < _UNNAMED:
                state = state._replace(intent="")
            features.append(self.spell(self._extra(state)))
            texts.append(text)
        return _Sample(features, texts, target, groups=groups)

    def logged(self, choice: Choice) -> _Sample:
        """A choice from the log."""
        texts = [self.text(text) for text in latest_texts(choice.states, choice.texts)]
        features = [self.spell(state) for state in latest(choice.states)]
        return _Sample(features, texts, self.number[choice.action], choice.weight)

    def _wording(self, cell: Cell) -> int:
        if cell.text:
            return self.text(cell.text)
        choices = self.by_intent.get(cell.state.intent)
        return choices[int(self.random.integers(len(choices)))] if choices else 0

    def _extra(self, state: Features) -> Features:
        if self._slots and self.random.random() < _EXTRA:
            name, value = self._slots[int(self.random.integers(len(self._slots)))]
            state = state._replace(slots=frozenset({name: value, **dict(state.slots)}.items()))
        if self._entities and state.action == LISTEN and self.random.random() < _EXTRA:
            state = state._replace(
                entities=state.entities | {self._entities[int(self.random.integers(len(self._entities)))]}
            )
        return state


@dataclass(frozen=True, slots=True)
class _Pool:
    """All samples as tensors, `groups` of each, and the vectors of their texts."""

    rows: Rows
    groups: Sequence[frozenset[int]]
    vectors: Floats
    speller: _Speller
    encoder: TextVectors


def fit_ranking(
    data: RankingData,
    encoder: TextVectors,
    options: RankingOptions | None = None,
    progress: Progress = silent,
) -> FittedRanking:
    """Fit a model and measure its like on unseen stories.

    Raises:
        InputError: there are no stories.
    """
    options = _grown(options or RankingOptions(), data)
    if not data.stories:
        raise InputError("the ranking needs at least one story; write some below `stories:` in data/*.yml")
    progress(0.0, "drawing paths")
    random = np.random.default_rng(options.seed)
    speller = _Speller(data, random)
    held = [
        [speller.plain(story.cells[: end + 1], frozenset((story.group,))) for end in range(1, len(story.cells))]
        for story in data.stories
    ]
    pool = _pool(data, speller, encoder, options)
    progress(0.2, "fitting")
    with threadpool_limits(1):  # operations are small: more threads mostly wait for each other
        unseen, temperature = _cross_validated(pool, held, data.groups, options, part(progress, 0.2, 0.85))
        model = _fit(pool, frozenset(), temperature, options)
    progress(1.0, "fitting")
    return FittedRanking(model, unseen)


def _grown(options: RankingOptions, data: RankingData) -> RankingOptions:
    """Options for many stories: a network twice as wide, and more to see for it. See docs/benchmarks/ranking.md."""
    places = sum(len(story.cells) for story in data.stories) + len(data.logged)
    if places < _MANY:
        return options
    return replace(
        options,
        width=2 * options.width,
        hidden=2 * options.hidden,
        rate=options.rate * 2 / 3,
        steps=max(options.steps, min(places // 6, 6000)),
        rehearsal=max(options.rehearsal, min(places // 10, 1000)),
        most=max(options.most, min(2 * places, 40_000)),
        folds=min(options.folds, 3),
    )


def _pool(data: RankingData, speller: _Speller, encoder: TextVectors, options: RankingOptions) -> _Pool:
    paths = Paths(data, speller.random)
    places = sum(len(story.cells) for story in data.stories)
    count = min(max(options.paths * places, options.fewest), options.most)
    samples = [speller.varied(path.cells, path.groups) for path in (paths.draw() for _ in range(count))]
    if data.logged:
        drawn = speller.random.integers(len(data.logged), size=int(options.logged * count))
        samples += [speller.logged(data.logged[n]) for n in drawn]
    windows = windows_of([item.features for item in samples], [item.texts for item in samples])
    targets = np.array([item.target for item in samples], np.int64)
    weights = np.array([item.weight for item in samples], np.float32)
    groups = [item.groups for item in samples]
    return _Pool(Rows(windows, targets, weights), groups, speller.vectors(encoder), speller, encoder)


def _fit(pool: _Pool, without: frozenset[int], temperature: float, options: RankingOptions) -> ActionRanking:
    """A model from all samples that were not made from the stories of the groups `without`."""
    speller, random = pool.speller, np.random.default_rng(options.seed)
    rows = np.array([n for n, made in enumerate(pool.groups) if not made & without])
    names = np.bincount(pool.rows.windows.features[rows].ravel(), minlength=len(speller.vocabulary) + 1)
    counts = len(speller.vocabulary), len(speller.actions), pool.vectors.shape[1]
    network = Parameters(Sizes(*counts, options.width, options.hidden), random)
    network.weights.features[names == 0] = 0
    network.weights.features[0] = 0
    for step in range(options.steps):
        batch = pool.rows.take(random.choice(rows, options.batch))
        kept = random.random((options.batch, network.weights.deep.shape[1]), np.float32) >= options.dropout
        scaled = kept.astype(np.float32) / np.float32(1 - options.dropout)
        _, gradient = loss(network.weights, batch, pool.vectors, scaled)
        network.step(gradient, options.rate * _share(step, options.steps), options.decay)
    return ActionRanking(speller.actions, list(speller.vocabulary), network.weights, temperature, pool.encoder)


def _share(step: int, steps: int) -> float:
    """The share of the learning rate: rises over the first tenth of the steps, then falls along a cosine."""
    warm = max(1, steps // 10)
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _cross_validated(
    pool: _Pool, held: Sequence[Sequence[_Sample]], groups: Sequence[int], options: RankingOptions, progress: Progress
) -> tuple[Unseen, float]:
    """What models say of stories that they do not know, and the temperature at which they say it best."""
    if len(groups) < 2:
        return Unseen(), 1.0
    count = min(options.folds, len(groups))
    order = pool.speller.random.permutation(len(groups))
    logits, asked = [], list[tuple[_Sample, bool]]()
    for number in range(count):
        out = frozenset(groups[n] for n in order[number::count])
        model = _fit(pool, out, 1.0, replace(options, steps=options.rehearsal))
        samples = [sample for story in held for sample in story if sample.groups & out]
        others = {n for made, n in zip(pool.groups, pool.rows.targets.tolist(), strict=True) if not made & out}
        windows = windows_of([item.features for item in samples], [item.texts for item in samples])
        logits.append(forward(model.weights, windows, pool.vectors))
        asked += [(sample, sample.target in others) for sample in samples]
        progress((number + 1) / count, "fitting")
    scores = np.concatenate(logits)
    right, known = np.array([sample.target for sample, _ in asked]), np.array([known for _, known in asked])
    temperature = _temperature(scores[known], right[known])
    share = _softmax(scores / temperature)[:, :-1]
    names = pool.speller.actions
    unseen = Unseen(
        gold=tuple(names[n] for n in right),
        given=tuple(names[n] for n in share.argmax(axis=1)),
        known=tuple(known.tolist()),
        sure=tuple(share.max(axis=1).tolist()),
        where=tuple(sample.where for sample, _ in asked),
    )
    return unseen, temperature


def _temperature(scores: Floats, right: npt.NDArray[np.int64]) -> float:
    """The temperature with the best likelihood of the right actions, drawn towards 1: unseen stories are few."""
    if not len(right):
        return 1.0

    def loss(temperature: float) -> float:
        share = _softmax(scores / temperature)[np.arange(len(right)), right]
        return float(-np.log(np.maximum(share, 1e-6)).sum() + _PULL * math.log(temperature) ** 2)

    return min((0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5), key=loss)


def _softmax(scores: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    share = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    found: npt.NDArray[np.float64] = share / share.sum(axis=1, keepdims=True)
    return found
