"""A late branch: own copies of the trunk's last layers, tuned for one skill, behind the layer that the trunk shares.

The trunk's forward has given the states of layer `first` already; the branch runs only the layers after it, on the same
engine as the trunk. A branch of k of n layers costs k/n of a forward, and no other skill's results change by a bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from skills.encoder_engine import Engine, build_float32
from skills.encoder_graph import LayerRange, Shape

Floats = npt.NDArray[np.float32]


class LateBranch:
    """The layers after `first`. `weights` are named as the encoder's own (`encoder.layer.4.output.dense.weight`)."""

    def __init__(self, first: int, shape: Shape, weights: Mapping[str, Floats], threads: int = 1) -> None:
        self.first = first
        self.shape = shape
        self.weights = dict(weights)
        self.layers = tuple(range(first + 1, shape.layers + 1))
        graph = build_float32(self.weights, shape, LayerRange(first, shape.layers))
        self._engine = Engine(graph, "float32", threads)

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
