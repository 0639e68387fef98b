"""The knowledge index on disk: what is in it, how it is written, and why it is believed when it is read.

    ROOT/CURRENT                 the id of the index in use
    ROOT/<id>/chunks.jsonl       one chunk a line; the line number is the chunk's number
              vectors.safetensors  unit vectors (float32) and the chunk each belongs to (int32)
              lexical.safetensors, vocabulary.json   the BM25 weights
              graph.faiss        the HNSW graph, only above `FLAT_MOST` vectors
              sources.json       the files it was made from, so that unchanged ones are not read again
              fingerprint.json   the encoder that made the vectors, their dimension and metric
              relevance.json     the fitted relevance model
              manifest.json      the SHA-256 of each file, written last; its own SHA-256 is the id

An index is built aside and renamed into place when it is whole; `CURRENT` is replaced after that. So a reader sees the
old index or the new one. Every byte is checked against the manifest before it is parsed, and the manifest against the
id: a changed byte is an `IntegrityError` that names the file. Nothing here is ever unpickled.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from bot.core.errors import IntegrityError, NotFound
from retrieval.corpus import Chunk
from retrieval.lexical import Floats, Ints, Lexical
from retrieval.relevance import Relevance

FORMAT = 3
KEEP = 3
"""Indexes kept in the folder, the current one included, to go back to."""
FLAT_MOST = 10_000
"""Above this many vectors the search goes through an HNSW graph."""
METRIC = "inner product of unit vectors"


class Embedded(Protocol):
    """An encoded text: `vector` is float32 (dimension,), unit length."""

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        """The sentence embedding."""
        ...


class Embedder(Protocol):
    """What the index needs of an encoder. Vectors are comparable only if the whole `fingerprint` is equal."""

    dimension: int

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What a vector depends on."""
        ...

    def run(self, texts: Sequence[str]) -> Sequence[Embedded]:
        """One vector per text, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Contents:
    """All that an index holds. `owners` (vectors,) ascends: the vectors of a chunk stand together, its passage first.

    `sources` maps a file's name to its SHA-256 and the ids of its chunks. `graph` is FAISS's own format.
    """

    chunks: tuple[Chunk, ...]
    vectors: Floats
    owners: Ints
    lexical: Lexical
    relevance: Relevance
    fingerprint: dict[str, str]
    sources: dict[str, dict[str, Any]]
    graph: bytes | None = None


def fingerprint_of(embedder: Embedder) -> dict[str, str]:
    """The encoder's fingerprint with the dimension and the metric of the index."""
    return {**embedder.fingerprint, "dimension": str(embedder.dimension), "metric": METRIC}


def write_index(root: Path, contents: Contents) -> str:
    """Write an index below `root`, make it the current one and return its id. Same contents give the same id."""
    root.mkdir(parents=True, exist_ok=True)
    files = _files(contents)
    manifest = _json({"format": FORMAT, "files": {name: _sha(data) for name, data in sorted(files.items())}})
    index = _sha(manifest)[:16]
    aside = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
    try:
        for name, data in (*files.items(), ("manifest.json", manifest)):
            _write(aside / name, data)
        if not _is_whole(root / index):
            shutil.rmtree(root / index, ignore_errors=True)
            aside.rename(root / index)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _write(root / ".CURRENT", index.encode())
    (root / ".CURRENT").replace(root / "CURRENT")
    _sync(root)
    _prune(root, index)
    return index


