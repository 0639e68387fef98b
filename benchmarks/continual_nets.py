"""Heads that are trained on, round after round: naive, EWC, LwF, replay and joint.

Trained are a softmax over the encoder's vector, as in the product's head but without its words, and, with `late`, a
layer between the two: h = v + W2 relu(W1 v), 64 units wide, W2 zero at first. The encoder's weights never move. A new
intent's column begins at zero. All go eight times over the rows that they may see: Adam, batches of 64 drawn by weight.

* naive: cross-entropy on the round's rows, over all intents so far.
* EWC (Kirkpatrick et al. 2017): a penalty for each earlier round, its exact diagonal Fisher information (late layer:
  one label drawn from the model a row); the sum of all penalties is kept as two numbers a weight.
* LwF (Li and Hoiem 2016): on the round's rows the old intents' softened outputs stay those of the last round's model.
* replay: the round's rows and those that the product keeps of earlier ones.
* joint: the rows of all rounds so far.

`local` compares only the intents of the rows' own round in the loss (the labels trick, Zeno et al. 2018). Strengths and
being local were chosen for the best accuracy at the end on a class order of their own (seed 100): EWC among 10 (both
ways), 300, 1,000 and 10,000, LwF among 1 and 5 (both ways) and 20 (local).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from training.examples import IntentExample

Vectors = Callable[[Sequence[str]], npt.NDArray[np.float32]]
_UNITS, _BATCH = 64, 64


@dataclass(frozen=True, slots=True)
class Recipe:
    """A method and its settings. `strength` is the weight of EWC's or LwF's term."""

    name: str
    late: bool = True
    strength: float = 0.0
    local: bool = False
    epochs: int = 8
    rate: float = 3e-3
    decay: float = 1e-5


@dataclass
class _Rows:
    vectors: Tensor
    owners: Tensor
    weights: Tensor


@dataclass
class Net:
    """The weights, and what EWC remembers: `pull` and `goal` are the sums of Fisher and of Fisher times weight."""

    recipe: Recipe
    intents: list[str] = field(default_factory=list)
    w1: Tensor = field(default_factory=lambda: torch.zeros(384, _UNITS))
    w2: Tensor = field(default_factory=lambda: torch.zeros(_UNITS, 384))
    dense: Tensor = field(default_factory=lambda: torch.zeros(384, 0))
    bias: Tensor = field(default_factory=lambda: torch.zeros(0))
    pull: dict[str, Tensor] = field(default_factory=dict)
    goal: dict[str, Tensor] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Tensor]:
        """The trained weights by name."""
        found = {"dense": self.dense, "bias": self.bias}
        return found | ({"w1": self.w1, "w2": self.w2} if self.recipe.late else {})

    def inner(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """What the head sees of vectors, and what its layer's middle is."""
        if not self.recipe.late:
            return vectors, vectors
        middle = torch.relu(vectors @ self.w1)
        return vectors + middle @ self.w2, middle

    def logits(self, vectors: Tensor) -> Tensor:
        """Scores, (rows, intents)."""
        return _SCALE * (self.inner(vectors)[0] @ self.dense) + self.bias

    def predict(self, texts: Sequence[str], vectors: Vectors) -> list[str]:
        """The best intent of each text."""
        with torch.no_grad():
            found = self.logits(torch.from_numpy(vectors(texts)))
        return [self.intents[number] for number in found.argmax(dim=1).tolist()]


_SCALE = 10.0
"""Vectors have length 1: logits need larger weights than Adam reaches in few steps."""


