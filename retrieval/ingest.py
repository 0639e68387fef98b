"""Files and folders in, a knowledge index out.

The index is always that of the paths given: a file that is gone is gone from the index. What has not changed is not
done again: a file with the same bytes is not read, a text with the same words is not encoded. A file that cannot be
read costs one error; the others go on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bot.core.errors import InputError, IntegrityError, NotFound
from retrieval.calibration import fit_relevance
from retrieval.corpus import Chunk, chunks_of
from retrieval.index import FLAT_MOST, Contents, Embedder, fingerprint_of, read_index, write_index
from retrieval.lexical import Floats, Lexical
from retrieval.readers import READERS, VERSION
from retrieval.relevance import Relevance
from retrieval.sandbox import Limits, Reader
from retrieval.search import build_graph

MAX_FILES = 20_000
BATCH = 64

Progress = Callable[[str, int, int], None]
"""Called with the stage ("read", "encode", "calibrate"), how much is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class FileError:
    """A file that was left out, and why."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What an index holds. `skipped` counts files that had not changed; `ignored` names those of unknown kinds."""

    index: str
    documents: int
    chunks: int
    skipped: int
    errors: tuple[FileError, ...] = ()
    ignored: tuple[str, ...] = ()
    encoded: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read: `name` is its path in the knowledge folder, with forward slashes."""

    path: Path
    name: str

    @property
    def document(self) -> str:
        """The id of the document, or the first part of the ids of its rows: the name without suffix."""
        return self.name.removesuffix(self.path.suffix)


@dataclass(frozen=True, slots=True)
class Previous:
    """What the index before this one saves us: chunks of unchanged files, vectors of unchanged texts."""

    chunks: dict[str, Chunk]
    vectors: dict[str, Floats]
    sources: dict[str, dict[str, Any]]


def ingest(
    paths: Sequence[Path],
    out_dir: Path,
    encoder: Embedder,
    progress: Progress = lambda stage, done, total: None,
    limits: Limits | None = None,
) -> IngestResult:
    """Build the index of these files and folders below `out_dir` and make it the current one.

    Raises:
        InputError: not one of the files could be read, or another ingest is writing there; the index that was there
            stays.
    """
    with _alone(out_dir):
        return _ingest(paths, out_dir, encoder, progress, limits or Limits())


def _ingest(
    paths: Sequence[Path], out_dir: Path, encoder: Embedder, progress: Progress, limits: Limits
) -> IngestResult:
    errors: list[FileError] = []
    ignored: list[str] = []
    found = _one_each(_find(paths, errors, ignored), errors)
    previous = _previous(out_dir, encoder)
    sources: dict[str, dict[str, Any]] = {}
    chunks: dict[str, Chunk] = {}
    skipped = 0
    with Reader(limits) as reader:
        for done, file in enumerate(found):
            progress("read", done, len(found))
            try:
                digest, data = _load(file.path, limits)
                known = previous.sources.get(file.name)
                if known and known["sha256"] == digest and known["reader"] == VERSION:
                    made = [previous.chunks[name] for name in known["chunks"]]
                    skipped += 1
                else:
                    made = _chunks(reader, file, data)
            except InputError as error:
                errors.append(FileError(str(file.path), str(error)))
                continue
            chunks.update((chunk.id, chunk) for chunk in made)
            sources[file.name] = {"sha256": digest, "reader": VERSION, "chunks": [chunk.id for chunk in made]}
    if not chunks:
        why = "; ".join(map(str, errors[:3])) or f"no files of the kinds {', '.join(READERS)}"
        raise InputError(f"expected documents in {', '.join(map(str, paths))}, found none that can be read ({why})")
    progress("read", len(found), len(found))
    contents, encoded = _contents(tuple(chunks.values()), sources, previous, encoder, progress)
    index = write_index(out_dir, contents)
    documents = len({chunk.document for chunk in chunks.values()})
    return IngestResult(index, documents, len(chunks), skipped, tuple(errors), tuple(ignored), encoded)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One ingest at a time in a folder; the lock goes with the process."""
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"expected to be alone in {str(root)!r}, found another ingest; wait for it") from None
        yield


