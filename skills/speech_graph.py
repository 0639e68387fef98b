"""Builds a Whisper model's two compute graphs (ONNX) from a checkpoint's tensors, for onnxruntime. Torch is not needed.

The encoder takes a log-mel of any length up to a window and gives what the decoder's layers attend to, so that this is
computed once. The decoder reads the beginnings of texts and then one token each of many texts: keys and values of the
past go in and out by reference, and sounds of different lengths lie side by side under a mask. Its attention to the
sound is given out as well, for some heads: word times come from that.

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from skills.graph_parts import Floats
from skills.speech_graph_file import GraphFile
from skills.speech_shape import SpeechShape

GRAPH_VERSION = 1
"""Part of the name that a converted model is kept under: raise it when a graph changes."""
ENCODER, DECODER = "encoder", "decoder"
Heads = Sequence[tuple[int, int]]
"""(layer, head) pairs of the decoder."""


def write_encoder(folder: Path, weights: Mapping[str, Floats], shape: SpeechShape, *, eight: bool) -> Path:
    """Write the encoder's graph; its path.

    Input: `mel` float32 (1, n_mels, 2 * positions). Outputs, for each layer of the decoder: `cross_key{n}` float32
    (1, heads, head width, positions), already scaled, and `cross_value{n}` (1, heads, positions, head width).
    """
    graph = GraphFile(folder, ENCODER, weights, "rows" if eight else "float32")
    state = _heard(graph, shape)
    for n in range(shape.n_audio_layer):
        state = _encoder_layer(graph, shape, n, state)
    state = graph.norm(state, "encoder.ln_post", "encoded")
    outputs = []
    for n in range(shape.n_text_layer):
        outputs += _crossed(graph, shape, n, state)
    return graph.write(outputs)


def write_decoder(
    folder: Path, weights: Mapping[str, Floats], shape: SpeechShape, heads: Heads, *, eight: bool
) -> Path:
    """Write the decoder's graph; its path.

    Inputs: `ids` and `places` int64 (rows, tokens); `ends` int32 (rows,), the position of each row's last token;
    `total` int32 (1,), the highest of them plus one; `picks` int64 (n, 2), the (row, token) pairs whose logits are
    wanted; `mask` float32 (rows, 1, 1, positions), to be added to the attention to the sound; `cross_key{n}`,
    `cross_value{n}` as the encoder gives them; `key{n}`, `value{n}` float32 (rows, heads, room, head width).
    Outputs: `logits` float32 (n, vocabulary); `aligned` float32 (rows, chosen heads, tokens, positions), the attention
    of `heads` before the softmax; `key{n}.out`, `value{n}.out`, to be bound to the inputs' memory.
    """
    graph = GraphFile(folder, DECODER, weights, "blocks" if eight else "float32")
    state = _read(graph, shape, eight=eight)
    looked: list[str] = []
    for n in range(shape.n_text_layer):
        state = _self_attention(graph, shape, n, state)
        state = _cross_attention(graph, shape, n, state)
        if chosen := [head for layer, head in heads if layer == n]:
            rows = [f"look{n}", graph.whole(f"heads{n}", *chosen)]
            looked.append(graph.node("Gather", rows, f"chosen{n}", axis=1))
        state = _feed(graph, f"decoder.blocks.{n}", f"text{n}", state)
    graph.node("Concat", looked, "aligned", axis=1)
    picked = graph.node("GatherND", [state, graph.input("picks", "INT64", ["n", 2])], "picked")
    table = weights["decoder.token_embedding.weight"]
    graph.linear(graph.norm(picked, "decoder.ln", "said"), table.T, None, "logits")
    pasts = [f"{part}{n}.out" for n in range(shape.n_text_layer) for part in ("key", "value")]
    return graph.write(["logits", "aligned", *pasts])


def _heard(graph: GraphFile, shape: SpeechShape) -> str:
    state = graph.input("mel", "FLOAT", [1, shape.n_mels, "frames"])
    for n, stride in ((1, 1), (2, 2)):
        kept = [graph.keep(f"conv{n}.{part}", graph.weights[f"encoder.conv{n}.{part}"]) for part in ("weight", "bias")]
        made = graph.node("Conv", [state, *kept], f"conv{n}", kernel_shape=[3], pads=[1, 1], strides=[stride])
        state = graph.node("Gelu", [made], f"active{n}")
    state = graph.node("Transpose", [state], "sound", perm=[0, 2, 1])
    length = graph.node("Shape", [state], "length", start=1, end=2)
    table = graph.keep("encoder.positions", graph.weights["encoder.positional_embedding"])
    places = graph.node("Slice", [table, graph.whole("zero", 0), length, graph.whole("first", 0)], "places")
    return graph.node("Add", [state, places], "placed")


def _encoder_layer(graph: GraphFile, shape: SpeechShape, n: int, state: str) -> str:
    name, label = f"encoder.blocks.{n}", f"sound{n}"
    normed = graph.norm(state, f"{name}.attn_ln", f"{label}.normed")
    joined = graph.linear(normed, *_joined(graph, f"{name}.attn", ("query", "key", "value")), f"{label}.qkv")
    parts = [f"{label}.{part}" for part in ("query", "key", "value")]
    graph.split("Split", [joined], parts, axis=-1, num_outputs=3)
    seen = graph.fused("MultiHeadAttention", parts, f"{label}.seen", num_heads=shape.n_audio_head)
    made = graph.linear(seen, *_joined(graph, f"{name}.attn", ("out",)), f"{label}.out")
    return _feed(graph, name, label, graph.node("Add", [state, made], f"{label}.middle"))


def _crossed(graph: GraphFile, shape: SpeechShape, n: int, state: str) -> list[str]:
    """What the decoder's layer `n` attends to."""
    name, found = f"decoder.blocks.{n}.cross_attn", []
    scale = (shape.n_text_state // shape.n_text_head) ** -0.5
    for part, order, factor in (("key", [0, 2, 3, 1], scale), ("value", [0, 2, 1, 3], 1.0)):
        matrix, bias = _joined(graph, name, (part,))
        made = graph.linear(state, matrix * np.float32(factor), bias, f"{part}{n}.flat")
        size = graph.whole(f"{part}{n}.size", 0, 0, shape.n_text_head, -1)
        apart = graph.node("Reshape", [made, size], f"{part}{n}.apart")
        found.append(graph.node("Transpose", [apart], f"cross_{part}{n}", perm=order))
    return found


def _read(graph: GraphFile, shape: SpeechShape, *, eight: bool) -> str:
    table = graph.weights["decoder.token_embedding.weight"]
    kept = graph.tensor("tokens", table.astype(np.float16 if eight else np.float32))
    state = graph.node("Gather", [kept, graph.input("ids", "INT64", ["rows", "tokens"])], "read")
    if eight:
        state = graph.node("Cast", [state], "wide", to=1)
    places = graph.input("places", "INT64", ["rows", "tokens"])
    rows = graph.keep("text.positions", graph.weights["decoder.positional_embedding"])
    graph.input("ends", "INT32", ["rows"])
    graph.input("total", "INT32", [1])
    graph.input("mask", "FLOAT", ["rows", 1, 1, "positions"])
    return graph.node("Add", [state, graph.node("Gather", [rows, places], "text.places")], "begun")


def _self_attention(graph: GraphFile, shape: SpeechShape, n: int, state: str) -> str:
    name, label, heads = f"decoder.blocks.{n}", f"text{n}", shape.n_text_head
    past: list[str | int] = ["rows", heads, "room", shape.n_text_state // heads]
    pasts = [graph.input(f"{part}{n}", "FLOAT", past) for part in ("key", "value")]
    normed = graph.norm(state, f"{name}.attn_ln", f"{label}.normed")
    joined = graph.linear(normed, *_joined(graph, f"{name}.attn", ("query", "key", "value")), f"{label}.qkv")
    inputs, outputs = [joined, "", "", *pasts, "ends", "total"], [f"{label}.seen", f"key{n}.out", f"value{n}.out"]
    sizes = {"num_heads": heads, "kv_num_heads": heads}
    graph.split("GroupQueryAttention", inputs, outputs, domain="com.microsoft", **sizes)
    made = graph.linear(f"{label}.seen", *_joined(graph, f"{name}.attn", ("out",)), f"{label}.out")
    return graph.node("Add", [state, made], f"{label}.said")


def _cross_attention(graph: GraphFile, shape: SpeechShape, n: int, state: str) -> str:
    name, label, heads = f"decoder.blocks.{n}", f"cross{n}", shape.n_text_head
    width = shape.n_text_state // heads
    keys = graph.input(f"cross_key{n}", "FLOAT", ["rows", heads, width, "positions"])
    values = graph.input(f"cross_value{n}", "FLOAT", ["rows", heads, "positions", width])
    normed = graph.norm(state, f"{name}.cross_attn_ln", f"{label}.normed")
    query = graph.linear(normed, *_joined(graph, f"{name}.cross_attn", ("query",)), f"{label}.query")
    apart = graph.node("Reshape", [query, graph.whole(f"{label}.apart.size", 0, 0, heads, width)], f"{label}.apart")
    turned = graph.node("Transpose", [apart], f"{label}.turned", perm=[0, 2, 1, 3])
    looked = graph.node("MatMul", [turned, keys], f"look{n}")
    shares = graph.node("Softmax", [graph.node("Add", [looked, "mask"], f"{label}.masked")], f"{label}.shares", axis=-1)
    seen = graph.node(
        "Transpose", [graph.node("MatMul", [shares, values], f"{label}.taken")], f"{label}.back", perm=[0, 2, 1, 3]
    )
    flat = graph.node("Reshape", [seen, graph.whole(f"{label}.flat.size", 0, 0, shape.n_text_state)], f"{label}.flat")
    made = graph.linear(flat, *_joined(graph, f"{name}.cross_attn", ("out",)), f"{label}.out")
    return graph.node("Add", [state, made], f"{label}.said")


def _feed(graph: GraphFile, name: str, label: str, state: str) -> str:
    wide = graph.linear(
        graph.norm(state, f"{name}.mlp_ln", f"{label}.fed"), *_map(graph, f"{name}.mlp.0"), f"{label}.wide"
    )
    narrow = graph.linear(
        graph.node("Gelu", [wide], f"{label}.active"), *_map(graph, f"{name}.mlp.2"), f"{label}.narrow"
    )
    return graph.node("Add", [state, narrow], f"{label}.done")


def _map(graph: GraphFile, name: str) -> tuple[Floats, Floats | None]:
    return graph.weights[f"{name}.weight"].T, graph.weights.get(f"{name}.bias")


def _joined(graph: GraphFile, name: str, parts: tuple[str, ...]) -> tuple[Floats, Floats | None]:
    """Some linear maps of an attention as one: (in, out) and biases. Keys have none."""
    maps = [_map(graph, f"{name}.{part}") for part in parts]
    if len(maps) == 1:
        return maps[0]
    biases = [np.zeros(matrix.shape[1], np.float32) if bias is None else bias for matrix, bias in maps]
    return np.concatenate([matrix for matrix, _ in maps], axis=1), np.concatenate(biases)
