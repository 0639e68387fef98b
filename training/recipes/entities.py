"""Trains the entity extractor: `frozen` (the trunk stays, seconds) or `late` (own copies of the last layers, minutes).

The trunk runs once over the rows; the states that the method needs are kept in half precision, so every epoch after
that costs only the head or the branch. The same rows, options and thread count give the same head on CPU.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bot.core.errors import InputError
from skills.encoder import Encoder
from skills.entities_branch import LateBranch
from skills.entities_head import EntityHead, HeadWeights, first_tokens
from training.examples import OUTSIDE, SlotExample
from training.progress import Progress, silent
from training.recipes.entities_frozen import FrozenHead, padded
from training.threads import one_thread

if TYPE_CHECKING:
    import torch

    from training.recipes.entities_net import AdamW, Batch, Layer, Network

Floats = npt.NDArray[np.float32]
_ENCODE_SHARE = 0.1
_WARM_UP = 0.1
_BUCKET = 32
_ENCODE_ROWS = 512
_FROZEN_RATE, _LATE_RATE = 3e-3, 1e-3
_SAMPLES = 64
"""Rows whose states set the ranges of the branch's 8-bit arithmetic."""


@dataclass(frozen=True, slots=True)
class EntityOptions:
    """How to train. `depth` is how many layers a late branch has; `epochs` and `head_rate` 0 mean the method's usual.

    `min_steps`: small data sets are gone over until there have been this many steps of a `frozen` head.
    """

    method: Literal["frozen", "late"] = "frozen"
    depth: int = 3
    epochs: int = 0
    seed: int = 0
    batch: int = 32
    branch_rate: float = 2e-4
    head_rate: float = 0.0
    min_steps: int = 600

    @property
    def branch_depth(self) -> int:
        """Layers that are trained: none for a frozen trunk."""
        return self.depth if self.method == "late" else 0


@dataclass(frozen=True, slots=True)
class _Row:
    """A row ready for training. `states`: float16 (layers, tokens, width). `first` and `labels`: (words,).

    For a frozen trunk the states are those of the words' first tokens: nothing else reaches the scores.
    """

    states: npt.NDArray[np.float16]
    first: npt.NDArray[np.intp]
    labels: list[int]


def fit_entities(
    rows: Sequence[SlotExample],
    encoder: Encoder,
    options: EntityOptions | None = None,
    progress: Progress = silent,
) -> EntityHead:
    """Train a head on rows with BIO tags (`B-type`, `I-type#role`, ...).

    Raises:
        InputError: no row has a slot, or the branch is deeper than the encoder.
    """
    options = options or EntityOptions()
    kinds = slot_kinds(rows)
    if not kinds:
        raise InputError("entities: expected at least one row with a B- tag, found none; annotate some examples")
    if options.branch_depth > encoder.layers:
        raise InputError(f"entities: expected a depth of at most {encoder.layers}, found {options.depth}")
    layers = trunk_layers(encoder.layers, options)
    prepared = _prepared(rows, encoder, kinds, options, progress)
    if options.branch_depth:
        network = _trained(prepared, encoder, kinds, options, progress)
        weights, branch = _weights(network), _late_branch(network, encoder, prepared)
    else:
        weights, branch = _frozen(prepared, kinds, options, progress), None
    facts = {"options": asdict(options), "rows": len(rows)}
    return EntityHead(kinds, layers, weights, branch, encoder.identity, facts)


def slot_kinds(rows: Sequence[SlotExample]) -> tuple[str, ...]:
    """All kinds of spans in the rows, sorted."""
    return tuple(sorted({tag[2:] for row in rows for tag in row.tags if tag != OUTSIDE}))


def trunk_layers(count: int, options: EntityOptions) -> tuple[int, ...]:
    """The trunk's layers in the mix: the last four of a frozen trunk, or the three that end where the branch begins."""
    last = count - options.branch_depth
    return tuple(range(max(0, last - (2 if options.branch_depth else 3)), last + 1))


