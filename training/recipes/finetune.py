"""Tunes copies of an encoder's layers for the intents, from the states that the shared trunk gives below them.

One trainer for a late branch (the last layers), low-rank updates of all layers, and all layers in full: they differ in
how many layers are copied and how much of each may move. Embeddings stay: most words of a language are in no training
set, and would be left behind by those that are.

A step's gradient is that of all its rows, whatever pieces it is computed in. On a CPU one thread computes, and the same
rows, options and seed give the same bytes; where there is a GPU it is used, in bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError
from skills.encoder import Encoder
from skills.intent_views import Tuned, View, ViewWeights
from training.progress import Progress
from training.threads import one_thread

if TYPE_CHECKING:
    import torch

    from training.recipes.entities_net import AdamW
    from training.recipes.intent_net import Layer, Network

Floats = npt.NDArray[np.float32]
Curve = Callable[[str, float, int], None]
"""Told a figure's name, its value, and the step."""
_WARM_UP = 0.1
_SAMPLES = 64
"""Rows whose states set the ranges of the 8-bit arithmetic."""
_LONGEST = 1.0
"""Length of a gradient above which it is shortened."""


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How to tune. `depth`: how many layers; `rank`: 0 moves all weights, else low-rank updates of that rank.

    `batch`: rows of a step; `piece_tokens`: tokens that are computed at once, a memory limit that changes no result.
    `tensorboard`: a folder for the curve of the loss, empty for none.
    """

    depth: int
    rank: int = 0
    epochs: int = 5
    batch: int = 32
    rate: float = 2e-4
    centre_rate: float = 2e-3
    decay: float = 0.01
    dropout: float = 0.1
    scale: float = 16.0
    seed: int = 0
    piece_tokens: int = 8192
    tensorboard: str = ""


@dataclass(frozen=True, slots=True)
class TuneRows:
    """What is tuned on. `states`: float16 (tokens, width) of each row, of the layer below the copied ones.

    `owners`: intent numbers; `weights`: how far each label is believed; `centres`: where the intents begin, float32
    (intents, width), unit length.
    """

    states: Sequence[npt.NDArray[np.float16]]
    owners: Sequence[int]
    weights: Sequence[float]
    centres: Floats


def tune(rows: TuneRows, encoder: Encoder, options: TuneOptions, progress: Progress) -> View:
    """Tune and give the view that serves. Its numbers are rounded as they will be stored.

    Raises:
        InputError: more layers than the encoder has, or TensorBoard files are wanted and tensorboardX is missing.
    """
    if not 0 < options.depth <= encoder.layers:
        raise InputError(f"tuning: expected 1 to {encoder.layers} layers, found {options.depth}")
    import torch

    with curve(options.tensorboard) as note, one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = build(rows.centres, encoder, options)
        _train(network, rows, options, lambda share, loss, step: _tell(progress, note, share, loss, step))
    return _view(network.to("cpu"), rows, encoder, options)


def build(centres: Floats, encoder: Encoder, options: TuneOptions) -> Network:
    """The network before training."""
    from training.recipes.intent_net import Layer, Network

    layers: list[Layer] = []
    for number in range(encoder.layers - options.depth, encoder.layers):
        prefix = f"encoder.layer.{number}."
        names = [name for name in encoder.files if name.startswith(prefix)]
        weights = {name.removeprefix(prefix): encoder.files[name] for name in names}
        layers.append(Layer(weights, encoder.shape, options.dropout, options.rank))
    return Network(layers, centres, options.scale)


def backward(network: Network, rows: TuneRows, chosen: Sequence[int], options: TuneOptions) -> float:
    """Add the gradient of a step's rows, computed in pieces; gives the loss."""
    from training.recipes.intent_net import moved, pack

    device = next(network.parameters()).device
    total, loss = sum(rows.weights[n] for n in chosen), 0.0
    for piece in _pieces(rows, chosen, options.piece_tokens):
        states, owners = [rows.states[n] for n in piece], [rows.owners[n] for n in piece]
        batch = moved(pack(states, owners, [rows.weights[n] for n in piece]), device)
        with _precision(device):
            part = network.loss(batch, total)
        part.backward()  # type: ignore[no-untyped-call]
        loss += float(part.detach())
    return loss


@contextmanager
def curve(folder: str) -> Iterator[Curve]:
    """Writes figures to TensorBoard files in a folder; nothing for an empty name.

    Raises:
        InputError: tensorboardX is not installed.
    """
    if not folder:
        yield lambda name, value, step: None
        return
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError("--tensorboard needs tensorboardX; pip install 'understudy[tensorboard]'") from error
    with SummaryWriter(str(Path(folder))) as writer:
        yield writer.add_scalar


def _train(network: Network, rows: TuneRows, options: TuneOptions, tell: Callable[[float, float, int], None]) -> None:
    import torch

    network.to("cuda" if torch.cuda.is_available() else "cpu").train()
    optimizer, order = _optimizer(network, options), np.random.default_rng(options.seed)
    count = len(rows.owners)
    steps, done = options.epochs * math.ceil(count / options.batch), 0
    for _ in range(options.epochs):
        shuffled = order.permutation(count).tolist()
        for start in range(0, count, options.batch):
            loss = backward(network, rows, shuffled[start : start + options.batch], options)
            torch.nn.utils.clip_grad_norm_(network.parameters(), _LONGEST)
            optimizer.step(_rate(done, steps))
            done += 1
            tell(done / steps, loss, done)


def _optimizer(network: Network, options: TuneOptions) -> AdamW:
    from training.recipes.entities_net import AdamW, ParameterGroup

    moving = [item for item in network.layers.parameters() if item.requires_grad]
    return AdamW(
        [ParameterGroup(moving, options.rate, options.decay), ParameterGroup([network.centres], options.centre_rate)]
    )


def _rate(step: int, steps: int) -> float:
    """The share of the learning rate: rises over the first tenth of the steps, then falls to nothing."""
    warm = max(1, int(_WARM_UP * steps))
    return min((step + 1) / warm, (steps - step) / max(1, steps - warm))


def _pieces(rows: TuneRows, chosen: Sequence[int], tokens: int) -> Iterator[list[int]]:
    piece: list[int] = []
    held = 0
    for number in chosen:
        length = len(rows.states[number])
        if piece and held + length > tokens:
            yield piece
            piece, held = [], 0
        piece.append(number)
        held += length
    yield piece


def _precision(device: torch.device) -> AbstractContextManager[object]:
    import torch

    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def _tell(progress: Progress, note: Curve, share: float, loss: float, step: int) -> None:
    progress(share, "tuning layers")
    note("intent/loss", loss, step)


def _view(network: Network, rows: TuneRows, encoder: Encoder, options: TuneOptions) -> View:
    first, weights = encoder.layers - options.depth, dict[str, Floats]()
    for number, layer in enumerate(network.layers, first):
        tensors: dict[str, Floats] = layer.tensors()  # type: ignore[operator]
        weights |= {f"encoder.layer.{number}.{name}": _half(value) for name, value in tensors.items()}
    centres = network.centres.detach().numpy()
    matrix = options.scale * (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T
    every = max(1, len(rows.states) // _SAMPLES)
    samples = [item.astype(np.float32) for item in rows.states[::every][:_SAMPLES]]
    scores = ViewWeights(matrix.astype(np.float16), np.zeros(len(centres), np.float32))
    return View((), scores, Tuned(first, encoder.shape, weights, samples))


def _half(values: Floats) -> Floats:
    """To half precision and back: what is measured is what a saved head computes."""
    return values.astype(np.float16).astype(np.float32)
