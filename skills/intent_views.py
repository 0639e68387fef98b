"""More views of a text, beside its vector: what the encoder's inner layers hold, and layers of the head's own.

The sentence vector was trained to tell subjects apart; wordings that it blurs are still there in the layers below. A
view pools token states (of the trunk, or of a branch that was tuned for the intents) and scores the intents linearly.

A branch re-runs the last layers, or all of them, from the states that the shared forward has given: the vectors and
states that other skills read do not change by a bit. k of n layers cost k/n of a forward for each message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import IntegrityError
from skills.encoder import Encoding
from skills.encoder_graph import Shape
from skills.entities_branch import LateBranch

Floats = npt.NDArray[np.float32]
VIEWS = "views.json"


@dataclass(frozen=True, slots=True)
class Tuned:
    """Own layers after `first` of the trunk. `weights` are named as the encoder's own, float32.

    `samples`: typical inputs, float32 (tokens, width) each, that set the ranges of the 8-bit arithmetic.
    """

    first: int
    shape: Shape
    weights: Mapping[str, Floats]
    samples: Sequence[Floats]

    def branch(self, threads: int = 1) -> LateBranch:
        """Ready to run. One of all layers is renumbered by one: a graph that begins at 0 would normalise again."""
        if self.first > 0:
            return LateBranch(self.first, self.shape, self.weights, self.samples, threads)
        shifted = {_shifted(name): value for name, value in self.weights.items()}
        shape = replace(self.shape, layers=self.shape.layers + 1)
        return LateBranch(1, shape, shifted, self.samples, threads)


@dataclass(frozen=True, slots=True)
class ViewWeights:
    """`matrix` float16 (features, intents), `bias` float32 (intents,)."""

    matrix: npt.NDArray[np.float16]
    bias: Floats


class View:
    """Scores intents from pooled layers of the trunk or, with `tuned`, from the last layer of the head's own branch."""

    def __init__(self, layers: Sequence[int], weights: ViewWeights, tuned: Tuned | None = None) -> None:
        self.pooled = tuple(layers)
        self.weights = weights
        self.tuned = tuned
        self._branch = None if tuned is None else tuned.branch()
        self._matrix = weights.matrix.astype(np.float32)

    @property
    def layers(self) -> tuple[int, ...]:
        """The trunk's layers whose states it needs."""
        return self.pooled if self.tuned is None else (self.tuned.first,)

    def logits(self, encodings: Sequence[Encoding]) -> Floats:
        """float32 (texts, intents)."""
        found: Floats = self.features(encodings) @ self._matrix + self.weights.bias
        return found

    def features(self, encodings: Sequence[Encoding]) -> Floats:
        """The pooled layers side by side, float32 (texts, layers * width)."""
        if self._branch is None:
            return pool(encodings, self.pooled)
        last = self._branch.layers[-1]
        states = self._branch.run([encoding.states[self.layers[0]] for encoding in encodings])
        return np.stack([_mean(item[last]) for item in states])

    def tensors(self, number: int) -> dict[str, npt.NDArray[Any]]:
        """What is stored of it; weights of layers in half precision, as they were rounded to when it was trained."""
        found: dict[str, npt.NDArray[Any]] = {"matrix": self.weights.matrix, "bias": self.weights.bias}
        if self.tuned is not None:
            found |= {name: value.astype(np.float16) for name, value in self.tuned.weights.items()}
            found["samples"] = np.concatenate(list(self.tuned.samples)).astype(np.float16)
            found["lengths"] = np.array([len(item) for item in self.tuned.samples], np.int32)
        return {f"{number}.{name}": np.ascontiguousarray(value) for name, value in found.items()}

    def facts(self) -> dict[str, object]:
        """What is stored of it besides numbers."""
        shape = None if self.tuned is None else self.tuned.shape
        sizes = None if shape is None else [shape.width, shape.heads, shape.layers, shape.epsilon]
        return {"layers": list(self.pooled), "first": None if self.tuned is None else self.tuned.first, "shape": sizes}


def pool(encodings: Sequence[Encoding], layers: Sequence[int]) -> Floats:
    """Mean of the tokens of each layer, each of unit length, side by side; float32 (texts, layers * width)."""
    return np.stack([np.concatenate([_mean(item.states[layer]) for layer in layers]) for item in encodings])


def needed(views: Sequence[View]) -> tuple[int, ...]:
    """The trunk's layers that some views need."""
    return tuple(sorted({layer for view in views for layer in view.layers}))


def read_views(path: Path, facts: Sequence[Mapping[str, Any]], tensors: Mapping[str, Any]) -> tuple[View, ...]:
    """The views of a saved head.

    Raises:
        IntegrityError: a part of a view is missing.
    """
    try:
        return tuple(_view(fact, _part(tensors, number)) for number, fact in enumerate(facts))
    except KeyError as error:
        raise IntegrityError(
            str(path), f"expected {error} in a view of the intent head, found none; train again"
        ) from error


def _view(fact: Mapping[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> View:
    weights = ViewWeights(tensors.pop("matrix"), tensors.pop("bias"))
    if fact["first"] is None:
        return View(fact["layers"], weights)
    rows = tensors.pop("samples").astype(np.float32)
    ends = np.cumsum(tensors.pop("lengths"))[:-1]
    layers = {name: value.astype(np.float32) for name, value in tensors.items()}
    return View(fact["layers"], weights, Tuned(fact["first"], Shape(*fact["shape"]), layers, np.split(rows, ends)))


def _part(tensors: Mapping[str, npt.NDArray[Any]], number: int) -> dict[str, npt.NDArray[Any]]:
    start = f"{number}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _mean(states: Floats) -> Floats:
    summed = states.sum(axis=0)  # unit length makes the sum equal the mean
    found: Floats = summed / max(float(np.linalg.norm(summed)), 1e-12)
    return found


def _shifted(name: str) -> str:
    head, number, rest = name.split(".", 3)[:2], name.split(".", 3)[2], name.split(".", 3)[3]
    return ".".join([*head, str(int(number) + 1), rest])