def read_index(root: Path) -> tuple[str, Contents]:
    """The id and the contents of the current index, every byte checked.

    Raises:
        NotFound: there is no index.
        IntegrityError: a file is missing or is not what the manifest says.
    """
    pointer = root / "CURRENT"
    if not pointer.exists():
        raise NotFound(f"expected a knowledge index in {str(root)!r}, found none; run `bot ingest`")
    index = pointer.read_text("utf-8", "replace")
    if not re.fullmatch("[0-9a-f]{16}", index) or not (root / index).is_dir():
        raise IntegrityError(str(pointer), f"expected the id of an index beside it, found {index[:40]!r}; {_AGAIN}")
    files = _verified(root / index)
    tensors, postings = load(files["vectors.safetensors"]), load(files["lexical.safetensors"])
    chunks = tuple(Chunk.from_json(json.loads(line)) for line in files["chunks.jsonl"].decode().split("\n") if line)
    vocabulary = {word: number for number, word in enumerate(json.loads(files["vocabulary.json"]))}
    return index, Contents(
        chunks,
        tensors["vectors"],
        tensors["owners"],
        Lexical(vocabulary, **postings, count=len(chunks)),
        Relevance(**json.loads(files["relevance.json"])),
        json.loads(files["fingerprint.json"]),
        json.loads(files["sources.json"]),
        files.get("graph.faiss"),
    )


def check_fingerprint(root: Path, index: str, found: Mapping[str, str], embedder: Embedder) -> None:
    """Refuse vectors of another encoder: they would compare as noise.

    Raises:
        IntegrityError: the index was made by another encoder, or for another dimension or metric.
    """
    now = fingerprint_of(embedder)
    changed = sorted(key for key in {*now, *found} if now.get(key) != found.get(key))
    if changed:
        which = "; ".join(f"{key}: index {found.get(key)!r}, encoder {now.get(key)!r}" for key in changed)
        raise IntegrityError(
            str(root / index / "fingerprint.json"),
            f"expected the vectors of the encoder in use, found those of another ({which}); {_AGAIN}",
        )


_AGAIN = "run `bot ingest` to build the index again"


def _files(contents: Contents) -> dict[str, bytes]:
    lexical = contents.lexical
    postings = {name: getattr(lexical, name) for name in ("starts", "chunks", "weights", "idf")}
    files = {
        "chunks.jsonl": "".join(_json(chunk.to_json()).decode() + "\n" for chunk in contents.chunks).encode(),
        "vectors.safetensors": save({"vectors": contents.vectors, "owners": contents.owners}),
        "lexical.safetensors": save(postings),
        "vocabulary.json": _json(sorted(lexical.vocabulary, key=lexical.vocabulary.__getitem__)),
        "relevance.json": _json(asdict(contents.relevance)),
        "fingerprint.json": _json(contents.fingerprint),
        "sources.json": _json(contents.sources),
    }
    return files if contents.graph is None else {**files, "graph.faiss": contents.graph}


def _verified(folder: Path) -> dict[str, bytes]:
    manifest = _read(folder / "manifest.json")
    if _sha(manifest)[:16] != folder.name:
        raise IntegrityError(str(folder / "manifest.json"), f"expected this index's manifest, found another; {_AGAIN}")
    described = json.loads(manifest)
    if described["format"] != FORMAT:
        message = f"expected format {FORMAT}, found {described['format']} of another version of the software; {_AGAIN}"
        raise IntegrityError(str(folder / "manifest.json"), message)
    listed: dict[str, str] = described["files"]
    files = {name: _read(folder / name) for name in listed}
    for name, expected in listed.items():
        if (found := _sha(files[name])) != expected:
            raise IntegrityError(str(folder / name), f"expected SHA-256 {expected}, found {found}; {_AGAIN}")
    return files


def _is_whole(folder: Path) -> bool:
    try:
        return bool(_verified(folder))
    except IntegrityError:
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IntegrityError(str(path), f"expected to read the file, found {error.strerror}; {_AGAIN}") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _prune(root: Path, current: str) -> None:
    """Keep the newest indexes; also remove what an interrupted run left."""
    folders = [path for path in root.iterdir() if re.fullmatch("[0-9a-f]{16}", path.name) and path.name != current]
    old = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[KEEP - 1 :]
    for path in (*old, *root.glob(".building-*")):
        shutil.rmtree(path, ignore_errors=True)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()


def _sha(data: bytes) -> str:
    return sha256(data).hexdigest()
