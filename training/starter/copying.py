"""First weights that already copy: what followed these tokens before, follows them again.

A small model learns to copy late: two layers must agree on it, and before they do neither gains (induction heads,
Olsson et al. 2022). So they are written down here. Every token's embedding has one number in common; by it two heads of
the first layer look one and two tokens back, which rotary positions make exact, and carry what they see over. Heads of
the second look for a place whose token before is this token, others for one where the two before are this one and the
one before it, by dimensions that positions hardly turn, and bring what stands there to the output. They hold for any
embeddings, so they stay as they are while all else is trained around them: left free, they were half undone before
anything better was learned.
"""

from __future__ import annotations

import math
from typing import Any

_SPREAD = 0.1
"""Standard deviation of the embeddings: tied to the output, it makes a copied token the likeliest by far."""
_COMMON = 4.0
"""The number that all embeddings share, in standard deviations."""
_BACK, _CARRIED, _SAME, _BEFORE, _BROUGHT = 10.0, 0.4, 6.0, 4.0, 3.0
"""How strong they are: looking back, carrying, matching this token and the one before it, bringing."""
_QUICK = 4
"""Pairs of dimensions that turn fast enough to tell neighbours apart."""
_STILL = 1e-3
"""Radians a token: slower pairs still match across hundreds of tokens."""


def begin_copying(model: Any, seed: int) -> None:
    """Write the attention of two layers into an untrained Llama and freeze it, if it has the room: four heads or more
    in two layers, and a width of four times as many dimensions as a head needs for a token."""
    import torch

    shape = model.config
    heads, width = shape.num_attention_heads, shape.hidden_size
    size = width // heads
    angles = shape.rope_parameters["rope_theta"] ** (-torch.arange(0, size, 2) / size)
    still = (angles < _STILL).nonzero()[:, 0]
    matched = torch.cat([still, still + size // 2])
    known = 2 * len(matched)
    if heads < 4 or shape.num_hidden_layers < 2 or known > size or 4 * known >= width:
        return
    draw = torch.Generator().manual_seed(seed)
    # Directions at right angles, none of them the common number's: a token is read by some and carried in others.
    basis = torch.linalg.qr(torch.randn(width - 1, 4 * known, generator=draw))[0]
    read, other, before, second = torch.cat([torch.zeros(1, 4 * known), basis]).chunk(4, 1)
    first, last = (layer.self_attn for layer in model.model.layers[:2])
    for layer in model.model.layers[:2]:
        layer.self_attn.requires_grad_(False)
        layer.input_layernorm.requires_grad_(False)
    with torch.no_grad():
        embeddings = model.get_input_embeddings().weight
        embeddings.normal_(0, _SPREAD, generator=draw)
        embeddings[:, 0] = _COMMON * _SPREAD
        for head, kept in enumerate((before, second)):
            turns = angles[:_QUICK] * (head + 1)
            _look_back(first, head, size, turns, _COMMON / math.sqrt(1 + _COMMON**2 / width))
            _pass(first, head, size, read, kept * _CARRIED)
        for head in range(heads):
            _clear(last, head, size)
            rows = matched + head * size
            part = slice(head % 2 * len(matched), (head % 2 + 1) * len(matched))
            if head < heads // 2:
                _match(last, rows, read[:, part] * _SAME, before[:, part] * _SAME)
            else:
                _match(last, rows[::2], read[:, part][:, ::2] * _SAME, before[:, part][:, ::2] * _SAME)
                _match(last, rows[1::2], before[:, part][:, 1::2] * _BEFORE, second[:, part][:, 1::2] * _BEFORE)
            brought = (read, other)[head % 2]
            _pass(last, head, size, brought, brought * _BROUGHT)


def _look_back(attention: Any, head: int, size: int, turns: Any, common: float) -> None:
    """Attend to an earlier place: a key is turned against a query as far as the places between them turn it back."""
    _clear(attention, head, size)
    for pair, turn in enumerate(turns.tolist()):
        row, strength = head * size + pair, _BACK / common
        attention.q_proj.weight[row, 0] = strength
        attention.k_proj.weight[row, 0] = strength * math.cos(turn)
        attention.k_proj.weight[row + size // 2, 0] = strength * math.sin(turn)


def _match(attention: Any, rows: Any, asked: Any, offered: Any) -> None:
    """Attend where what stands in the directions `offered` is what stands here in `asked`; both (width, n)."""
    attention.q_proj.weight[rows] = asked.T
    attention.k_proj.weight[rows] = offered.T


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
