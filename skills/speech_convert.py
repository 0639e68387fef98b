"""The child process that reads a checkpoint of openai-whisper and writes the engine's files.

It is the only part of the recogniser that loads torch and openai-whisper. Its last line on standard output is JSON:
`{"code": "", "message": ""}`, or an error's.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import sys
import urllib.error
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import BotError, InputError, IntegrityError, NotFound
from skills.digests import sha256_of
from skills.speech_agreement import NEAR, divergence
from skills.speech_files import FILTERS, NAMED, RANKS, seal
from skills.speech_graph import DECODER, ENCODER, Heads, write_decoder, write_encoder
from skills.speech_shape import SpeechShape

Floats = npt.NDArray[np.float32]


def main(source: str, digest: str, precision: str, target: str) -> None:
    """Convert, and tell how it went."""
    code = message = ""
    try:
        convert(source, digest, precision, Path(target))
    except IntegrityError as error:
        code, message = error.code, str(error).removeprefix(f"{error.path}: ")
    except BotError as error:
        code, message = error.code, str(error)
    except OSError as error:
        code, message = InputError.code, str(error)
    sys.stdout.write(json.dumps({"code": code, "message": message}) + "\n")


def convert(source: str, digest: str, precision: str, target: Path) -> None:
    """Write the engine's files of a checkpoint.

    Raises:
        NotFound: a published model cannot be had.
        InputError: the file is no checkpoint of a Whisper model.
        IntegrityError: it is damaged.
    """
    path = _downloaded(source) if source in NAMED else Path(source).expanduser()
    if (found := sha256_of(path)) != digest:
        raise IntegrityError(str(path), f"expected sha256 {digest}, found {found}; fetch the file again")
    shape, weights = read(path)
    heads = alignment_heads(digest, shape)
    target.mkdir(parents=True, exist_ok=True)
    _write_assets(target, shape)
    far = None
    if precision != "int8":
        _write(target, weights, shape, heads, eight=False)
    if precision != "float32":
        rounded = target if precision == "int8" else target / "rounded"
        _write(rounded, weights, shape, heads, eight=True)
        if precision == "auto":
            far = divergence(target, rounded, shape)
            precision = "int8" if far <= NEAR else "float32"
            _settle(target, rounded, eight=precision == "int8")
    facts = {"digest": digest, "shape": shape.plain, "precision": precision, "heads": list(heads), "divergence": far}
    seal(target, facts)


def read(path: Path) -> tuple[SpeechShape, dict[str, Floats]]:
    """The sizes and tensors of a checkpoint, as float32.

    Raises:
        InputError: the file is no checkpoint, or a tensor is missing or has another size.
        IntegrityError: the file is damaged, or a weight is no number.
    """
    import torch
    from torch._weights_only_unpickler import UnpicklingError  # type: ignore[attr-defined]

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise IntegrityError(str(path), f"is no readable checkpoint, or is cut off: {why[0][:200]}") from error
    if not isinstance(found, Mapping) or not {"dims", "model_state_dict"} <= found.keys():
        raise InputError(f"{path} holds no `dims` and `model_state_dict`; expected a checkpoint of openai-whisper")
    shape, tensors = SpeechShape.of(found["dims"]), found["model_state_dict"]
    return shape, {name: _tensor(tensors, name, size, path) for name, size in shape.tensors.items()}


def _tensor(tensors: Mapping[str, Any], name: str, size: tuple[int, ...], path: Path) -> Floats:
    if name not in tensors:
        raise InputError(f"{path} has no tensor {name!r}, which its sizes ask for")
    if tuple(tensors[name].shape) != size:
        raise InputError(f"{path}: {name!r} is to be of size {size}, found {tuple(tensors[name].shape)}")
    value: Floats = tensors[name].float().numpy()
    if not np.isfinite(value).all():
        raise IntegrityError(str(path), f"{name!r} holds values that are no numbers")
    return value


def alignment_heads(digest: str, shape: SpeechShape) -> Heads:
    """The heads that word times are told from: openai-whisper's choice for its models, else the upper half."""
    names = [name for name, pinned in NAMED.items() if pinned == digest]
    if not names:
        return [
            (n, head) for n in range(shape.n_text_layer // 2, shape.n_text_layer) for head in range(shape.n_text_head)
        ]
    import whisper  # takes seconds, and other checkpoints do not need it

    packed = whisper._ALIGNMENT_HEADS[names[0]]
    chosen = np.frombuffer(gzip.decompress(base64.b85decode(packed)), bool).reshape(shape.n_text_layer, -1)
    return [(int(n), int(head)) for n, head in np.argwhere(chosen)]


def _write(folder: Path, weights: Mapping[str, Floats], shape: SpeechShape, heads: Heads, *, eight: bool) -> None:
    write_encoder(folder, weights, shape, eight=eight)
    write_decoder(folder, weights, shape, heads, eight=eight)


def _settle(target: Path, rounded: Path, *, eight: bool) -> None:
    """Keep one of both precisions."""
    for name in (ENCODER, DECODER) if eight else ():
        for kind in ("onnx", "bin"):
            (rounded / f"{name}.{kind}").replace(target / f"{name}.{kind}")
    shutil.rmtree(rounded)


def _write_assets(target: Path, shape: SpeechShape) -> None:
    """openai-whisper's ranks and filters, so that it is not needed later."""
    package = find_spec("whisper")
    if package is None or package.origin is None:
        raise NotFound("its tokens are those of the package openai-whisper, which is not installed")
    assets = Path(package.origin).parent / "assets"
    ranks = "multilingual" if shape.multilingual else "gpt2"
    shutil.copyfile(assets / f"{ranks}.tiktoken", target / RANKS)
    with np.load(assets / "mel_filters.npz", allow_pickle=False) as filters:
        np.save(target / FILTERS, filters[f"mel_{shape.n_mels}"])


def _downloaded(name: str) -> Path:
    """openai-whisper's own copy of a published model."""
    import whisper

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
    try:
        return Path(whisper._download(whisper._MODELS[name], str(cache), False))
    except (urllib.error.URLError, OSError, RuntimeError, TypeError) as error:
        raise NotFound(
            f"the model is not in {cache} and could not be downloaded ({error}); fetch it where there is a network "
            "and give the path of the file"
        ) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
