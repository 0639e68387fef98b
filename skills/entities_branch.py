"""A late branch: own copies of the trunk's last layers, tuned for one skill, behind the layer that the trunk shares.

The trunk's forward has given the states of layer `first` already; the branch runs only the layers after it, on the same
engine as the trunk. A branch of k of n layers costs k/n of a forward, and no other skill's results change by a bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from skills.encoder_engine import Engine, Precision, build_float32, build_int8, cached
from skills.encoder_graph import GRAPH_VERSION, LayerRange, Shape

Floats = npt.NDArray[np.float32]


class LateBranch:
    """The layers after `first`. `weights` are named as the encoder's own (`encoder.layer.4.output.dense.weight`).

    `samples` are typical inputs, float32 (tokens, width) each, that set the ranges of the 8-bit arithmetic; without
    them the branch computes in float32, at twice the cost.
    """

    def __init__(
        self,
        first: int,
        shape: Shape,
        weights: Mapping[str, Floats],
        samples: Sequence[Floats] = (),
        threads: int = 1,
    ) -> None:
        self.first = first
        self.shape = shape
        self.weights = dict(weights)
        self.samples = tuple(samples)
        self.layers = tuple(range(first + 1, shape.layers + 1))
        precision: Precision = "int8" if self.samples else "float32"
        self._engine = Engine(cached(self._key(precision), self._graph), precision, threads)

    def _graph(self) -> bytes:
        layers = LayerRange(self.first, self.shape.layers)
        if self.samples:
            return build_int8(self.weights, self.shape, layers, self.samples)
        return build_float32(self.weights, self.shape, layers)

    def _key(self, precision: Precision) -> str:
        digest = hashlib.sha256()
        for value in (*(self.weights[name] for name in sorted(self.weights)), *self.samples):
            digest.update(np.ascontiguousarray(value).tobytes())
        return f"branch {digest.hexdigest()} {GRAPH_VERSION} {precision} {self.first} {self.shape}"

    @property
    def forwards(self) -> float:
        """What one run costs, in forwards of the whole trunk."""
        return len(self.layers) / self.shape.layers

    def run(self, states: Sequence[Floats]) -> list[dict[int, Floats]]:
        """Layer number -> float32 (tokens, width), for each text, from its states of layer `first`."""
        lengths = [len(item) for item in states]
        x = np.zeros((len(states), max(lengths), self.shape.width), np.float32)
        mask = np.zeros(x.shape[:2], np.int32)
        for row, item in enumerate(states):
            x[row, : len(item)] = item
            mask[row, : len(item)] = 1
        outputs = self._engine.run(x, mask, self.layers)
        return [
            {layer: output[row, :length] for layer, output in outputs.items()} for row, length in enumerate(lengths)
        ]
