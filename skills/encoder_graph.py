"""Builds the encoder's compute graph (ONNX) straight from its safetensors, for onnxruntime.

Nothing here needs torch. A graph runs a range of transformer layers: from the embedding sum (layer 0) or from the
hidden states of any layer, so that a head with its own copies of the last layers (a late branch) runs on the same
engine. Every layer's output can be asked for, and all come from one forward.

Rules of the file: a sentence's result must not depend on what else is in its batch, so nothing is quantised over a
whole batch; the same weights and options always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

GRAPH_VERSION = 1
"""Part of the cache key: raise it when the graph of the same weights changes."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT-like encoder."""

    width: int
    heads: int
    layers: int
    epsilon: float
    activation: str = "gelu"


@dataclass(frozen=True, slots=True)
class LayerRange:
    """Layers `first` (exclusive) to `last` (inclusive): the graph takes the states of `first`, gives those after it.

    `first` = 0 takes the sum of the embeddings and normalises it; its result is the state of layer 0.
    """

    first: int
    last: int


def build_graph(weights: Mapping[str, Floats], shape: Shape, layers: LayerRange) -> bytes:
    """Serialised ONNX model.

    Inputs: `x` float32 (batch, tokens, width) and `mask` int32 (batch, tokens), 1 for a token and 0 for padding.
    Outputs: `h{n}` float32 (batch, tokens, width) for each layer n after `layers.first` (and `h0` when that is 0).
    """
    return bytes(_Builder(weights, shape).model(layers).SerializeToString())


class _Builder:
    """Collects nodes and weights; method names say what a node does."""

    def __init__(self, weights: Mapping[str, Floats], shape: Shape) -> None:
        import onnx  # takes 0.3 s, and most starts find the graph in the cache

        self._onnx = onnx
        self._weights = weights
        self._shape = shape
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def model(self, layers: LayerRange) -> onnx.ModelProto:
        helper = self._onnx.helper
        outputs = [f"h{n}" for n in range(layers.first + 1, layers.last + 1)]
        state = "x"
        if layers.first == 0:
            state = self._embedding_norm()
            outputs.insert(0, state)
        for n in range(layers.first + 1, layers.last + 1):
            state = self._layer(n, state)
        graph = helper.make_graph(
            self._nodes, "encoder", self._inputs(), [self._value(name) for name in outputs], self._tensors
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return model

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        mask = self._onnx.helper.make_tensor_value_info("mask", self._onnx.TensorProto.INT32, ["batch", "tokens"])
        return [self._value("x"), mask]

    def _value(self, name: str) -> onnx.ValueInfoProto:
        size: list[str | int | None] = ["batch", "tokens", self._shape.width]
        return self._onnx.helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, size)

    def _tensor(self, name: str, value: npt.NDArray[Any]) -> str:
        self._tensors.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **options: Any) -> str:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, outputs, domain=domain, **options))
        return outputs[0]

    def _fused(self, kind: str, inputs: Sequence[str], output: str, **options: Any) -> str:
        return self._node(kind, inputs, [output], "com.microsoft", **options)

    def _embedding_norm(self) -> str:
        scale = self._tensor("gain0", self._weights["embeddings.LayerNorm.weight"])
        shift = self._tensor("shift0", self._weights["embeddings.LayerNorm.bias"])
        return self._node(
            "LayerNormalization", ["x", scale, shift], ["h0"], axis=-1, epsilon=float(self._shape.epsilon)
        )

    def _layer(self, n: int, state: str) -> str:
        attended = self._attention(n, state)
        middle = self._residual(f"{n}_middle", attended, state, f"encoder.layer.{n - 1}.attention.output")
        wide = self._matmul(middle, self._weight(n, "intermediate.dense.weight"), f"wide{n}")
        bias = self._tensor(f"wide_bias{n}", self._weight(n, "intermediate.dense.bias"))
        active = self._fused("BiasGelu", [wide, bias], f"active{n}")
        narrow = self._matmul(active, self._weight(n, "output.dense.weight"), f"narrow{n}")
        return self._residual(str(n), narrow, middle, f"encoder.layer.{n - 1}.output", f"h{n}")

    def _attention(self, n: int, state: str) -> str:
        parts = ("query", "key", "value")
        matrix = np.concatenate([self._weight(n, f"attention.self.{part}.weight") for part in parts], axis=0)
        vector = np.concatenate([self._weight(n, f"attention.self.{part}.bias") for part in parts])
        joined = self._matmul(state, matrix, f"qkv{n}")
        names = [f"{part}{n}" for part in parts]
        self._node("Split", [joined], names, axis=-1, num_outputs=3)
        bias = self._tensor(f"qkv_bias{n}", vector)
        mixed = self._fused("MultiHeadAttention", [*names, bias, "mask"], f"mixed{n}", num_heads=self._shape.heads)
        return self._matmul(mixed, self._weight(n, "attention.output.dense.weight"), f"attended{n}")

    def _residual(self, label: str, value: str, skip: str, prefix: str, output: str = "") -> str:
        """LayerNorm(value + bias + skip)."""
        scale = self._tensor(f"gain{label}", self._weights[f"{prefix}.LayerNorm.weight"])
        shift = self._tensor(f"shift{label}", self._weights[f"{prefix}.LayerNorm.bias"])
        bias = self._tensor(f"bias{label}", self._weights[f"{prefix}.dense.bias"])
        inputs = [value, skip, scale, shift, bias]
        return self._fused("SkipLayerNormalization", inputs, output or f"middle{label}", epsilon=self._shape.epsilon)

    def _matmul(self, state: str, matrix: Floats, output: str) -> str:
        """state @ matrix.T"""
        return self._node("MatMul", [state, self._tensor(f"{output}_weight", matrix.T)], [output])

    def _weight(self, n: int, name: str) -> Floats:
        return self._weights[f"encoder.layer.{n - 1}.{name}"]
