"""Turns a checkpoint of openai-whisper into the engine's own files on first use, and keeps them under its digest.

A checkpoint is a `.pt` file, or the name of a published model, whose file openai-whisper then downloads. Reading it
needs torch, so a child process does it (`python -m skills.speech_convert`): a bot that serves never loads torch, and a
damaged file cannot take it down.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bot.core.errors import InputError, IntegrityError, NotFound, StorageUnavailable
from skills.digests import sha256_of
from skills.encoder_engine import cache_folder
from skills.speech_graph import GRAPH_VERSION
from skills.speech_shape import SpeechShape

Precision = Literal["auto", "int8", "float32"]
NAMED = {
    "tiny.en": "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
    "tiny": "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    "base.en": "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead",
    "base": "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    "small.en": "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872",
    "small": "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    "medium.en": "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f",
    "medium": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    "large-v1": "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a",
    "large-v2": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    "large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    "large-v3-turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
    "turbo": "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a",
}
"""The published models and the sha256 of their files."""
STARTER = Path(__file__).parent / "starter_ear" / "model.pt"
"""The checkpoint that is meant by `starter`."""
MANIFEST, RANKS, FILTERS = "manifest.json", "ranks.tiktoken", "filters.npy"
_KEPT = 4
"""Converted models that stay on disk."""
_ERRORS = {kind.code: kind for kind in (InputError, NotFound)}


@dataclass(frozen=True, slots=True)
class SpeechFiles:
    """A converted model. `digest` is the sha256 of its checkpoint, `heads` those that word times are told from."""

    folder: Path
    digest: str
    shape: SpeechShape
    precision: str
    heads: tuple[tuple[int, int], ...]
    divergence: float | None
    """How far eight bits are from 32 (nats a token); None if that was not looked at."""


def find_model(source: str, precision: Precision = "auto", sha256: str = "", state: Path | None = None) -> SpeechFiles:
    """The engine's files of a checkpoint, a path or the name of a published model; converted if they are not kept.

    Raises:
        NotFound: there is no such file, or it could not be downloaded.
        InputError: the file is no checkpoint of a Whisper model; or eight bits were asked for and cannot be made.
        IntegrityError: it is not the one that is pinned, or is damaged.
        StorageUnavailable: the files cannot be written.
    """
    source = str(STARTER) if source == "starter" else source
    digest = NAMED[source] if source in NAMED else _digest(Path(source).expanduser())
    if sha256 and sha256.lower() != digest:
        raise IntegrityError(source, f"expected sha256 {sha256.lower()}, found {digest}; fetch the file again")
    folder = state or cache_folder() / "speech"
    name = hashlib.sha256(f"{digest}\n{GRAPH_VERSION}\n{precision}".encode()).hexdigest()[:24]
    found = opened(folder / name)
    return found if found is not None else _converted(source, digest, precision, folder, name)


def _digest(path: Path) -> str:
    if path.is_file():
        return sha256_of(path)
    if path == STARTER:
        raise NotFound(
            f"the starter recogniser is not at {path}; train it with `python -m training.hearing`, or set "
            "`voice.recogniser` to a Whisper checkpoint (.pt) or to a published model such as base"
        )
    names = ", ".join(NAMED)
    raise NotFound(f"no recogniser {str(path)!r}: expected a checkpoint file (.pt) or one of starter, {names}")


def _converted(source: str, digest: str, precision: Precision, folder: Path, name: str) -> SpeechFiles:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
            made = Path(temporary) / "model"
            _convert(source, digest, precision, made)
            shutil.rmtree(folder / name, ignore_errors=True)
            made.rename(folder / name)
    except OSError as error:
        raise StorageUnavailable(f"the converted recogniser cannot be written to {folder}: {error}") from error
    _forget(folder)
    found = opened(folder / name)
    if found is None:
        raise IntegrityError(str(folder / name), "was changed while it was written; try again")
    return found


def _convert(source: str, digest: str, precision: str, folder: Path) -> None:
    """Let the child write the folder; its errors are ours."""
    command = [sys.executable, "-m", "skills.speech_convert", source, digest, precision, str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)  # noqa: S603 (our own module)
    try:
        answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        why = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
        raise InputError(
            f"{source} could not be converted: {why[0]} (too little memory ends it without a word)"
        ) from None
    if answer["code"] == IntegrityError.code:
        raise IntegrityError(source, answer["message"])
    if answer["code"]:
        raise _ERRORS.get(answer["code"], InputError)(f"{source}: {answer['message']}")


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest over all files of a folder."""
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps({"files": files, **facts}, indent=1), encoding="utf-8")


def opened(folder: Path) -> SpeechFiles | None:
    """What was kept, if it is whole."""
    try:
        found: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if any(sha256_of(folder / name) != digest for name, digest in found["files"].items()):
            return None
        (folder / MANIFEST).touch()
        heads = tuple((int(layer), int(head)) for layer, head in found["heads"])
        shape = SpeechShape.of(found["shape"])
        return SpeechFiles(folder, found["digest"], shape, found["precision"], heads, found["divergence"])
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None


def _forget(folder: Path) -> None:
    """Remove all but the models that were opened last."""
    with suppress(OSError):
        kept = sorted(folder.glob(f"*/{MANIFEST}"), key=lambda path: -path.stat().st_mtime)
        for manifest in kept[_KEPT:]:
            shutil.rmtree(manifest.parent, ignore_errors=True)
