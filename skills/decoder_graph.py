"""Builds a causal language model's compute graph (ONNX) from its safetensors, for onnxruntime. Torch is not needed.

Llama-shaped models: rotary positions, root-mean-square norms, gated feed-forward; with them Mistral without a window,
Qwen2 (biases on queries, keys, values) and Gemma (scaled embeddings, norms around one). One graph serves a whole
prompt, a part that follows a kept beginning, and one token each of many texts: keys and values of the past go in and
out by reference.

Eight bits: the ranges of the inputs are fixed when the graph is built, from what the layers see on sample texts, so
that a text's result does not depend on what else is in its batch; weights are rounded per output column within ±64, so
that every CPU gives the same integers (see `skills.encoder_graph`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError

if TYPE_CHECKING:
    import onnx

Floats = npt.NDArray[np.float32]
_MICROSOFT = "com.microsoft"
_LIMIT = 64
_FAMILIES = ("llama", "mistral", "qwen2", "gemma")


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """The sizes of a decoder. `length`: the most positions; `gemma`: norms around one, scaled embeddings, tanh GELU."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    length: int
    epsilon: float
    theta: float
    gemma: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> DecoderShape:
        """From a `config.json` of the transformers library.

        Raises:
            InputError: the graph cannot be built for such a model; says why and what to do.
        """
        family = config.get("model_type")
        window = config.get("sliding_window") and (family == "mistral" or config.get("use_sliding_window"))
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        scaled = rope.get("rope_type", rope.get("type", "default")) != "default"
        for wrong, what in (
            (family not in _FAMILIES, f"a model of type {family!r}"),
            (window, "attention in a window"),
            (scaled, "scaled rotary positions"),
            (config.get("attention_bias") or config.get("mlp_bias"), "biases outside of queries, keys and values"),
        ):
            if wrong:
                known = ", ".join(_FAMILIES)
                raise InputError(f"the engine has {known}, not {what}; set `engine: transformers` for this generator")
        heads = config["num_attention_heads"]
        return cls(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            inner=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_width=config.get("head_dim") or config["hidden_size"] // heads,
            length=config["max_position_embeddings"],
            epsilon=config["rms_norm_eps"],
            theta=rope.get("rope_theta") or config.get("rope_theta") or 10000.0,
            gemma=family == "gemma",
        )


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


def matrix(weights: Mapping[str, Floats], label: str) -> tuple[Floats, Floats | None]:
    """A linear map as float32 (in, out), and its bias if it has one. `wide` holds the gate, then the other half."""
    kind = label.rstrip("0123456789")
    prefix = f"model.layers.{label.removeprefix(kind)}."
    if kind == "logits":
        names = ["lm_head" if "lm_head.weight" in weights else "model.embed_tokens"]
    elif kind == "qkv":
        names = [f"{prefix}self_attn.{part}_proj" for part in ("q", "k", "v")]
    elif kind == "wide":
        names = [f"{prefix}mlp.{part}_proj" for part in ("gate", "up")]
    else:
        names = [prefix + {"attended": "self_attn.o_proj", "narrow": "mlp.down_proj"}[kind]]
    joined = np.concatenate([weights[f"{name}.weight"] for name in names]).T
    biases = [weights[f"{name}.bias"] for name in names if f"{name}.bias" in weights]
    return joined, np.concatenate(biases) if biases else None


def build_decoder(
    weights: Mapping[str, Floats],
    shape: DecoderShape,
    ranges: Mapping[str, Range] | None = None,
    taps: Sequence[str] = (),
    *,
    every: bool = False,
) -> bytes:
    """Serialised ONNX model; in eight bits if `ranges` has every linear map.

    Inputs: `ids` int64 (texts, tokens); `ends` int32 (texts,), the position of each text's last token; `total` int32
    (1,), the highest of them plus one; `key{n}` and `value{n}` float32 (texts, kv heads, room, head width).
    Outputs: `logits` float32 (texts, 1, vocabulary), of the last token, or (texts, tokens, vocabulary) if `every`;
    `key{n}.out`, `value{n}.out`, to be bound to the inputs' memory; then the inner values named in `taps`.
    """
    return bytes(_Builder(weights, shape, ranges or {}).model(taps, every).SerializeToString())


