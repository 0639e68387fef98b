"""The network behind the learned entity extractor, in torch: a late branch, a mix of layers, a linear-chain CRF.

The layers compute what `skills.encoder_graph` builds, from the same tensors under the same names, so trained weights
go back into the serving graph unchanged. CRF after Lafferty, McCallum and Pereira (2001); mix of layers after Peters
et al. (2018).
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
from skills.entities_decode import allowed_transitions, label_count

Floats = npt.NDArray[np.float32]
_HIDDEN = -1e9
_MEAN_DECAY, _SQUARE_DECAY, _TINY = 0.9, 0.999, 1e-8
_LEAST = 1e-30
"""Keeps the logarithm of a label that cannot be reached finite."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rows. `states`: float32 (layers, rows, tokens, width). `mask`: (rows, tokens), 1 for a token.

    `first`: int64 (rows, words), the token of each word. `labels`: int64 (rows, words). `real`: float32 (rows, words),
    1 for a word.
    """

    states: Tensor
    mask: Tensor
    first: Tensor
    labels: Tensor
    real: Tensor


class Layer(nn.Module):
    """One transformer layer (post-norm, as in BERT), from the encoder's tensors."""

    def __init__(self, weights: Mapping[str, Floats], shape: Shape, dropout: float) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.names = sorted(weights)
        for name in self.names:
            self.register_parameter(_flat(name), nn.Parameter(torch.from_numpy(np.array(weights[name], np.float32))))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Next states, (rows, tokens, width). `bias` is added to the attention scores."""
        x = self._norm("attention.output", x + self._drop(self._linear("attention.output.dense", self._mixed(x, bias))))
        wide = functional.gelu(self._linear("intermediate.dense", x))
        return self._norm("output", x + self._drop(self._linear("output.dense", wide)))

    def tensors(self) -> dict[str, Floats]:
        """The weights under the names they came by."""
        return {name: self._get(name).detach().cpu().numpy() for name in self.names}

    def _mixed(self, x: Tensor, bias: Tensor) -> Tensor:
        rows, tokens, width = x.shape
        sizes = (rows, tokens, self.shape.heads, width // self.shape.heads)
        query, key, value = (
            self._linear(f"attention.self.{part}", x).view(sizes).transpose(1, 2) for part in ("query", "key", "value")
        )
        chance = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=chance)
        return mixed.transpose(1, 2).reshape(rows, tokens, width)

    def _get(self, name: str) -> Tensor:
        return self.get_parameter(_flat(name))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self._get(f"{name}.weight"), self._get(f"{name}.bias"))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._get(f"{name}.LayerNorm.weight"), self._get(f"{name}.LayerNorm.bias")
        return functional.layer_norm(x, (self.shape.width,), weight, bias, self.shape.epsilon)

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


def _flat(name: str) -> str:
    return name.replace(".", "__")


class Network(nn.Module):
    """Branch, mix and label scores. `trunk_layers` is how many layers the batches bring; the last feeds the branch."""

    def __init__(self, branch: Sequence[Layer], trunk_layers: int, width: int, kinds: Sequence[str]) -> None:
        super().__init__()
        self.branch = nn.ModuleList(branch)
        self.mix = nn.Parameter(torch.zeros(trunk_layers + len(branch)))
        self.scores = nn.Linear(width, label_count(kinds))
        self.learned = nn.Parameter(torch.zeros(label_count(kinds) + 1, label_count(kinds)))
        self.register_buffer("legal", torch.from_numpy(allowed_transitions(kinds)))
        self.dropout = nn.Dropout(0.1)

    @property
    def transitions(self) -> Tensor:
        """Learned transition scores, with those that cannot be ruled out; (labels + 1, labels)."""
        return self.learned + self.get_buffer("legal")

    def forward(self, batch: Batch) -> Tensor:
        """Label scores, (rows, words, labels)."""
        states = list(batch.states.unbind(0))
        bias = torch.zeros_like(batch.mask).masked_fill(batch.mask == 0, _HIDDEN)[:, None, None]
        state = states[-1]
        for layer in self.branch:
            state = layer(state, bias)
            states.append(state)
        weights = torch.softmax(self.mix, 0)
        mixed = torch.stack([weight * state for weight, state in zip(weights, states, strict=True)]).sum(0)
        index = batch.first[..., None].expand(-1, -1, mixed.shape[-1])
        scores: Tensor = self.scores(self.dropout(torch.gather(mixed, 1, index)))
        return scores

    def branch_tensors(self, first: int) -> dict[str, Floats]:
        """The branch's weights, named as the encoder names those of its layers after `first`."""
        tensors: dict[str, Floats] = {}
        for number, layer in enumerate(self.branch, first):
            if isinstance(layer, Layer):
                tensors |= {f"encoder.layer.{number}.{name}": value for name, value in layer.tensors().items()}
        return tensors

    def loss(self, batch: Batch) -> Tensor:
        """Mean negative log-likelihood of the rows' label sequences."""
        return chain_loss(self(batch), batch.labels, batch.real, self.transitions).mean()


def chain_loss(scores: Tensor, labels: Tensor, real: Tensor, transitions: Tensor) -> Tensor:
    """Negative log-likelihood of each row's labels, (rows,). Shapes as in `Batch`; in a row, padding comes last."""
    own = torch.gather(scores, 2, labels[..., None])[..., 0] * real
    moves = transitions[labels[:, :-1], labels[:, 1:]] * real[:, 1:]
    gold = own.sum(1) + transitions[-1, labels[:, 0]] + moves.sum(1)
    steps = torch.exp(transitions[:-1])
    total = scores[:, 0] + transitions[-1]
    for word in range(1, scores.shape[1]):
        top = total.max(1, keepdim=True).values
        reached = (torch.exp(total - top) @ steps).clamp_min(_LEAST)  # a product is 10 times faster than logsumexp
        total = torch.where(real[:, word, None] > 0, top + torch.log(reached) + scores[:, word], total)
    return torch.logsumexp(total, 1) - gold


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as in `torch.optim`.

    That module's first optimizer imports a compiler that takes four seconds, more than a frozen head takes to train.
    """

    def __init__(self, groups: Sequence[ParameterGroup]) -> None:
        self.groups = groups
        self._steps = 0
        self._means = {item: torch.zeros_like(item) for group in groups for item in group.parameters}
        self._squares = {item: torch.zeros_like(item) for group in groups for item in group.parameters}

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Move all parameters along their gradients, with `share` of each group's rate; then forget the gradients."""
        self._steps += 1
        first, second = 1 - _MEAN_DECAY**self._steps, 1 - _SQUARE_DECAY**self._steps
        for group in self.groups:
            rate = share * group.rate
            for item in group.parameters:
                if item.grad is None:
                    continue
                mean, square = self._means[item], self._squares[item]
                mean.lerp_(item.grad, 1 - _MEAN_DECAY)
                square.mul_(_SQUARE_DECAY).addcmul_(item.grad, item.grad, value=1 - _SQUARE_DECAY)
                item.mul_(1 - rate * group.decay)
                item.addcdiv_(mean, square.sqrt().div_(second**0.5).add_(_TINY), value=-rate / first)
                item.grad = None


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters with one learning rate and one weight decay."""

    parameters: Sequence[nn.Parameter]
    rate: float
    decay: float = 0.0
