"""A causal language model's folder, as the transformers library writes it: config, safetensors, tokenizer. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import IntegrityError, NotFound
from skills.decoder_graph import DecoderShape, Range, build_decoder, linears, matrix
from skills.encoder_quant import byte_range, channel_balance

Floats = npt.NDArray[np.float32]
_SAMPLE = 64
"""Tokens of a sample text that are looked at for the ranges of eight bits."""


def read_weights(folder: Path) -> dict[str, Floats]:
    """All tensors of a folder, whole or in shards, as float32.

    Raises:
        NotFound: there are none.
        IntegrityError: a file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise NotFound(f"{folder} holds no *.safetensors; save the model with save_pretrained(safe_serialization=True)")
    found: dict[str, Floats] = {}
    for file in files:
        try:
            with safe_open(file, "numpy") as opened:
                names = list(opened.keys())
                found |= {name: np.asarray(opened.get_tensor(name), np.float32) for name in names}
        except (SafetensorError, OSError, TypeError) as error:
            raise IntegrityError(str(file), f"cannot be read: {error}; copy it again") from error
    return found


def read_shape(folder: Path) -> DecoderShape:
    """The sizes that `config.json` tells.

    Raises:
        NotFound: there is no such file.
        IntegrityError: it is no JSON object, or lacks a size.
        InputError: the engine has no such model.
    """
    return DecoderShape.of(read_config(folder))


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json`."""
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"{path} is missing; a generator's folder is what save_pretrained wrote") from error
    except ValueError as error:
        raise IntegrityError(str(path), f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise IntegrityError(str(path), f"expected an object, found {type(found).__name__}")
    return found


def ranges_of(weights: Mapping[str, Floats], shape: DecoderShape, samples: Sequence[Sequence[int]]) -> dict[str, Range]:
    """The ranges of eight bits for every linear map, from what it is applied to on sample texts (token ids)."""
    import onnxruntime

    from skills.decoder import empty_past, session_options

    labels = linears(shape)
    taps = [f"{label}.in" for label in labels]
    graph = build_decoder(weights, shape, taps=taps)
    session = onnxruntime.InferenceSession(graph, session_options(), providers=["CPUExecutionProvider"])
    seen: dict[str, list[Floats]] = {label: [] for label in labels}
    for sample in samples:
        ids = np.array([list(sample)[:_SAMPLE]], np.int64)
        end = ids.shape[1] - 1
        feeds = {"ids": ids, "ends": np.array([end], np.int32), "total": np.array([end + 1], np.int32)}
        outputs = session.run(taps, feeds | empty_past(shape, ids.shape[1]))
        for label, output in zip(labels, outputs, strict=True):
            seen[label].append(output.reshape(-1, output.shape[-1]))
    return {label: _range(matrix(weights, label)[0], np.concatenate(seen[label]), label) for label in labels}


def _range(weights: Floats, inputs: Floats, label: str) -> Range:
    normed = label.startswith(("qkv", "wide", "logits"))
    balance = channel_balance(inputs, weights) if normed else None
    if balance is not None:
        inputs, weights = inputs / balance, weights * balance[:, None]
    scale, zero = byte_range(inputs, np.square(weights).sum(axis=1))
    return Range(scale, zero, balance)