def _contents(
    chunks: tuple[Chunk, ...],
    sources: dict[str, dict[str, Any]],
    previous: Previous,
    encoder: Embedder,
    progress: Progress,
) -> tuple[Contents, int]:
    """The contents of the index, and how many texts had to be encoded for it."""
    texts = [text for chunk in chunks for text in texts_of(chunk)]
    new = [text for text in dict.fromkeys(texts) if text not in previous.vectors]
    fresh = dict(zip(new, encode(new, encoder, lambda done: progress("encode", done, len(new))), strict=True))
    vectors = np.stack([fresh[text] if text in fresh else previous.vectors[text] for text in texts])
    owners = np.repeat(np.arange(len(chunks), dtype=np.int32), [len(texts_of(chunk)) for chunk in chunks])
    lexical = Lexical.build([" \n".join(texts_of(chunk)) for chunk in chunks])
    graph = build_graph(vectors) if len(vectors) > FLAT_MOST else None
    contents = Contents(chunks, vectors, owners, lexical, Relevance(), fingerprint_of(encoder), sources, graph)
    progress("calibrate", 0, 1)
    contents = replace(contents, relevance=fit_relevance(contents, encoder))
    progress("calibrate", 1, 1)
    return contents, len(new)


def texts_of(chunk: Chunk) -> list[str]:
    """The texts of a chunk that get a vector each: its passage, then its questions."""
    return list(dict.fromkeys((chunk.passage, *chunk.questions)))


def encode(texts: Sequence[str], encoder: Embedder, progress: Callable[[int], None]) -> Iterator[Floats]:
    """The vectors of texts, computed in batches."""
    for start in range(0, len(texts), BATCH):
        progress(start)
        for encoded in encoder.run(texts[start : start + BATCH]):
            yield np.asarray(encoded.vector, np.float32)
    progress(len(texts))


def _previous(root: Path, encoder: Embedder) -> Previous:
    """The current index, if it is whole and of the same encoder; else nothing, and all is done again."""
    try:
        _, contents = read_index(root)
    except (NotFound, IntegrityError):
        return Previous({}, {}, {})
    chunks = {chunk.id: chunk for chunk in contents.chunks}
    if contents.fingerprint != fingerprint_of(encoder):
        return Previous(chunks, {}, contents.sources)
    texts = (text for chunk in contents.chunks for text in texts_of(chunk))
    return Previous(chunks, dict(zip(texts, contents.vectors, strict=True)), contents.sources)


def _chunks(reader: Reader, file: Found, data: bytes) -> list[Chunk]:
    documents = reader.read(data, file.path.suffix.lower(), file.document)
    return [chunk for document in documents for chunk in chunks_of(document)]


def _load(path: Path, limits: Limits) -> tuple[str, bytes]:
    """A regular file's bytes and their SHA-256. What is not a regular file is never opened: it could block."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError("expected a regular file, found a device, pipe or socket; remove it")
        if status.st_size > limits.file:
            raise InputError(f"expected at most {limits.file} bytes, found {status.st_size}; split the file")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"expected to read the file, found {error.strerror}; check its permissions") from error
    return sha256(data).hexdigest(), data


def _find(paths: Sequence[Path], errors: list[FileError], ignored: list[str]) -> Iterator[Found]:
    for path in paths:
        if path.is_dir():
            yield from _walk(path.resolve(), errors, ignored)
        elif not path.exists():
            errors.append(FileError(str(path), "expected a file or folder, found nothing; check the path"))
        elif path.suffix.lower() not in READERS:
            message = f"expected one of {', '.join(READERS)}, found {path.suffix!r}; convert the file"
            errors.append(FileError(str(path), message))
        else:
            yield Found(path, path.name)


def _walk(root: Path, errors: list[FileError], ignored: list[str]) -> Iterator[Found]:
    """Files below a folder in a fixed order. Hidden ones are left out; links must stay inside and are not walked."""
    count = 0
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names) + [name for name in below if (Path(folder) / name).is_symlink()]:
            path = Path(folder) / name
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                message = "expected links that stay in the folder, found one that leaves it; copy the file instead"
                errors.append(FileError(str(path), message))
            elif path.is_dir() or name.startswith("."):
                continue
            elif path.suffix.lower() not in READERS:
                ignored.append(str(path))
            elif (count := count + 1) > MAX_FILES:
                errors.append(FileError(str(root), f"expected at most {MAX_FILES} files, found more; split the folder"))
                return
            else:
                yield Found(path, path.relative_to(root).as_posix())


def _one_each(files: Iterable[Found], errors: list[FileError]) -> list[Found]:
    """Files with names of their own: two that would give the same document id cannot both be cited."""
    kept: dict[str, Found] = {}
    for file in files:
        first = kept.setdefault(file.document, file)
        if first.path.resolve() != file.path.resolve():
            message = f"expected one file for the document {file.document!r}, found {first.path} too; rename one"
            errors.append(FileError(str(file.path), message))
    return list(kept.values())
