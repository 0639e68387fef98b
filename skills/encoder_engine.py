"""Runs a compute graph with onnxruntime, and keeps built graphs in a cache.

The cache holds nothing that cannot be built again: an entry that is damaged or cannot be written is ignored.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from skills.encoder_graph import GRAPH_VERSION, LayerRange, Shape, build_graph, input_name, read_linears
from skills.encoder_quant import quantise

Floats = npt.NDArray[np.float32]
Precision = Literal["int8", "float32"]
Weights = Mapping[str, Floats]
_DIGEST_SIZE = 32


class Engine:
    """A range of transformer layers, ready to run."""

    def __init__(self, graph: bytes, precision: Precision, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.name = f"onnxruntime-{precision}-{GRAPH_VERSION}"
        # The fused form of Add + LayerNormalization takes three times as long on CPUs (docs/benchmarks/encoder.md).
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )

    def run(self, x: Floats, mask: npt.NDArray[np.int32], layers: Sequence[int]) -> dict[int, Floats]:
        """Layer number -> float32 (batch, tokens, width). `x` and `mask` as in `build_graph`."""
        return dict(zip(layers, self.values([f"h{layer}" for layer in layers], x, mask), strict=True))

    def values(self, names: Sequence[str], x: Floats, mask: npt.NDArray[np.int32]) -> list[Floats]:
        """Outputs of the graph by name."""
        outputs: list[Floats] = self._session.run(names, {"x": x, "mask": mask})
        return outputs


def build_float32(weights: Weights, shape: Shape, layers: LayerRange) -> bytes:
    """The graph as the weights are."""
    return build_graph(weights, shape, layers, read_linears(weights, layers))


def build_int8(weights: Weights, shape: Shape, layers: LayerRange, inputs: Sequence[Floats]) -> bytes:
    """The graph in 8 bits. `inputs` are sample inputs, one float32 (tokens, width) per text, that set the ranges."""
    linears = read_linears(weights, layers)
    taps = list(dict.fromkeys(input_name(label) for label in linears))
    taps = [name for name in taps if name != f"h{layers.first}" or layers.first == 0]
    engine = Engine(build_graph(weights, shape, layers, linears, taps), "float32")
    seen: dict[str, list[Floats]] = {name: [] for name in taps}
    for x in inputs:
        values = engine.values(taps, x[None], np.ones((1, len(x)), np.int32))
        for name, value in zip(taps, values, strict=True):
            seen[name].append(value[0])
    samples = {name: np.concatenate(values) for name, values in seen.items()}
    samples.setdefault(f"h{layers.first}", np.concatenate(list(inputs)))
    rounded = quantise(linears, shape, layers, lambda label: samples[input_name(label)])
    return build_graph(weights, shape, layers, rounded)


def cached(key: str, build: Callable[[], bytes], folder: Path | None = None) -> bytes:
    """What `build` gives, kept under a name made from `key`."""
    path = (folder or cache_folder()) / f"graph-{hashlib.sha256(key.encode()).hexdigest()[:24]}.bin"
    body = _read(path)
    if body is None:
        body = build()
        _write(path, body)
    return body


def cache_folder() -> Path:
    """UNDERSTUDY_CACHE, or `understudy` in the user's cache folder."""
    if chosen := os.environ.get("UNDERSTUDY_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "understudy"


def _read(path: Path) -> bytes | None:
    """The entry, if it is whole: its first 32 bytes are the sha256 of the rest."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, body = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    return body if hashlib.sha256(body).digest() == digest else None


def _write(path: Path, body: bytes) -> None:
    """Write atomically; a cache that cannot be written only costs the next start some time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
            stream.write(hashlib.sha256(body).digest() + body)
        Path(stream.name).replace(path)
    except OSError:
        return
