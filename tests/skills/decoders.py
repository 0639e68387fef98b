"""A small random Llama, written to a folder without torch, and the engine on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from skills.decoder import Decoder, Limits
from skills.decoder_convert import ranges_of
from skills.decoder_files import Weights, read_shape
from skills.decoder_graph import linears, write_decoder

SIZES = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
TIED = {"rms_norm_eps": 1e-6, "tie_word_embeddings": True}
PROMPT = [int(token) for token in np.random.default_rng(1).integers(0, 96, 40)]
_SQUARE, _KEYS, _WIDE, _NARROW, _NORM = (64, 64), (32, 64), (128, 64), (64, 128), (64,)
_LAYER: dict[str, tuple[int, ...]] = {
    "self_attn.q_proj": _SQUARE,
    "self_attn.k_proj": _KEYS,
    "self_attn.v_proj": _KEYS,
    "self_attn.o_proj": _SQUARE,
    "mlp.gate_proj": _WIDE,
    "mlp.up_proj": _WIDE,
    "mlp.down_proj": _NARROW,
    "input_layernorm": _NORM,
    "post_attention_layernorm": _NORM,
}


def write_llama(folder: Path, vocabulary: int = 96, length: int = 512) -> None:
    """Random weights and their config."""
    draws = np.random.default_rng(3)
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens": (vocabulary, 64), "norm": _NORM}
    shapes |= {f"layers.{n}.{name}": shape for n in range(2) for name, shape in _LAYER.items()}
    weights = {
        f"model.{name}.weight": draws.normal(0.5 if len(shape) == 1 else 0, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(weights, folder / "model.safetensors")
    config = {"model_type": "llama", **SIZES, **TIED, "vocab_size": vocabulary, "max_position_embeddings": length}
    (folder / "config.json").write_text(json.dumps(config))


def loaded(folder: Path, limits: Limits | None = None, *, eight: bool = False) -> Decoder:
    """The engine on a model's folder, in 32 bits or in eight."""
    weights, shape = Weights(folder), read_shape(folder)
    ranges = None
    if eight:
        tapped = write_decoder(folder / "tapped", weights, shape, taps=[f"{label}.in" for label in linears(shape)])
        ranges = ranges_of(tapped, weights, shape, [PROMPT, PROMPT[::-1]])
    return Decoder(write_decoder(folder / f"graph{8 if eight else 32}", weights, shape, ranges), shape, limits)
