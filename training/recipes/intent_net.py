"""The network behind a tuned view of texts, in torch: the encoder's last layers and a centre for each intent.

A text's states are packed: rows stand one after another without padding, except inside attention, so a step costs what
its tokens cost and no result depends on the length of a neighbour. Layers compute what `skills.encoder_graph` builds,
from tensors of the same names, so that trained weights go back into the serving graph unchanged.

The loss is a softmax over cosines to the centres ("proxies": Movshovitz-Attias et al. 2017, arXiv 1703.07464; scaled
cosines: Wang et al. 2017, arXiv 1704.06369). It pulls texts of an intent together and pushes intents apart as a loss
over pairs does, but each row's loss is its own: batches may be cut into pieces and give the same gradient. Low-rank
updates: Hu et al. 2021, arXiv 2106.09685.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from skills.encoder_graph import Shape

Floats = npt.NDArray[np.float32]
_HIDDEN = -1e9


@dataclass(frozen=True, slots=True)
class Batch:
    """Packed rows. `states`: float32 (tokens of all rows, width); `owner`: int64 (tokens), the row of each.

    `places`: int64 (rows, longest), where each token is, 0 where there is none; `flat`: int64 (tokens), the way back;
    `bias`: float32 (rows, 1, 1, longest), 0 for tokens. `intents`: int64 (rows,); `weights`: float32 (rows,).
    """

    states: Tensor
    owner: Tensor
    places: Tensor
    flat: Tensor
    bias: Tensor
    intents: Tensor
    weights: Tensor


def pack(states: Sequence[npt.NDArray[np.float16]], intents: Sequence[int], weights: Sequence[float]) -> Batch:
    """A batch of rows' states, each float16 (tokens, width)."""
    lengths = np.array([len(item) for item in states])
    mask = np.arange(lengths.max())[None] < lengths[:, None]
    places = np.zeros(mask.shape, np.int64)
    places[mask] = np.arange(lengths.sum())
    bias = np.where(mask, 0, _HIDDEN).astype(np.float32)[:, None, None]
    arrays = (
        np.concatenate(list(states)).astype(np.float32),
        np.repeat(np.arange(len(lengths)), lengths),
        places,
        np.flatnonzero(mask.ravel()),
        bias,
        np.array(intents, np.int64),
        np.array(weights, np.float32),
    )
    return Batch(*(torch.from_numpy(array) for array in arrays))


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device."""
    return Batch(*(getattr(batch, name).to(device) for name in Batch.__slots__))


class Layer(nn.Module):
    """One transformer layer (post-norm, as in BERT). `rank` 0 trains all its weights, else low-rank updates of them."""

    def __init__(self, weights: Mapping[str, Floats], shape: Shape, dropout: float, rank: int) -> None:
        super().__init__()
        self.shape, self.dropout, self.rank = shape, dropout, rank
        self.names = sorted(weights)
        for name in self.names:
            start = torch.from_numpy(np.array(weights[name], np.float32))
            self.register_parameter(_flat(name), nn.Parameter(start, requires_grad=rank == 0))
        for name in self.names if rank else ():
            if (value := self._get(name)).dim() == 2:
                down = torch.randn(rank, value.shape[1]) / value.shape[1] ** 0.5
                self.register_parameter(_flat(name) + "__down", nn.Parameter(down))
                self.register_parameter(_flat(name) + "__up", nn.Parameter(torch.zeros(value.shape[0], rank)))

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """Next states, (tokens, width)."""
        mixed = self._linear("attention.output.dense", self._mixed(x, batch))
        x = self._norm("attention.output", x + self._drop(mixed))
        wide = functional.gelu(self._linear("intermediate.dense", x))
        return self._norm("output", x + self._drop(self._linear("output.dense", wide)))

    def tensors(self) -> dict[str, Floats]:
        """The weights under the names they came by, low-rank updates merged."""
        return {name: self._weight(name).detach().cpu().numpy() for name in self.names}

    def _mixed(self, x: Tensor, batch: Batch) -> Tensor:
        rows, longest = batch.places.shape
        sizes = (rows, longest, self.shape.heads, self.shape.width // self.shape.heads)
        query, key, value = (
            self._linear(f"attention.self.{part}", x)[batch.places].view(sizes).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        chance = self.dropout if self.training else 0.0
        bias = batch.bias.to(query.dtype)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=chance)
        return mixed.transpose(1, 2).reshape(rows * longest, self.shape.width)[batch.flat]

    def _get(self, name: str) -> Tensor:
        return self.get_parameter(_flat(name))

    def _weight(self, name: str) -> Tensor:
        base = self._get(name)
        if not self.rank or base.dim() != 2:
            return base
        return base + self.get_parameter(_flat(name) + "__up") @ self.get_parameter(_flat(name) + "__down")

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight(f"{name}.weight"), self._get(f"{name}.bias"))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._get(f"{name}.LayerNorm.weight"), self._get(f"{name}.LayerNorm.bias")
        return functional.layer_norm(x, (self.shape.width,), weight, bias, self.shape.epsilon)

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class Network(nn.Module):
    """Layers, then the cosine to each intent's centre times `scale`. `centres`: float32 (intents, width)."""

    def __init__(self, layers: Sequence[Layer], centres: Floats, scale: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.centres = nn.Parameter(torch.from_numpy(np.array(centres, np.float32)))
        self.scale = scale

    def forward(self, batch: Batch) -> Tensor:
        """Scores, (rows, intents)."""
        x = batch.states
        for layer in self.layers:
            x = layer(x, batch)
        pooled = torch.zeros(len(batch.intents), x.shape[1], device=x.device).index_add(0, batch.owner, x.float())
        scores: Tensor = self.scale * functional.normalize(pooled, dim=1) @ functional.normalize(self.centres, dim=1).T
        return scores

    def loss(self, batch: Batch, total: float) -> Tensor:
        """The rows' weighted losses, over `total`: the weight of all rows of a step, whatever its pieces."""
        losses = functional.cross_entropy(self(batch), batch.intents, reduction="none")
        return (losses * batch.weights).sum() / total


def _flat(name: str) -> str:
    return name.replace(".", "__")
