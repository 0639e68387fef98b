"""Builds the encoder's compute graph (ONNX) straight from its safetensors, for onnxruntime.

Nothing here needs torch. A graph runs a range of transformer layers: from the embedding sum (layer 0) or from the
hidden states of any layer, so that a head with its own copies of the last layers (a late branch) runs on the same
engine. Every layer's output can be asked for, and all come from one forward.

Rules of the file: a text's result must not depend on what else is in its batch, so nothing is scaled over a batch at
run time; the same weights and options always give the same graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

GRAPH_VERSION = 2
"""Part of the cache key: raise it when the graph of the same weights changes."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT-like encoder with the erf form of GELU."""

    width: int
    heads: int
    layers: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class LayerRange:
    """Layers after `first`, up to and with `last`: the graph takes the states of `first`.

    `first` = 0 takes the sum of the embeddings and normalises it; its result is the state of layer 0.
    """

    first: int
    last: int

    @property
    def numbers(self) -> range:
        """The layers that are run."""
        return range(self.first + 1, self.last + 1)


@dataclass(frozen=True, slots=True)
class Linear:
    """x @ matrix + bias. `matrix` is float32 (in, out), `bias` float32 (out,)."""

    matrix: Floats
    bias: Floats


@dataclass(frozen=True, slots=True)
class Linear8:
    """The same in 8 bits: ((x / balance) / scale + zero, as uint8) @ matrix * scale * column_scale + bias.

    `matrix` is int8 (in, out) within ±64, so that two products fit 16 bits and every CPU gives the same integers.
    """

    matrix: npt.NDArray[np.int8]
    bias: Floats
    column_scale: Floats
    scale: float
    zero: int
    balance: Floats | None = None


Linears = Mapping[str, Linear | Linear8]


def read_linears(weights: Mapping[str, Floats], layers: LayerRange) -> dict[str, Linear]:
    """The linear maps of the layers, by label: qkv{n}, attended{n}, wide{n}, narrow{n}."""
    found = {}
    for n in layers.numbers:
        prefix = f"encoder.layer.{n - 1}."
        parts = [_linear(weights, f"{prefix}attention.self.{part}") for part in ("query", "key", "value")]
        found[f"qkv{n}"] = Linear(
            np.concatenate([part.matrix for part in parts], axis=1), np.concatenate([part.bias for part in parts])
        )
        found[f"attended{n}"] = _linear(weights, f"{prefix}attention.output.dense")
        found[f"wide{n}"] = _linear(weights, f"{prefix}intermediate.dense")
        found[f"narrow{n}"] = _linear(weights, f"{prefix}output.dense")
    return found


def input_name(label: str) -> str:
    """The name of the value that a linear map is applied to."""
    kind, n = label.rstrip("0123456789"), int(label.lstrip("abcdefghijklmnopqrstuvwxyz"))
    return {"qkv": f"h{n - 1}", "attended": f"mixed{n}", "wide": f"middle{n}", "narrow": f"active{n}"}[kind]


def build_graph(
    weights: Mapping[str, Floats], shape: Shape, layers: LayerRange, linears: Linears, taps: Sequence[str] = ()
) -> bytes:
    """Serialised ONNX model.

    Inputs: `x` float32 (batch, tokens, width) and `mask` int32 (batch, tokens), 1 for a token and 0 for padding.
    Outputs: `h{n}` float32 (batch, tokens, width) for each layer n after `layers.first` (and `h0` when that is 0),
    then the inner values named in `taps`.
    """
    return bytes(_Builder(weights, shape, linears).model(layers, taps).SerializeToString())


def _linear(weights: Mapping[str, Floats], prefix: str) -> Linear:
    return Linear(weights[f"{prefix}.weight"].T, weights[f"{prefix}.bias"])


