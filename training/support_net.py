"""Trains the support scorer's network (`skills.support_net`) with torch: the same arithmetic, in batches.

Pairs of the same length go together so that little is padded. The loss is cross-entropy with the labels a little
softened, since some sentences that are spoiled by rule stay true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skills.support_net import HEADS, LAYERS, Floats
from skills.support_pairs import COUNTS, FLAGS, SEGMENTS, Pair
from training.progress import Progress, silent

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class NetOptions:
    """How to train. `width` is the network's own; `rounds` over all pairs; `batch` pairs a step."""

    width: int = 96
    rounds: int = 3
    batch: int = 32
    rate: float = 1.5e-3
    decay: float = 0.01
    dropout: float = 0.1
    soften: float = 0.03
    seed: int = 0


def fit(
    pairs: Sequence[Pair],
    labels: Sequence[bool],
    options: NetOptions,
    start: dict[str, Floats] | None = None,
    progress: Progress = silent,
) -> dict[str, Floats]:
    """Weights that tell supported claims from others; `start` goes on from given weights."""
    import torch

    torch.manual_seed(options.seed)
    weights = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in (start or initial(pairs[0].states.shape[1], options)).items()
    }
    plain = [value for name, value in weights.items() if value.ndim > 1 and not name.startswith("bias")]
    others = [value for name, value in weights.items() if value.ndim <= 1 or name.startswith("bias")]
    adam = torch.optim.AdamW(
        [{"params": plain, "weight_decay": options.decay}, {"params": others, "weight_decay": 0.0}],
        lr=options.rate,
        betas=(0.9, 0.98),
    )
    random = np.random.default_rng(options.seed)
    steps = max(1, options.rounds * len(pairs) // options.batch)
    done = 0
    for _ in range(options.rounds):
        for rows in _batches(pairs, options.batch, random):
            done += 1
            share = min(done / steps, 1.0)
            for group in adam.param_groups:
                group["lr"] = options.rate * min(done / 50, 1.0) * (1 - share) ** 0.8
            found = logits(weights, [pairs[row] for row in rows], options.dropout)
            wanted = torch.tensor([float(labels[row]) for row in rows]) * (1 - 2 * options.soften) + options.soften
            loss = torch.nn.functional.binary_cross_entropy_with_logits(found, wanted)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
            adam.step()
            progress(min(done / steps, 1.0), f"loss {float(loss.detach()):.3f}")
    return {name: value.detach().numpy().astype(np.float32) for name, value in weights.items()}


def initial(states: int, options: NetOptions) -> dict[str, Floats]:
    """Weights to begin with; `states` is the width of a token's states."""
    random = np.random.default_rng(options.seed)
    width, deep = options.width, 64

    def drawn(rows: int, columns: int, scale: float = 1.0) -> Floats:
        found: Floats = (random.normal(size=(rows, columns)) * scale * rows**-0.5).astype(np.float32)
        return found

    weights = {
        "narrow": drawn(states, width),
        "narrow_bias": np.zeros(width, np.float32),
        "flags": drawn(len(FLAGS), width),
        "places": drawn(SEGMENTS + 1, width),
        "end_gain": np.ones(width, np.float32),
        "end_shift": np.zeros(width, np.float32),
        "deep": drawn(3 * width + len(COUNTS), deep),
        "deep_bias": np.zeros(deep, np.float32),
        "out": drawn(deep, 1),
        "out_bias": np.zeros(1, np.float32),
    }
    for n in range(LAYERS):
        # Same words, alike states, the other side: one scale a head, some heads begin by looking for the same word.
        looks = np.array([[4.0, 2.0, 0.0, 0.0], [0.0, 2.0, 2.0, 0.0], [0.0, 0.5, 0.0, -0.5]], np.float32)
        weights |= {
            f"before{n}_gain": np.ones(width, np.float32),
            f"before{n}_shift": np.zeros(width, np.float32),
            f"qkv{n}": drawn(width, 3 * width),
            f"bias{n}": looks[:, :HEADS].copy(),
            f"mix{n}": drawn(width, width, 0.5),
            f"inner{n}_gain": np.ones(width, np.float32),
            f"inner{n}_shift": np.zeros(width, np.float32),
            f"up{n}": drawn(width, 2 * width),
            f"up{n}_bias": np.zeros(2 * width, np.float32),
            f"down{n}": drawn(2 * width, width, 0.5),
            f"down{n}_bias": np.zeros(width, np.float32),
        }
    return weights


def logits(weights: Tensors, pairs: Sequence[Pair], dropout: float = 0.0) -> torch.Tensor:
    """As `skills.support_net.logit`, for a batch; float32 (pairs,)."""
    import torch
    from torch.nn import functional

    size, most = len(pairs), max(len(pair.places) for pair in pairs)
    states = torch.zeros(size, most, pairs[0].states.shape[1])
    flags, places = torch.zeros(size, most, len(FLAGS)), torch.zeros(size, most, dtype=torch.long)
    same, real = torch.zeros(size, most, most), torch.zeros(size, most, dtype=torch.bool)
    own = torch.zeros(size, most, dtype=torch.bool)
    for row, pair in enumerate(pairs):
        tokens = len(pair.places)
        states[row, :tokens] = torch.from_numpy(pair.states.astype(np.float32))
        flags[row, :tokens] = torch.from_numpy(pair.flags.astype(np.float32))
        places[row, :tokens] = torch.from_numpy(pair.places.astype(np.int64))
        same[row, :tokens, :tokens] = torch.from_numpy(pair.same.astype(np.float32))
        real[row, :tokens], own[row, : pair.length] = True, True
    unit = functional.normalize(states, dim=-1)
    across = (own[:, :, None] != own[:, None, :]).float()
    biases = torch.stack([same * across, (unit @ unit.transpose(1, 2)) * across, across], 1)
    x = functional.layer_norm(states, states.shape[-1:]) @ weights["narrow"] + weights["narrow_bias"]
    x = functional.dropout(x, dropout, dropout > 0) + flags @ weights["flags"] + weights["places"][places]
    hidden = torch.where(real, 0.0, -1e9)[:, None, None, :]
    for n in range(LAYERS):
        scale = torch.einsum("kh,bkij->bhij", weights[f"bias{n}"], biases) + hidden
        x = x + functional.dropout(_attention(weights, n, x, scale), dropout, dropout > 0)
        inner = torch.relu(_norm(x, weights, f"inner{n}") @ weights[f"up{n}"] + weights[f"up{n}_bias"])
        x = x + functional.dropout(inner @ weights[f"down{n}"] + weights[f"down{n}_bias"], dropout, dropout > 0)
    end = _norm(x, weights, "end")
    out = ~own[:, :, None]
    mean = end.masked_fill(out, 0).sum(1) / own.sum(1, keepdim=True)
    counts = torch.from_numpy(np.stack([pair.counts for pair in pairs]).astype(np.float32))
    seen = torch.cat([mean, end.masked_fill(out, -1e9).amax(1), end.masked_fill(out, 1e9).amin(1), counts], 1)
    deep = torch.relu(functional.dropout(seen, dropout, dropout > 0) @ weights["deep"] + weights["deep_bias"])
    return (deep @ weights["out"])[:, 0] + weights["out_bias"][0]


def _attention(weights: Tensors, n: int, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    size, tokens, width = x.shape
    joined = (_norm(x, weights, f"before{n}") @ weights[f"qkv{n}"]).view(size, tokens, 3, HEADS, width // HEADS)
    query, key, value = joined.permute(2, 0, 3, 1, 4)
    share = (query @ key.transpose(-1, -2) * (width // HEADS) ** -0.5 + bias).softmax(-1)
    mixed: torch.Tensor = (share @ value).transpose(1, 2).reshape(size, tokens, width) @ weights[f"mix{n}"]
    return mixed


def _norm(x: torch.Tensor, weights: Tensors, name: str) -> torch.Tensor:
    from torch.nn import functional

    normed: torch.Tensor = functional.layer_norm(
        x, x.shape[-1:], weights[f"{name}_gain"], weights[f"{name}_shift"], 1e-5
    )
    return normed


def _batches(pairs: Sequence[Pair], size: int, random: np.random.Generator) -> Iterator[list[int]]:
    """Rows in batches of like length, in a drawn order."""
    lengths = np.array([len(pair.places) for pair in pairs])
    order = np.argsort(lengths + random.uniform(0, 12, len(pairs)), kind="stable")
    batches = [order[start : start + size].tolist() for start in range(0, len(order), size)]
    for at in random.permutation(len(batches)):
        yield batches[at]
