"""The support scorer's network, in numpy: a claim's tokens and its sources' tokens look at each other.

Token states of the shared encoder are made narrow, told apart by where they come from, and joined by two layers of
attention whose scores know which tokens are the same word and how alike two states are. What the claim's tokens have
learned, together with some counts, gives one logit. Trained by `training.support_net`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from skills.support_pairs import Pair

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]
LAYERS, HEADS = 2, 4


def narrow(weights: Weights, states: Floats) -> Floats:
    """States of the encoder, float32 (tokens, width), at the network's own width."""
    scaled = (states - states.mean(axis=-1, keepdims=True)) / np.sqrt(states.var(axis=-1, keepdims=True) + 1e-5)
    result: Floats = scaled @ weights["narrow"] + weights["narrow_bias"]
    return result


def logit(weights: Weights, pair: Pair) -> float:
    """How much the sources support the claim, before it is made a probability."""
    unit = pair.states / np.maximum(np.linalg.norm(pair.states, axis=1, keepdims=True), 1e-6)
    alike = unit @ unit.T
    across = ((pair.places == 0)[:, None] != (pair.places == 0)[None]).astype(np.float32)
    x = narrow(weights, pair.states) + pair.flags @ weights["flags"] + weights["places"][pair.places]
    for n in range(LAYERS):
        x = x + _attention(weights, n, x, (pair.same * across, alike * across, across))
        inner = np.maximum(_norm(x, weights, f"inner{n}") @ weights[f"up{n}"] + weights[f"up{n}_bias"], 0)
        x = x + inner @ weights[f"down{n}"] + weights[f"down{n}_bias"]
    own = _norm(x[: pair.length], weights, "end")
    seen = np.concatenate([own.mean(axis=0), own.max(axis=0), own.min(axis=0), pair.counts])
    hidden = np.maximum(seen @ weights["deep"] + weights["deep_bias"], 0)
    return float(hidden @ weights["out"][:, 0] + weights["out_bias"][0])


def _attention(weights: Weights, n: int, x: Floats, biases: tuple[Floats, ...]) -> Floats:
    joined = _norm(x, weights, f"before{n}") @ weights[f"qkv{n}"]
    tokens, width = x.shape
    query, key, value = joined.reshape(tokens, 3, HEADS, width // HEADS).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) * np.float32((width // HEADS) ** -0.5)
    for bias, scale in zip(biases, weights[f"bias{n}"], strict=True):
        scores = scores + scale[:, None, None] * bias
    share = np.exp(scores - scores.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    mixed = (share @ value).transpose(1, 0, 2).reshape(tokens, width)
    result: Floats = mixed @ weights[f"mix{n}"]
    return result


def _norm(x: Floats, weights: Weights, name: str) -> Floats:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
    result: Floats = scaled * weights[f"{name}_gain"] + weights[f"{name}_shift"]
    return result
