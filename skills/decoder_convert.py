"""Turns a model's folder into the engine's own files on first use, and keeps them under a name made of their digests.

Eight bits are used only if they say what 32 bits say: both write the same texts side by side, and the rounded model
must agree on nearly every token. Memory is estimated before anything is loaded, and a model that does not fit is
refused with the figure, not killed later.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError, StorageUnavailable
from skills.decoder import Decoder, Limits, empty_past, greedy, memory_of, session_options
from skills.decoder_files import Weights
from skills.decoder_graph import GRAPH_VERSION, Range, linears, matrix, write_decoder
from skills.decoder_shape import DecoderShape
from skills.digests import sha256_of
from skills.encoder_quant import byte_range, channel_balance

Floats = npt.NDArray[np.float32]
Precision = Literal["auto", "int8", "float32"]
Samples = Sequence[Sequence[int]]
_READ = 64
"""Tokens of a sample that are looked at for the ranges of eight bits: spread over it, the first among them, as models
put large numbers there."""
_WRITTEN = 24
"""Tokens that are written after a sample to see whether eight bits agree."""
_MANIFEST = "manifest.json"
_KEPT = 3
"""Converted models that stay on disk."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How close eight bits are: of `tokens` that 32 bits wrote greedily, the share on which eight bits would have
    written the same, and the mean divergence (Kullback-Leibler, nats) of what they would say next."""

    tokens: int
    same: float
    divergence: float

    @property
    def enough(self) -> bool:
        """The bounds are ours: below them texts begin to differ in what they say, not in a word now and then."""
        return self.same >= 0.95 and self.divergence <= 0.05


@dataclass(frozen=True, slots=True)
class Converted:
    """A graph that can be loaded. `agreement` is of eight bits with 32, also if they were not good enough."""

    graph: Path
    precision: str
    agreement: Agreement | None = None


def converted(
    weights: Weights, shape: DecoderShape, samples: Samples, precision: Precision, *, key: str, state: Path
) -> Converted:
    """The engine's files of a model, from `state` if they were made before.

    `key` names everything else that they depend on. Even samples (token ids) set the ranges of eight bits, odd ones
    try them.

    Raises:
        InputError: a tensor is missing or has another size; too little memory.
        IntegrityError: a weight is no number.
        StorageUnavailable: the files cannot be written.
    """
    parts = [key, str(GRAPH_VERSION), precision, json.dumps([list(sample) for sample in samples])]
    target = state / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    if (found := _opened(target)) is not None:
        return found
    weights.check(shape)
    require_memory(memory_to_convert(shape), "to convert it")
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=state, ignore_cleanup_errors=True) as temporary:
            made = _made(weights, shape, samples, precision, Path(temporary))
            _seal(made, target)
    except OSError as error:
        raise StorageUnavailable(f"the converted generator cannot be written to {state}: {error}") from error
    _forget(state)
    return _opened(target) or made


def _made(weights: Weights, shape: DecoderShape, samples: Samples, precision: Precision, folder: Path) -> Converted:
    exact, rounded = folder / "exact", folder / "rounded"
    if precision == "float32":
        return Converted(write_decoder(exact, weights, shape), "float32")
    taps = [f"{label}.in" for label in linears(shape)]
    tapped = write_decoder(folder / "tapped", weights, shape, taps=taps)
    ranges = ranges_of(tapped, weights, shape, samples[::2])
    graph = write_decoder(rounded, weights, shape, ranges)
    limits = Limits(places=1, room=max(map(len, samples)) + _WRITTEN + 1, kept=0)
    found = agreement(Decoder(tapped, shape, limits), Decoder(graph, shape, limits), samples[1::2])
    if precision == "int8" or found.enough:
        return Converted(graph, "int8", found)
    return Converted(write_decoder(exact, weights, shape), "float32", found)


def agreement(exact: Decoder, rounded: Decoder, samples: Samples) -> Agreement:
    """Let the exact one write, and the rounded one read what it writes."""
    same, divergence, tokens = 0, 0.0, 0
    for sample in samples:
        seen: list[Floats] = []

        def look(logits: Floats, written: Sequence[int], seen: list[Floats] = seen) -> int:
            seen.append(logits.copy())
            return greedy(logits, written)

        def follow(logits: Floats, written: Sequence[int], seen: list[Floats] = seen) -> int:
            seen.append(logits.copy())
            return greedy(seen[0], written)

        texts = (exact, exact.open(sample, look)), (rounded, rounded.open(sample, follow))
        for _ in range(_WRITTEN):
            seen.clear()
            for engine, text in texts:
                before = len(text.tokens)
                while len(text.tokens) == before:
                    engine.step()
            expected, found = (_log_odds(logits) for logits in seen)
            same += int(expected.argmax() == found.argmax())
            divergence += float((np.exp(expected) * (expected - found)).sum())
            tokens += 1
        for engine, text in texts:
            engine.close(text)
    return Agreement(tokens, same / max(tokens, 1), divergence / max(tokens, 1))


def _log_odds(logits: Floats) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    found: npt.NDArray[np.float64] = shifted - math.log(np.exp(shifted).sum())
    return found


def ranges_of(tapped: Path, weights: Mapping[str, Floats], shape: DecoderShape, samples: Samples) -> dict[str, Range]:
    """The ranges of eight bits for every linear map, from what it is applied to on samples. `tapped` is the graph that
    shows all of that."""
    import onnxruntime

    labels = linears(shape)
    taps = [f"{label}.in" for label in labels]
    session = onnxruntime.InferenceSession(str(tapped), session_options(), providers=["CPUExecutionProvider"])
    seen: dict[str, list[Floats]] = {label: [] for label in labels}
    for sample in samples:
        ids = np.array([sample], np.int64)
        end = ids.shape[1] - 1
        feeds = {"ids": ids, "ends": np.array([end], np.int32), "total": np.array([end + 1], np.int32)}
        outputs = session.run(taps, feeds | empty_past(shape, ids.shape[1]))
        for label, output in zip(labels, outputs, strict=True):
            seen[label].append(output[0, np.linspace(0, end, min(_READ, end + 1)).astype(int)])
    found = {}
    for label in labels:
        kernel = matrix(weights, label, tied=shape.tied)[0]
        found[label] = _range(kernel, np.concatenate(seen.pop(label)), label)
    return found


def _range(weights: Floats, inputs: Floats, label: str) -> Range:
    normed = label.startswith(("qkv", "wide", "logits"))
    balance = channel_balance(inputs, weights) if normed else None
    if balance is not None:
        inputs, weights = inputs / balance, weights * balance[:, None]
    scale, zero = byte_range(inputs, np.square(weights).sum(axis=1))
    return Range(scale, zero, balance)


def memory_to_serve(shape: DecoderShape, limits: Limits, precision: str) -> int:
    """Bytes that a loaded model takes: weights, places, kept texts, and what a piece of a prompt needs."""
    table = shape.vocabulary * shape.width
    wide = precision == "float32"
    weights = (_linear_weights(shape) + table) * 4 if wide else _linear_weights(shape) + table * 2
    piece = 128 * (3 * shape.inner + 6 * shape.width) * 4 + limits.places * shape.vocabulary * 4
    return weights + memory_of(shape, limits) + limits.kept + piece + (64 << 20)


def memory_to_convert(shape: DecoderShape) -> int:
    """Bytes while eight bits are made beside 32: both models, and the largest tensor three times."""
    largest = 4 * max(shape.vocabulary * shape.width, 2 * shape.inner * shape.width)
    return memory_to_serve(shape, Limits(places=1, kept=0), "float32") + _linear_weights(shape) + 3 * largest


def _linear_weights(shape: DecoderShape) -> int:
    table = shape.vocabulary * shape.width
    return sum(math.prod(size) for name, size in shape.tensors.items() if "_proj" in name) + table


def require_memory(needed: int, what: str) -> None:
    """Raises InputError if there is less; does nothing where it cannot be told."""
    free = free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"the generator needs {needed / 2**30:.1f} GiB of memory {what}, {free / 2**30:.1f} GiB are free; take a "
            "smaller model, or fewer `places` and less `room`, or serve it elsewhere and set `base_url`"
        )


def free_memory() -> int | None:
    """Bytes that a process may still take: of the machine, or of its control group if that has less."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, used = (int((group / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        return min(free, most - used)
    return free


def _seal(made: Converted, target: Path) -> None:
    """Put the files in their place at once, with their digests."""
    folder = made.graph.parent
    files = {path.name: sha256_of(path) for path in folder.iterdir()}
    rate = asdict(made.agreement) if made.agreement else None
    manifest = {"files": files, "graph": made.graph.name, "precision": made.precision, "agreement": rate}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)


def _opened(target: Path) -> Converted | None:
    """What was kept, if it is whole."""
    try:
        manifest: dict[str, Any] = json.loads((target / _MANIFEST).read_text(encoding="utf-8"))
        if any(sha256_of(target / name) != digest for name, digest in manifest["files"].items()):
            return None
        (target / _MANIFEST).touch()
        rate = Agreement(**manifest["agreement"]) if manifest["agreement"] else None
        return Converted(target / manifest["graph"], manifest["precision"], rate)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _forget(state: Path) -> None:
    """Remove all but the models that were opened last."""
    with suppress(OSError):
        kept = sorted(state.glob(f"*/{_MANIFEST}"), key=lambda path: -path.stat().st_mtime)
        for manifest in kept[_KEPT:]:
            shutil.rmtree(manifest.parent, ignore_errors=True)
