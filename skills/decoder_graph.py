"""Builds a causal language model's compute graph (ONNX) from its safetensors, for onnxruntime. Torch is not needed.

Llama-shaped models: rotary positions, root-mean-square norms, gated feed-forward; with them Mistral (attention in a
window), Qwen2 (biases on queries, keys, values) and Gemma (scaled embeddings, norms around one). One graph serves a
whole prompt, a part that follows a kept beginning, and one token each of many texts: keys and values of the past go in
and out by reference. The weights lie in a file of their own beside the graph, so that they may be larger than the two
GB of one message, are never all in memory while they are written, and are shared by processes that read them.

Eight bits: the ranges of the inputs are fixed when the graph is built, from what the layers see on sample texts, so
that a text's result does not depend on what else is in its batch; weights are rounded per output column within ±64, so
that every CPU gives the same integers (see `skills.encoder_graph`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from skills.decoder_shape import DecoderShape
from skills.graph_parts import MICROSOFT, Floats, GraphParts

if TYPE_CHECKING:
    import onnx

_LIMIT = 64
GRAPH, TENSORS = "decoder.onnx", "decoder.bin"
"""The files of a graph's folder."""
GRAPH_VERSION = 1
"""Part of the name that a converted model is kept under: raise it when the graph changes."""


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes of a linear map's inputs: value = (byte - zero) * scale.

    `balance`, (in,), divides inputs that come from a norm, whose weights take it in; the others have none.
    """

    scale: float
    zero: int
    balance: Floats | None = None


def linears(shape: DecoderShape) -> tuple[str, ...]:
    """The labels of all linear maps, in order; the value that each is applied to is called `{label}.in`."""
    kinds = ("qkv", "attended", "wide", "narrow")
    return (*(f"{kind}{n}" for n in range(shape.layers) for kind in kinds), "logits")


def matrix(weights: Mapping[str, Floats], label: str, *, tied: bool) -> tuple[Floats, Floats | None]:
    """A linear map as float32 (in, out), and its bias if it has one. `wide` holds the gate, then the other half."""
    kind = label.rstrip("0123456789")
    prefix = f"model.layers.{label.removeprefix(kind)}."
    if kind == "logits":
        names = ["model.embed_tokens" if tied else "lm_head"]
    elif kind == "qkv":
        names = [f"{prefix}self_attn.{part}_proj" for part in ("q", "k", "v")]
    elif kind == "wide":
        names = [f"{prefix}mlp.{part}_proj" for part in ("gate", "up")]
    else:
        names = [prefix + {"attended": "self_attn.o_proj", "narrow": "mlp.down_proj"}[kind]]
    joined = np.concatenate([weights[f"{name}.weight"] for name in names]).T
    biases = [weights[f"{name}.bias"] for name in names if f"{name}.bias" in weights]
    return joined, np.concatenate(biases) if biases else None


def write_decoder(
    folder: Path,
    weights: Mapping[str, Floats],
    shape: DecoderShape,
    ranges: Mapping[str, Range] | None = None,
    taps: Sequence[str] = (),
) -> Path:
    """Write the graph and its weights into a folder; the graph's path. In eight bits if there are `ranges`, then of
    every linear map.

    Inputs: `ids` int64 (texts, tokens); `ends` int32 (texts,), the position of each text's last token; `total` int32
    (1,), the highest of them plus one; `key{n}` and `value{n}` float32 (texts, kv heads, room, head width).
    Outputs: `logits` float32 (texts, 1, vocabulary), of the last token; `key{n}.out`, `value{n}.out`, to be bound to
    the inputs' memory; then the inner values named in `taps`. With `logits.in` among them `logits` are of all tokens.
    """
    folder.mkdir(exist_ok=True)
    path = folder / GRAPH
    with (folder / TENSORS).open("wb") as stream:
        made = _Builder(weights, shape, ranges or {}, stream).model(taps)
    path.write_bytes(made.SerializeToString())
    return path


class _Builder(GraphParts):
    """Collects nodes and weights; method names say what a node does."""

    def __init__(
        self, weights: Mapping[str, Floats], shape: DecoderShape, ranges: Mapping[str, Range], stream: BinaryIO
    ) -> None:
        super().__init__(stream, TENSORS)
        self._weights, self._shape, self._ranges = weights, shape, ranges

    def model(self, taps: Sequence[str]) -> onnx.ModelProto:
        helper, shape, every = self._onnx.helper, self._shape, "logits.in" in taps
        self._rotary()
        state = self._embedded()
        for n in range(shape.layers):
            state = self._layer(n, state)
        self._linear(self._norm(state if every else self._last(state), "model.norm", "logits.in"), "logits")
        pasts = [f"{part}{n}" for n in range(shape.layers) for part in ("key", "value")]
        past = ["texts", shape.kv_heads, "room", shape.head_width]
        kinds = self._onnx.TensorProto
        inputs = [
            helper.make_tensor_value_info("ids", kinds.INT64, ["texts", "tokens"]),
            helper.make_tensor_value_info("ends", kinds.INT32, ["texts"]),
            helper.make_tensor_value_info("total", kinds.INT32, [1]),
            *(helper.make_tensor_value_info(name, kinds.FLOAT, past) for name in pasts),
        ]
        names = ["logits", *(f"{name}.out" for name in pasts), *taps]
        outputs = [helper.make_tensor_value_info(name, kinds.FLOAT, None) for name in names]
        return self.made("decoder", inputs, outputs)

    def _last(self, state: str) -> str:
        bounds = {"first": -1, "end": np.iinfo(np.int64).max, "axis": 1}
        names = [self.tensor(f"last.{name}", np.array([value], np.int64)) for name, value in bounds.items()]
        return self.node("Slice", [state, *names], "last")

    def _rotary(self) -> None:
        shape = self._shape
        angles = np.outer(np.arange(shape.length), shape.rates)
        self.keep("cos", shape.amplitude * np.cos(angles))
        self.keep("sin", shape.amplitude * np.sin(angles))

    def _embedded(self) -> str:
        table = self._weights["model.embed_tokens.weight"]
        kept = self.tensor("model.embed_tokens.weight", table.astype(np.float16 if self._ranges else np.float32))
        state = self.node("Gather", [kept, "ids"], "embedded")
        if self._ranges:
            state = self.node("Cast", [state], "embedded.wide", to=self._onnx.TensorProto.FLOAT)
        if not self._shape.gemma:
            return state
        return self.node("Mul", [state, self.keep("width", np.array(np.sqrt(self._shape.width)))], "scaled")

    def _layer(self, n: int, state: str) -> str:
        prefix, shape = f"model.layers.{n}.", self._shape
        self._norm(state, f"{prefix}input_layernorm", f"qkv{n}.in")
        self._nodes.append(
            self._onnx.helper.make_node(
                "GroupQueryAttention",
                [self._linear(f"qkv{n}.in", f"qkv{n}"), "", "", f"key{n}", f"value{n}", "ends", "total", "cos", "sin"],
                [f"attended{n}.in", f"key{n}.out", f"value{n}.out"],
                domain=MICROSOFT,
                num_heads=shape.heads,
                kv_num_heads=shape.kv_heads,
                do_rotary=1,
                local_window_size=shape.windows[n],
            )
        )
        state = self.node("Add", [state, self._linear(f"attended{n}.in", f"attended{n}")], f"middle{n}")
        self._norm(state, f"{prefix}post_attention_layernorm", f"wide{n}.in")
        return self.node("Add", [state, self._linear(self._gated(n), f"narrow{n}")], f"state{n}")

    def _gated(self, n: int) -> str:
        wide = self._linear(f"wide{n}.in", f"wide{n}")
        gate, other = f"gate{n}", f"other{n}"
        self._nodes.append(self._onnx.helper.make_node("Split", [wide], [gate, other], axis=-1, num_outputs=2))
        if self._shape.gemma:
            active = self.node("Gelu", [gate], f"active{n}", approximate="tanh")
        else:  # x * sigmoid(x)
            active = self.node("QuickGelu", [gate], f"active{n}", domain=MICROSOFT, alpha=1.0)
        return self.node("Mul", [active, other], f"narrow{n}.in")

    def _norm(self, value: str, name: str, result: str) -> str:
        weight = self._weights[f"{name}.weight"] + (1.0 if self._shape.gemma else 0.0)
        found = self._ranges.get(result.removesuffix(".in"))
        if found is not None and found.balance is not None:
            weight = weight / found.balance
        kept = self.keep(f"{name}.weight", weight)
        return self.node("SimplifiedLayerNormalization", [value, kept], result, epsilon=self._shape.epsilon, axis=-1)

    def _linear(self, value: str, label: str) -> str:
        weights, bias = matrix(self._weights, label, tied=self._shape.tied)
        found = self._ranges.get(label)
        kept = "" if bias is None else self.keep(f"{label}.bias", bias)
        if found is not None:
            return self._linear8(value, label, weights, found, kept)
        inputs = [value, self.keep(f"{label}.matrix", weights)]
        if not kept:
            return self.node("MatMul", inputs, label)
        return self.node("Add", [self.node("MatMul", inputs, f"{label}.unbiased"), kept], label)

    def _linear8(self, value: str, label: str, weights: Floats, found: Range, bias: str) -> str:
        if found.balance is not None:
            weights = weights * found.balance[:, None]
        scale = np.maximum(np.abs(weights).max(axis=0) / _LIMIT, 1e-12)
        rounded = np.clip(np.rint(weights / scale), -_LIMIT, _LIMIT).astype(np.int8)
        step, zero = self.keep(f"{label}.step", np.array(found.scale)), self._keep8(f"{label}.zero", found.zero)
        data = self.node("QuantizeLinear", [value, step, zero], f"{label}.bytes")
        kept, scales = self.tensor(f"{label}.matrix", rounded), self.keep(f"{label}.scale", scale)
        extra = ["", bias] if bias else []
        return self.node("MatMulIntegerToFloat", [data, kept, step, scales, zero, *extra], label, domain=MICROSOFT)

    def _keep8(self, name: str, value: int) -> str:
        return self.tensor(name, np.array(value, np.uint8))