def word_labels(row: SlotExample, spans: Sequence[tuple[int, int]], kinds: Sequence[str]) -> list[int]:
    """One label per word (character span) of the row's text; a word is in the slot that covers its first character."""
    numbers = {kind: number for number, kind in enumerate(kinds)}
    labels, begun = [0] * len(spans), set[int]()
    slots = slot_spans(row)
    for word, (start, _) in enumerate(spans):
        for slot, (first, last, kind) in enumerate(slots):
            if first <= start < last:
                labels[word] = 2 * numbers[kind] + (2 if slot in begun else 1)
                begun.add(slot)
    return labels


def slot_spans(row: SlotExample) -> list[tuple[int, int, str]]:
    """(start, end, kind) of the row's slots, in characters of its text.

    Raises:
        InputError: tokens and tags do not match in number; names the row.
    """
    if len(row.tokens) != len(row.tags):
        raise InputError(f"{row.where or row.text!r}: expected one tag per token, found {len(row.tags)}")
    slots: list[tuple[int, int, str]] = []
    before = OUTSIDE
    for (start, end), tag in zip(row.offsets, row.tags, strict=True):
        if tag.startswith("I-") and before[2:] == tag[2:]:
            slots[-1] = (slots[-1][0], end, tag[2:])
        elif tag != OUTSIDE:
            slots.append((start, end, tag[2:]))
        before = tag
    return slots


def _prepared(
    rows: Sequence[SlotExample], encoder: Encoder, kinds: Sequence[str], options: EntityOptions, progress: Progress
) -> list[_Row]:
    layers, frozen = trunk_layers(encoder.layers, options), not options.branch_depth
    prepared: list[_Row] = []
    for begin in range(0, len(rows), _ENCODE_ROWS):
        part = rows[begin : begin + _ENCODE_ROWS]
        for row, encoding in zip(part, encoder.run([row.text for row in part], layers), strict=True):
            spans, first = first_tokens(row.text, encoding.offsets)
            kept = first if frozen else slice(None)
            states = np.stack([encoding.states[layer][kept] for layer in layers]).astype(np.float16)
            if spans:
                prepared.append(_Row(states, first, word_labels(row, spans, kinds)))
        progress(_ENCODE_SHARE * (begin + len(part)) / len(rows), "encoding")
    return prepared


def _frozen(rows: Sequence[_Row], kinds: Sequence[str], options: EntityOptions, progress: Progress) -> HeadWeights:
    """The weights of a head on a frozen trunk, without torch."""
    layers, _, width = rows[0].states.shape
    head, order = FrozenHead(layers, width, kinds, options.seed), random.Random(options.seed)
    steps, epochs = _length(rows, options)
    rate, done = options.head_rate or _FROZEN_RATE, 0
    with threadpool_limits(1):  # operations are small: more threads mostly wait for each other
        for epoch in range(epochs):
            for batch in _batches(rows, options.batch, order):
                head.learn(padded((row.states, row.labels) for row in batch), rate * _rate(done, steps * epochs))
                done += 1
            progress(
                _ENCODE_SHARE + (1 - _ENCODE_SHARE) * (epoch + 1) / epochs, f"training, epoch {epoch + 1} of {epochs}"
            )
    return head.weights()


def _length(rows: Sequence[_Row], options: EntityOptions) -> tuple[int, int]:
    """Steps of an epoch, and epochs."""
    steps = math.ceil(len(rows) / options.batch)
    return steps, options.epochs or _usual_epochs(options, steps)


def _trained(
    rows: Sequence[_Row], encoder: Encoder, kinds: Sequence[str], options: EntityOptions, progress: Progress
) -> Network:
    import torch

    steps, epochs = _length(rows, options)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = _network(encoder, kinds, options, len(rows[0].states))
        optimizer, order, done = _optimizer(network, options), random.Random(options.seed), 0
        for epoch in range(epochs):
            for batch in _batches(rows, options.batch, order):
                network.loss(_batch(batch)).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step(_rate(done, steps * epochs))
                done += 1
                share = _ENCODE_SHARE + (1 - _ENCODE_SHARE) * done / (steps * epochs)
                progress(share, f"training, epoch {epoch + 1} of {epochs}")
    return network.eval()


