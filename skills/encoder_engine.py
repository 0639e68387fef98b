"""Runs a compute graph with onnxruntime, and keeps built graphs in a cache.

The cache holds nothing that cannot be built again: an entry that is damaged or cannot be written is ignored.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from skills.encoder_graph import GRAPH_VERSION, LayerRange, build_graph

if TYPE_CHECKING:
    from skills.encoder_files import EncoderFiles

Floats = npt.NDArray[np.float32]
_DIGEST_SIZE = 32


class Engine:
    """A range of transformer layers, ready to run."""

    name = "onnxruntime-fp32"

    def __init__(self, graph: bytes, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, x: Floats, mask: npt.NDArray[np.int32], layers: Sequence[int]) -> dict[int, Floats]:
        """Layer number -> float32 (batch, tokens, width). `x` and `mask` as in `build_graph`."""
        outputs = self._session.run([f"h{layer}" for layer in layers], {"x": x, "mask": mask})
        return dict(zip(layers, outputs, strict=True))


def load_engine(files: EncoderFiles, layers: LayerRange, threads: int = 1, cache: Path | None = None) -> Engine:
    """The engine for some of the encoder's own layers, its graph from the cache when it is there."""
    key = f"{files.digests['model.safetensors']} {GRAPH_VERSION} {Engine.name} {layers}"
    path = (cache or cache_folder()) / f"encoder-{hashlib.sha256(key.encode()).hexdigest()[:24]}.graph"
    graph = _read(path)
    if graph is None:
        graph = build_graph(_Weights(files), files.shape, layers)
        _write(path, graph)
    return Engine(graph, threads)


def cache_folder() -> Path:
    """UNDERSTUDY_CACHE, or `understudy` in the user's cache folder."""
    if chosen := os.environ.get("UNDERSTUDY_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "understudy"


class _Weights(Mapping[str, Floats]):
    """The encoder's tensors as a mapping of float32 arrays."""

    def __init__(self, files: EncoderFiles) -> None:
        self._files = files

    def __getitem__(self, name: str) -> Floats:
        return self._files.tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files.tensors)

    def __len__(self) -> int:
        return len(self._files.tensors)


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
