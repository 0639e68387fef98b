"""First weights that already copy: what followed a token before, follows it again.

A small model learns to copy late: two layers must agree on it, and before they do neither gains (induction heads,
Olsson et al. 2022). So they are written down here. Every token's embedding has one number in common; by it half of the
heads of the first layer look at the token before, which rotary positions make exact, and carry it over. The heads of
the second look for a place whose token before is this token, by dimensions that positions hardly turn, and bring what
stands there to the output. They hold for any embeddings, so they stay as they are while all else is trained around
them: left free, they were half undone before anything better was learned.
"""

from __future__ import annotations

import math
from typing import Any

_SPREAD = 0.1
"""Standard deviation of the embeddings: tied to the output, it makes a copied token the likeliest by far."""
_COMMON = 4.0
"""The number that all embeddings share, in standard deviations."""
_BEFORE, _CARRIED, _SHARP, _BROUGHT = 8.0, 0.4, 5.0, 3.0
_QUICK = 4
"""Pairs of dimensions that turn fast enough to tell neighbours apart."""
_STILL = 1e-3
"""Radians a token: slower pairs still match across hundreds of tokens."""


def begin_copying(model: Any, seed: int) -> None:
    """Write the attention of two layers into an untrained Llama and freeze it, if it has two heads and two layers."""
    import torch

    shape = model.config
    heads, width = shape.num_attention_heads, shape.hidden_size
    size = width // heads
    angles = shape.rope_parameters["rope_theta"] ** (-torch.arange(0, size, 2) / size)
    still = (angles < _STILL).nonzero()[:, 0]
    slice_, carriers = 2 * len(still), heads // 2
    carried = 2 * slice_
    if not carriers or shape.num_hidden_layers < 2 or 2 * carriers * carried >= width or carried > size:
        return
    draw = torch.Generator().manual_seed(seed)
    # Directions at right angles, none of them the common number's: a token is read by some and carried in others.
    basis = torch.linalg.qr(torch.randn(width - 1, 2 * carriers * carried, generator=draw))[0]
    read, kept = torch.cat([torch.zeros(1, basis.shape[1]), basis]).chunk(2, 1)
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    for layer in model.model.layers[:2]:
        layer.self_attn.requires_grad_(False)
        layer.input_layernorm.requires_grad_(False)
    with torch.no_grad():
        embeddings = model.get_input_embeddings().weight
        embeddings.normal_(0, _SPREAD, generator=draw)
        embeddings[:, 0] = _COMMON * _SPREAD
        for head in range(carriers):
            part = slice(head * carried, (head + 1) * carried)
            _look_before(first, head, size, angles[:_QUICK], _COMMON / math.sqrt(1 + _COMMON**2 / width))
            _pass(first, head, size, read[:, part], kept[:, part] * _CARRIED)
        for head in range(heads):
            part = slice(head * slice_, (head + 1) * slice_)
            _clear(second, head, size)
            rows = torch.cat([still, still + size // 2]) + head * size
            second.q_proj.weight[rows] = _SHARP * read[:, part].T
            second.k_proj.weight[rows] = _SHARP * kept[:, part].T
            part = slice(head % carriers * carried, (head % carriers + 1) * carried)
            _pass(second, head, size, read[:, part], read[:, part] * _BROUGHT)


def _look_before(attention: Any, head: int, size: int, angles: Any, common: float) -> None:
    """Attend to the place one before: a key is turned by one place against a query."""
    _clear(attention, head, size)
    for pair, angle in enumerate(angles.tolist()):
        row, strength = head * size + pair, _BEFORE / common
        attention.q_proj.weight[row, 0] = strength
        attention.k_proj.weight[row, 0] = strength * math.cos(angle)
        attention.k_proj.weight[row + size // 2, 0] = strength * math.sin(angle)


def _pass(attention: Any, head: int, size: int, read: Any, written: Any) -> None:
    """Bring what is read in some directions (shape (width, n)), at the place attended to, into others."""
    rows = slice(head * size, head * size + read.shape[1])
    attention.v_proj.weight[head * size : (head + 1) * size] = 0
    attention.o_proj.weight[:, head * size : (head + 1) * size] = 0
    attention.v_proj.weight[rows] = read.T
    attention.o_proj.weight[:, rows] = written


def _clear(attention: Any, head: int, size: int) -> None:
    for weights in (attention.q_proj.weight, attention.k_proj.weight):
        weights[head * size : (head + 1) * size] = 0
