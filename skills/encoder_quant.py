"""Turns an encoder's linear maps into 8-bit ones, from what its layers see on sample texts.

Ranges are fixed here, once, and not measured at run time: a vector then cannot depend on its batch, and a pass over
the data is saved. Four steps keep the result close to float32 (measured in docs/benchmarks/encoder.md):

1. wide channels are made narrower and their weights larger (SmoothQuant, Xiao et al. 2023, arXiv 2211.10438);
2. the range is cut where that lowers the squared error;
3. weights are rounded per output column, within ±64: two products then fit 16 bits on CPUs without VNNI;
4. the mean error that is left goes into the bias (Nagel et al. 2019, arXiv 1906.04721).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from skills.encoder_graph import LayerRange, Linear, Linear8, Shape

Floats = npt.NDArray[np.float32]
Samples = Callable[[str], Floats]
"""Label of a linear map -> what it was applied to, float32 (tokens, in)."""

LIMIT = 64
_STRENGTH = 0.75
"""How much of a channel's width moves into the weights; 0.3 to 1 were tried."""
_CUTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)


def quantise(linears: Mapping[str, Linear], shape: Shape, layers: LayerRange, samples: Samples) -> dict[str, Linear8]:
    """8-bit versions of all linear maps of the layers."""
    found = {}
    for n in layers.numbers:
        qkv, attended, mixed = linears[f"qkv{n}"], linears[f"attended{n}"], samples(f"attended{n}")
        # What attention mixes is linear in the values, so their balance costs nothing: it goes into the value weights.
        balance = channel_balance(mixed, attended.matrix)
        columns = np.concatenate([np.ones(2 * shape.width, np.float32), balance])
        qkv = Linear(qkv.matrix / columns, qkv.bias / columns)
        attended = Linear(attended.matrix * balance[:, None], attended.bias)
        found[f"qkv{n}"] = _balanced(qkv, samples(f"qkv{n}"))
        found[f"attended{n}"] = _round(attended, mixed / balance)
        found[f"wide{n}"] = _balanced(linears[f"wide{n}"], samples(f"wide{n}"))
        found[f"narrow{n}"] = _balanced(linears[f"narrow{n}"], samples(f"narrow{n}"))
    return found


def _balanced(linear: Linear, inputs: Floats) -> Linear8:
    balance = channel_balance(inputs, linear.matrix)
    rounded = _round(Linear(linear.matrix * balance[:, None], linear.bias), inputs / balance)
    return replace(rounded, balance=balance)


def channel_balance(inputs: Floats, matrix: Floats) -> Floats:
    """By how much each channel is divided, around 1."""
    width = np.maximum(np.abs(inputs).max(axis=0), 1e-3)
    weight = np.maximum(np.abs(matrix).max(axis=1), 1e-3)
    balance = width**_STRENGTH / weight ** (1 - _STRENGTH)
    return _steady(balance / np.median(balance))


def _round(linear: Linear, inputs: Floats) -> Linear8:
    scale, zero = byte_range(inputs, np.square(linear.matrix).sum(axis=1))
    column_scale = np.maximum(np.abs(linear.matrix).max(axis=0) / LIMIT, 1e-12).astype(np.float32)
    matrix = np.clip(np.rint(linear.matrix / column_scale), -LIMIT, LIMIT).astype(np.int8)
    seen = _through_bytes(inputs, scale, zero)
    error = inputs.mean(axis=0) @ linear.matrix - (seen.mean(axis=0) @ matrix.astype(np.float32)) * column_scale
    return Linear8(matrix, (linear.bias + error).astype(np.float32), column_scale, scale, zero)


def byte_range(inputs: Floats, importance: Floats) -> tuple[float, int]:
    """Scale and zero of the bytes: the cut of the range with the smallest weighted squared error."""
    low, high = min(float(inputs.min()), 0.0), max(float(inputs.max()), 1e-6)
    best = (np.inf, 1.0, 0)
    for cut in _CUTS:
        scale = float(_steady(np.float32((high - low) * cut / 255)))
        zero = round(-low * cut / scale)
        error = float((np.square(inputs - _through_bytes(inputs, scale, zero)).sum(axis=0) * importance).sum())
        best = min(best, (error, scale, min(zero, 255)))
    return best[1], best[2]


def _through_bytes(inputs: Floats, scale: float, zero: int) -> Floats:
    found: Floats = (np.clip(np.rint(inputs / np.float32(scale)) + zero, 0, 255) - zero) * np.float32(scale)
    return found


def _steady(value: npt.ArrayLike) -> Floats:
    """Rounded to 9 bits, so that a last-digit difference between two CPUs gives the same graph."""
    mantissa, exponent = np.frexp(np.asarray(value, np.float32))
    rounded: Floats = np.ldexp(np.rint(mantissa * 512) / np.float32(512), exponent).astype(np.float32)
    return rounded