class _Builder:
    """Collects nodes and weights; method names say what a node does."""

    def __init__(self, weights: Mapping[str, Floats], shape: DecoderShape, ranges: Mapping[str, Range]) -> None:
        import onnx  # takes 0.3 s, and most starts find the graph in the cache

        self._onnx, self._weights, self._shape, self._ranges = onnx, weights, shape, ranges
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def model(self, taps: Sequence[str], every: bool) -> onnx.ModelProto:
        helper, shape = self._onnx.helper, self._shape
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
        graph = helper.make_graph(self._nodes, "decoder", inputs, outputs, self._tensors)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(_MICROSOFT, 1)]
        made: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return made

    def _last(self, state: str) -> str:
        bounds = {"first": -1, "end": np.iinfo(np.int64).max, "axis": 1}
        names = [self._tensor(f"last.{name}", np.array([value], np.int64)) for name, value in bounds.items()]
        return self._node("Slice", [state, *names], "last")

    def _rotary(self) -> None:
        shape = self._shape
        rates = shape.theta ** (-np.arange(0, shape.head_width, 2) / shape.head_width)
        angles = np.outer(np.arange(shape.length), rates)
        self._keep("cos", np.cos(angles))
        self._keep("sin", np.sin(angles))

    def _embedded(self) -> str:
        state = self._node("Gather", [self._weight("model.embed_tokens.weight"), "ids"], "embedded")
        if not self._shape.gemma:
            return state
        return self._node("Mul", [state, self._keep("width", np.array(np.sqrt(self._shape.width)))], "scaled")

    def _layer(self, n: int, state: str) -> str:
        prefix, shape = f"model.layers.{n}.", self._shape
        self._norm(state, f"{prefix}input_layernorm", f"qkv{n}.in")
        self._nodes.append(
            self._onnx.helper.make_node(
                "GroupQueryAttention",
                [self._linear(f"qkv{n}.in", f"qkv{n}"), "", "", f"key{n}", f"value{n}", "ends", "total", "cos", "sin"],
                [f"attended{n}.in", f"key{n}.out", f"value{n}.out"],
                domain=_MICROSOFT,
                num_heads=shape.heads,
                kv_num_heads=shape.kv_heads,
                do_rotary=1,
            )
        )
        state = self._node("Add", [state, self._linear(f"attended{n}.in", f"attended{n}")], f"middle{n}")
        self._norm(state, f"{prefix}post_attention_layernorm", f"wide{n}.in")
        return self._node("Add", [state, self._linear(self._gated(n), f"narrow{n}")], f"state{n}")

    def _gated(self, n: int) -> str:
        wide = self._linear(f"wide{n}.in", f"wide{n}")
        gate, other = f"gate{n}", f"other{n}"
        self._nodes.append(self._onnx.helper.make_node("Split", [wide], [gate, other], axis=-1, num_outputs=2))
        if self._shape.gemma:
            active = self._node("Gelu", [gate], f"active{n}", approximate="tanh")
        else:  # x * sigmoid(x)
            active = self._node("QuickGelu", [gate], f"active{n}", domain=_MICROSOFT, alpha=1.0)
        return self._node("Mul", [active, other], f"narrow{n}.in")

    def _norm(self, value: str, name: str, result: str) -> str:
        weight = self._weights[f"{name}.weight"] + (1.0 if self._shape.gemma else 0.0)
        found = self._ranges.get(result.removesuffix(".in"))
        if found is not None and found.balance is not None:
            weight = weight / found.balance
        kept = self._keep(f"{name}.weight", weight)
        return self._node("SimplifiedLayerNormalization", [value, kept], result, epsilon=self._shape.epsilon, axis=-1)

    def _linear(self, value: str, label: str) -> str:
        weights, bias = matrix(self._weights, label)
        found = self._ranges.get(label)
        result = label if bias is None else f"{label}.unbiased"
        if found is None:
            self._node("MatMul", [value, self._keep(f"{label}.matrix", weights)], result)
        else:
            self._linear8(value, label, weights, found, result)
        if bias is not None:
            self._node("Add", [result, self._keep(f"{label}.bias", bias)], label)
        return label

    def _linear8(self, value: str, label: str, weights: Floats, found: Range, result: str) -> None:
        if found.balance is not None:
            weights = weights * found.balance[:, None]
        scale = np.maximum(np.abs(weights).max(axis=0) / _LIMIT, 1e-12)
        rounded = np.clip(np.rint(weights / scale), -_LIMIT, _LIMIT).astype(np.int8)
        step, zero = self._keep(f"{label}.step", np.array(found.scale)), self._keep8(f"{label}.zero", found.zero)
        data = self._node("QuantizeLinear", [value, step, zero], f"{label}.bytes")
        self._node(
            "MatMulIntegerToFloat",
            [data, self._tensor(f"{label}.matrix", rounded), step, self._keep(f"{label}.scale", scale), zero],
            result,
            domain=_MICROSOFT,
        )

    def _weight(self, name: str) -> str:
        return self._keep(name, self._weights[name])

    def _keep(self, name: str, value: npt.ArrayLike) -> str:
        return self._tensor(name, np.asarray(value, np.float32))

    def _keep8(self, name: str, value: int) -> str:
        return self._tensor(name, np.array(value, np.uint8))

    def _tensor(self, name: str, value: npt.NDArray[Any]) -> str:
        self._tensors.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, kind: str, inputs: list[str], result: str, **attributes: Any) -> str:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [result], **attributes))
        return result