def first(recipe: Recipe, seed: int) -> Net:
    """Untrained."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    return Net(recipe, w1=torch.randn(384, _UNITS) / 384**0.5)


def learn(net: Net, rows: Sequence[IntentExample], new: Sequence[str], vectors: Vectors) -> None:
    """A round: `rows` are what the method may see, `new` the round's intents."""
    old = _copy(net) if net.intents else None
    _grow(net, new)
    data = _encode(rows, net.intents, vectors)
    groups = torch.tensor([name in set(new) for name in net.intents])
    for part in net.parts.values():
        part.requires_grad_(True)
    optimizer = torch.optim.Adam(list(net.parts.values()), lr=net.recipe.rate)
    steps = net.recipe.epochs * len(rows) // _BATCH
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = net.recipe.rate * (1 - step / steps)
        batch = _take(data, torch.multinomial(data.weights, _BATCH, replacement=True))
        optimizer.zero_grad()
        _loss(net, old, batch, groups).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for part in net.parts.values():
        part.requires_grad_(False)
    if net.recipe.name == "EWC":
        _remember(net, data, groups)


def _loss(net: Net, old: Net | None, batch: _Rows, groups: Tensor) -> Tensor:
    logits = net.logits(batch.vectors)
    shown = logits.masked_fill(~groups, -torch.inf) if net.recipe.local else logits
    loss = F.cross_entropy(shown, batch.owners)
    loss = loss + net.recipe.decay * sum(part.square().sum() for part in net.parts.values())
    if net.recipe.name == "EWC" and net.pull:
        terms = ((net.pull[name] * part.square() - 2 * net.goal[name] * part).sum() for name, part in net.parts.items())
        loss = loss + net.recipe.strength / 2 * torch.stack(list(terms)).sum()
    if net.recipe.name == "LwF" and old is not None:
        with torch.no_grad():
            before = F.softmax(old.logits(batch.vectors) / 2, dim=1)
        now = F.log_softmax(logits[:, : len(old.intents)] / 2, dim=1)
        loss = loss - 4 * net.recipe.strength * (before * now).sum(dim=1).mean()
    return loss


@torch.no_grad()
def _remember(net: Net, data: _Rows, groups: Tensor) -> None:
    """Add the Fisher information of the round's rows, and where the weights are."""
    logits = net.logits(data.vectors)
    shown = logits.masked_fill(~groups, -torch.inf) if net.recipe.local else logits
    share = F.softmax(shown, dim=1)
    inner, middle = net.inner(data.vectors)
    count, spread = len(share), share * (1 - share)
    found = {
        "dense": _SCALE**2 * inner.square().T @ spread / count,
        "bias": spread.mean(dim=0),
    }
    if net.recipe.late:
        drawn = F.one_hot(torch.multinomial(share, 1)[:, 0], share.shape[1])
        out = _SCALE * (share - drawn) @ net.dense.T
        found["w2"] = middle.square().T @ out.square() / count
        found["w1"] = data.vectors.square().T @ ((out @ net.w2.T) * (middle > 0)).square() / count
    for name, part in net.parts.items():
        net.pull[name] = net.pull.get(name, 0) + found[name]
        net.goal[name] = net.goal.get(name, 0) + found[name] * part


def _grow(net: Net, new: Sequence[str]) -> None:
    more = [name for name in new if name not in net.intents]
    net.intents += more
    net.dense, net.bias = (_wider(part, len(more)) for part in (net.dense, net.bias))
    for kept in (net.pull, net.goal):
        for name in ("dense", "bias"):
            if name in kept:
                kept[name] = _wider(kept[name], len(more))


def _wider(part: Tensor, more: int) -> Tensor:
    return torch.cat([part, torch.zeros(*part.shape[:-1], more)], dim=-1)


def _copy(net: Net) -> Net:
    parts = {name: part.clone() for name, part in net.parts.items()}
    return Net(net.recipe, list(net.intents), **{"w1": net.w1, "w2": net.w2, **parts})


def _encode(rows: Sequence[IntentExample], intents: Sequence[str], vectors: Vectors) -> _Rows:
    number = {name: place for place, name in enumerate(intents)}
    texts = [row.text for row in rows]
    owners = torch.tensor([number[row.intent] for row in rows])
    weights = torch.tensor([row.weight for row in rows])
    return _Rows(torch.from_numpy(vectors(texts)), owners, weights)


def _take(data: _Rows, rows: Tensor) -> _Rows:
    return _Rows(data.vectors[rows], data.owners[rows], data.weights[rows])