def _usual_epochs(options: EntityOptions, steps: int) -> int:
    if options.method == "late":
        return 4
    return max(12, math.ceil(options.min_steps / steps))


def _network(encoder: Encoder, kinds: Sequence[str], options: EntityOptions, layers: int) -> Network:
    from training.recipes.entities_net import Layer, Network

    branch: list[Layer] = []
    for number in range(encoder.layers - options.branch_depth, encoder.layers):
        prefix = f"encoder.layer.{number}."
        names = [name for name in encoder.files if name.startswith(prefix)]
        weights = {name.removeprefix(prefix): encoder.files[name] for name in names}
        branch.append(Layer(weights, encoder.shape, dropout=0.1))
    return Network(branch, layers, encoder.dimension, kinds)


def _optimizer(network: Network, options: EntityOptions) -> AdamW:
    from training.recipes.entities_net import AdamW, ParameterGroup

    rate = options.head_rate or _LATE_RATE
    head = [parameter for name, parameter in network.named_parameters() if not name.startswith("branch.")]
    branch = list(network.branch.parameters())
    return AdamW([ParameterGroup(head, rate), ParameterGroup(branch, options.branch_rate, decay=0.01)])


def _rate(step: int, steps: int) -> float:
    """The share of the learning rate: rises over the first tenth of the steps, then falls to nothing."""
    warm = max(1, int(_WARM_UP * steps))
    return min((step + 1) / warm, (steps - step) / max(1, steps - warm))


def _batches(rows: Sequence[_Row], size: int, order: random.Random) -> Iterator[list[_Row]]:
    """All rows once, in batches of similar length and random order."""
    numbers = list(range(len(rows)))
    order.shuffle(numbers)
    batches: list[list[int]] = []
    for begin in range(0, len(numbers), size * _BUCKET):
        bucket = sorted(numbers[begin : begin + size * _BUCKET], key=lambda number: rows[number].states.shape[1])
        batches += [bucket[start : start + size] for start in range(0, len(bucket), size)]
    order.shuffle(batches)
    return ([rows[number] for number in batch] for batch in batches)


def _batch(rows: Sequence[_Row]) -> Batch:
    import torch

    from training.recipes.entities_net import Batch

    layers, _, width = rows[0].states.shape
    tokens, words = max(row.states.shape[1] for row in rows), max(len(row.first) for row in rows)
    states = np.zeros((layers, len(rows), tokens, width), np.float32)
    mask = np.zeros((len(rows), tokens), np.float32)
    first, labels = np.zeros((2, len(rows), words), np.int64)
    real = np.zeros((len(rows), words), np.float32)
    for number, row in enumerate(rows):
        length, count = row.states.shape[1], len(row.first)
        states[:, number, :length] = row.states
        mask[number, :length] = real[number, :count] = 1.0
        first[number, :count], labels[number, :count] = row.first, row.labels
    return Batch(*(torch.from_numpy(array) for array in (states, mask, first, labels, real)))


def _weights(network: Network) -> HeadWeights:
    import torch

    return HeadWeights(
        mix=_array(torch.softmax(network.mix, 0)),
        weight=_array(network.scores.weight),
        bias=_array(network.scores.bias),
        transitions=_array(network.transitions),
    )


def _late_branch(network: Network, encoder: Encoder, rows: Sequence[_Row]) -> LateBranch:
    first = encoder.layers - len(network.branch)
    tensors = {name: _rounded(value) for name, value in network.branch_tensors(first).items()}
    samples = [row.states[-1].astype(np.float32) for row in rows[:: max(1, len(rows) // _SAMPLES)][:_SAMPLES]]
    return LateBranch(first, encoder.shape, tensors, samples)


def _array(tensor: torch.Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().numpy().astype(np.float32)
    return array


def _rounded(values: Floats) -> Floats:
    """To half precision and back: what is measured is what a saved head computes."""
    return values.astype(np.float16).astype(np.float32)
