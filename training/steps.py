"""Trains a causal language model on packed rows, in steps that can be broken off and gone on with.

The order of rows depends on the seed and the epoch alone, the rate on the step alone; with the moments of the optimizer
in the checkpoint, a run that was killed ends as one that was not. A step's loss is the mean over its learned tokens,
however they fall into micro-batches. Hidden matrices are trained by Muon (Jordan et al. 2024), the others by AdamW; the
rate warms up, stays, and falls linearly at the end (as in Hägele et al. 2024).
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.packing import IGNORED, Ints, Rows
from training.progress import Progress, silent

_STATE = "state.json"


@dataclass(frozen=True)
class Plan:
    """How to train. `batch` and `micro` are rows of a step and of a pass.

    `rate` is AdamW's, `hidden_rate` Muon's for hidden matrices; 0 leaves these to AdamW too, as adapters need it.
    """

    steps: int
    batch: int = 40
    micro: int = 8
    rate: float = 2e-3
    hidden_rate: float = 1e-2
    warm: float = 0.02
    decay: float = 0.5
    seed: int = 0
    keep_every: int = 50

    def share(self, step: int) -> float:
        """The share of the rate at a step, 0 to 1."""
        warm, fall = max(1, int(self.steps * self.warm)), max(1, int(self.steps * self.decay))
        return min(1.0, (step + 1) / warm, (self.steps - step) / fall)


@dataclass(frozen=True)
class Point:
    """Where a run stands: the step, the mean loss of a learned token in it (nats), the tokens learned so far."""

    step: int
    loss: float
    learned: int


def train(model: Any, rows: Rows, plan: Plan, folder: Path, progress: Progress = silent) -> list[Point]:
    """Train `model` in place to the end of the plan, from the checkpoint in `folder` if there is one; the curve.

    Raises:
        ValueError: the checkpoint is of another plan.
    """
    optimizers = optimizers_of(model, plan)
    curve = resume(model, optimizers, plan, folder)
    batches = _batches(len(rows.ids), plan, len(curve))
    model.train()
    for step in range(len(curve), plan.steps):
        chosen = rows.take(next(batches))
        torch.manual_seed(plan.seed * 1_000_003 + step)  # what is dropped out is the same after a break
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * plan.share(step)
        loss = _step(model, optimizers, chosen, plan.micro)
        if not math.isfinite(loss):
            raise ValueError(f"the loss is {loss} at step {step + 1}; use a lower rate")
        curve.append(Point(step + 1, loss, (curve[-1].learned if curve else 0) + chosen.learned))
        progress((step + 1) / plan.steps, f"step {step + 1} of {plan.steps}, loss {loss:.3f}")
        if (step + 1) % plan.keep_every == 0 or step + 1 == plan.steps:
            keep(model, optimizers, plan, folder, curve)
    return curve


@torch.inference_mode()
def loss_of(model: Any, rows: Rows, micro: int = 16) -> float:
    """The summed loss of all learned tokens, in nats."""
    model.eval()
    parts = (rows.take(np.arange(start, min(start + micro, len(rows.ids)))) for start in range(0, len(rows.ids), micro))
    return sum(float(_summed(model, part)) for part in parts)


def _step(model: Any, optimizers: list[torch.optim.Optimizer], rows: Rows, micro: int) -> float:
    total = 0.0
    for start in range(0, len(rows.ids), micro):
        part = rows.take(np.arange(start, min(start + micro, len(rows.ids))))
        loss = _summed(model, part) / rows.learned
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return total


def _summed(model: Any, rows: Rows) -> Tensor:
    ids, labels, segments, positions = (torch.from_numpy(part).to(model.device) for part in rows)
    same = segments[:, :, None] == segments[:, None, :]
    causal = torch.ones(same.shape[1:], dtype=torch.bool, device=ids.device).tril()
    mask = (same & causal)[:, None]
    if len(ids) > 1:
        logits = model(input_ids=ids, position_ids=positions, attention_mask=mask).logits[:, :-1].flatten(0, 1)
        return nn.functional.cross_entropy(
            logits.float(), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
    # Of a single row only the tokens that are learned get logits: a quarter of the work where most are given.
    kept = (labels[0, 1:] != IGNORED).nonzero()[:, 0]
    found = model(input_ids=ids, position_ids=positions, attention_mask=mask, logits_to_keep=kept)
    return nn.functional.cross_entropy(found.logits[0].float(), labels[0, kept + 1], reduction="sum")


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal by Newton-Schulz steps, as large as AdamW's updates are (Liu et al. 2025).

    In float32: torch's own does these steps in bfloat16, for which most CPUs have no instructions.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.1) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step down the gradients."""
        for group in self.param_groups:
            for weights in group["params"]:
                kept = self.state[weights].setdefault("momentum_buffer", torch.zeros_like(weights))
                kept.lerp_(weights.grad, 1 - group["momentum"])
                update = _orthogonal(torch.lerp(weights.grad, kept, group["momentum"]))
                weights.mul_(1 - group["lr"] * group["decay"])
                weights.add_(update, alpha=-group["lr"] * 0.2 * max(update.shape) ** 0.5)