class _Builder:
    """Collects nodes and weights; method names say what a node does."""

    def __init__(self, weights: Mapping[str, Floats], shape: Shape, linears: Linears) -> None:
        import onnx  # takes 0.3 s, and most starts find the graph in the cache

        self._onnx = onnx
        self._weights = weights
        self._shape = shape
        self._linears = linears
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def model(self, layers: LayerRange, taps: Sequence[str]) -> onnx.ModelProto:
        helper = self._onnx.helper
        outputs = [f"h{n}" for n in layers.numbers]
        state = "x"
        if layers.first == 0:
            state = self._norm("x", "embeddings.LayerNorm", "h0")
            outputs.insert(0, state)
        for n in layers.numbers:
            state = self._layer(n, state)
        values = [self._value(name) for name in dict.fromkeys([*outputs, *taps])]
        graph = helper.make_graph(self._nodes, "encoder", self._inputs(), values, self._tensors)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return model

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        mask = self._onnx.helper.make_tensor_value_info("mask", self._onnx.TensorProto.INT32, ["batch", "tokens"])
        return [self._value("x"), mask]

    def _value(self, name: str) -> onnx.ValueInfoProto:
        width: str | int = "wide" if name.startswith("active") else self._shape.width
        size: list[str | int | None] = ["batch", "tokens", width]
        return self._onnx.helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, size)

    def _tensor(self, name: str, value: npt.NDArray[Any]) -> str:
        self._tensors.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _scalar(self, name: str, value: np.generic) -> str:
        self._tensors.append(self._onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **options: Any) -> str:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, outputs, domain=domain, **options))
        return outputs[0]

    def _fused(self, kind: str, inputs: Sequence[str], output: str, **options: Any) -> str:
        return self._node(kind, inputs, [output], "com.microsoft", **options)

    def _layer(self, n: int, state: str) -> str:
        prefix = f"encoder.layer.{n - 1}"
        joined = self._apply(f"qkv{n}", state)
        names = [f"{part}{n}" for part in ("query", "key", "value")]
        self._node("Split", [joined], names, axis=-1, num_outputs=3)
        mixed = self._fused("MultiHeadAttention", [*names, "", "mask"], f"mixed{n}", num_heads=self._shape.heads)
        attended = self._apply(f"attended{n}", mixed)
        middle = self._residual(attended, state, f"{prefix}.attention.output.LayerNorm", f"middle{n}")
        active = self._fused("Gelu", [self._apply(f"wide{n}", middle)], f"active{n}")
        narrow = self._apply(f"narrow{n}", active)
        return self._residual(narrow, middle, f"{prefix}.output.LayerNorm", f"h{n}")

    def _residual(self, value: str, skip: str, prefix: str, output: str) -> str:
        return self._norm(self._node("Add", [value, skip], [f"{output}_sum"]), prefix, output)

    def _norm(self, value: str, prefix: str, output: str) -> str:
        gain = self._tensor(f"{output}_gain", self._weights[f"{prefix}.weight"])
        shift = self._tensor(f"{output}_shift", self._weights[f"{prefix}.bias"])
        epsilon = float(self._shape.epsilon)
        return self._node("LayerNormalization", [value, gain, shift], [output], axis=-1, epsilon=epsilon)

    def _apply(self, label: str, state: str) -> str:
        linear = self._linears[label]
        if isinstance(linear, Linear8):
            return self._apply8(label, state, linear)
        product = self._node("MatMul", [state, self._tensor(f"{label}_matrix", linear.matrix)], [f"{label}_product"])
        return self._node("Add", [product, self._tensor(f"{label}_bias", linear.bias)], [label])

    def _apply8(self, label: str, state: str, linear: Linear8) -> str:
        if linear.balance is not None:
            factor = self._tensor(f"{label}_balance", np.float32(1) / linear.balance)
            state = self._node("Mul", [state, factor], [f"{label}_balanced"])
        scale = self._scalar(f"{label}_scale", np.float32(linear.scale))
        zero = self._scalar(f"{label}_zero", np.uint8(linear.zero))
        bytes_ = self._node("QuantizeLinear", [state, scale, zero], [f"{label}_bytes"])
        matrix = self._tensor(f"{label}_matrix", linear.matrix)
        columns = self._tensor(f"{label}_columns", linear.column_scale)
        middle = self._tensor(f"{label}_middle", np.zeros(linear.matrix.shape[1], np.int8))
        bias = self._tensor(f"{label}_bias", linear.bias)
        return self._fused("MatMulIntegerToFloat", [bytes_, matrix, scale, columns, zero, middle, bias], label)