def _orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the closest orthogonal matrix, by five steps of the quintic of Jordan et al. 2024."""
    if matrix.shape[0] > matrix.shape[1]:
        return _orthogonal(matrix.mT).mT
    found: Tensor = matrix / (matrix.norm() + 1e-7)
    for _ in range(5):
        square = found @ found.mT
        found = 3.4445 * found + (-4.7750 * square + 2.0315 * square @ square) @ found
    return found


def optimizers_of(model: nn.Module, plan: Plan, inside: str = "layers.") -> list[torch.optim.Optimizer]:
    """AdamW, and Muon for the hidden matrices: those whose name holds `inside`."""
    trained = [(name, weights) for name, weights in model.named_parameters() if weights.requires_grad]
    hidden = [weights for name, weights in trained if plan.hidden_rate and weights.ndim == 2 and inside in name]
    chosen = set(map(id, hidden))
    others = [weights for _, weights in trained if id(weights) not in chosen]
    made: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr=plan.rate, betas=(0.9, 0.95), weight_decay=0.0)]
    if hidden:
        made.append(Muon(hidden, lr=plan.hidden_rate))
    for optimizer in made:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return made


def _batches(rows: int, plan: Plan, done: int) -> Iterator[Ints]:
    """The rows of each step from step `done` on: every epoch in its own order, no row twice in it."""
    each = max(1, rows // plan.batch)
    step = done
    while True:
        order = np.random.default_rng((plan.seed, step // each)).permutation(rows)
        at = step % each * plan.batch
        yield order[at : at + plan.batch]
        step += 1


def keep(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], plan: Plan, folder: Path, curve: list[Point]
) -> None:
    """Write a checkpoint beside the old one, then put it in its place."""
    fresh, old = folder / "checkpoint.new", folder / "checkpoint.old"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file({name: weights.contiguous() for name, weights in _weights(model)}, fresh / "model.safetensors")
    for number, optimizer in enumerate(optimizers):
        save_file(dict(_moments(optimizer)), fresh / f"optimizer{number}.safetensors")
    state = {"plan": asdict(plan), "curve": [asdict(point) for point in curve]}
    (fresh / _STATE).write_text(json.dumps(state))
    shutil.rmtree(old, ignore_errors=True)
    if (folder / "checkpoint").exists():
        (folder / "checkpoint").replace(old)
    fresh.replace(folder / "checkpoint")
    shutil.rmtree(old, ignore_errors=True)


def resume(model: nn.Module, optimizers: list[torch.optim.Optimizer], plan: Plan, folder: Path) -> list[Point]:
    """Take up the checkpoint of a folder; its curve, empty where there is none.

    Raises:
        ValueError: the checkpoint is of another plan.
    """
    kept = next((folder / name for name in ("checkpoint", "checkpoint.old") if (folder / name / _STATE).exists()), None)
    if kept is None:
        return []
    state = json.loads((kept / _STATE).read_text())
    if state["plan"] != asdict(plan):
        raise ValueError(f"{kept} is of another plan; choose another folder, or the same settings")
    saved = load_file(kept / "model.safetensors")
    with torch.no_grad():
        for name, weights in _weights(model):
            weights.copy_(saved[name])
    for number, optimizer in enumerate(optimizers):
        _take_moments(optimizer, load_file(kept / f"optimizer{number}.safetensors"))
    return [Point(**point) for point in state["curve"]]


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Each weight that is trained, once; tied ones have one name."""
    yield from ((name, weights.detach()) for name, weights in model.named_parameters() if weights.requires_grad)


def _each(optimizer: torch.optim.Optimizer) -> Iterator[tuple[int, Tensor]]:
    yield from enumerate(weights for group in optimizer.param_groups for weights in group["params"])


def _moments(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for number, weights in _each(optimizer):
        for name, moment in optimizer.state[weights].items():
            yield f"{number}.{name}", torch.as_tensor(moment).clone()


def _take_moments(optimizer: torch.optim.Optimizer, saved: dict[str, Tensor]) -> None:
    by_number = dict(_each(optimizer))
    for key, moment in saved.items():
        number, name = key.split(".", 1)
        optimizer.state[by_number[int(number)]][name] = moment
