"""A causal language model's folder, as the transformers library writes it: config, safetensors, tokenizer. No torch.

Everything that can be wrong with a folder is found before anybody waits for an answer, and said with the file's name.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError, IntegrityError, NotFound
from skills.decoder_shape import DecoderShape
from skills.digests import sha256_of

Floats = npt.NDArray[np.float32]
_ONE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
"""What is fetched from the hub: never code, nor weights in other forms."""


def find_folder(source: str, revision: str | None = None) -> Path:
    """A folder, or a repository of the Hugging Face hub at a commit, fetched if it is not on disk yet.

    Raises:
        InputError: a repository without a commit.
        NotFound: there is no such folder, and the hub has none either or cannot be reached.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if revision is None and re.fullmatch(r"[\w.-]+/[\w.-]+", source) is None:
        raise NotFound(f"generator {source!r}: there is no such folder")
    if revision is None or re.fullmatch(r"[0-9a-f]{40}", revision) is None:
        raise InputError(
            f"generator {source!r}: no such folder; a repository of the hub needs `revision`, a commit's 40 hex digits"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    options: dict[str, Any] = {"revision": revision, "allow_patterns": list(_FILES)}
    with suppress(LocalEntryNotFoundError):  # what is here needs no network
        return Path(snapshot_download(source, local_files_only=True, **options))
    try:
        return Path(snapshot_download(source, **options))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise NotFound(f"generator {source!r} at {revision[:12]}: neither here nor on the hub: {error}") from error


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, whole or in shards.

    Raises:
        NotFound: there are none, or a shard is missing; names it.
    """
    if (folder / _INDEX).is_file():
        names = sorted(set(read_json(folder / _INDEX).get("weight_map", {}).values()))
    else:
        names = [_ONE] if (folder / _ONE).is_file() else sorted(path.name for path in folder.glob("*.safetensors"))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise NotFound(f"{folder}: {', '.join(missing)} missing, which {_INDEX} names; copy the whole folder again")
    if not names:
        raise NotFound(f"{folder} holds no *.safetensors; save the model with save_pretrained(safe_serialization=True)")
    return [folder / name for name in names]


def file_digests(folder: Path, expected: Mapping[str, str] | None = None) -> dict[str, str]:
    """The sha256 of each file that makes the model what it is, by name.

    Raises:
        NotFound: a file that is expected is missing.
        IntegrityError: one is not the expected one.
    """
    small = [folder / name for name in ("config.json", "generation_config.json", *TOKENIZER_FILES)]
    found = {path.name: sha256_of(path) for path in (*weight_files(folder), *small) if path.is_file()}
    for name, digest in (expected or {}).items():
        if name not in found:
            raise NotFound(f"{folder / name} is missing, whose sha256 is given")
        if found[name] != digest:
            raise IntegrityError(str(folder / name), f"expected sha256 {digest}, found {found[name]}; copy it again")
    return found


TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.model", "vocab.json")


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises:
        NotFound: there is no such file.
        IntegrityError: it is no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"{path} is missing; a generator's folder is what save_pretrained wrote") from error
    except ValueError as error:
        raise IntegrityError(str(path), f"is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise IntegrityError(str(path), f"expected an object, found {type(found).__name__}")
    return found


def read_shape(folder: Path) -> DecoderShape:
    """The sizes that `config.json` tells.

    Raises:
        NotFound, IntegrityError: the file is missing or damaged.
        InputError: the engine has no such model.
    """
    return DecoderShape.of(read_json(folder / "config.json"))


class Weights(Mapping[str, Floats]):
    """The tensors of a folder by name, as float32. The files are mapped: a tensor is read when it is asked for.

    Raises:
        NotFound: there are none.
        IntegrityError: a file is damaged, or a tensor holds something that is no number; when it is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._of: dict[str, tuple[Path, npt.NDArray[Any]]] = {}
        for path in weight_files(folder):
            self._of |= {name: (path, tensor) for name, tensor in _mapped(path)}

    def __getitem__(self, name: str) -> Floats:
        path, tensor = self._of[name]
        if tensor.dtype == np.uint16:  # bfloat16: the upper half of a float32
            found = (tensor.astype(np.uint32) << np.uint32(16)).view(np.float32)
        else:
            found = tensor.astype(np.float32)
        if not np.isfinite(found).all():
            raise IntegrityError(str(path), f"{name} holds values that are no numbers; train or copy the model again")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def check(self, shape: DecoderShape) -> None:
        """Raises InputError unless every tensor of such a model is there, in its size."""
        for name, size in shape.tensors.items():
            if name not in self._of:
                raise InputError(f"the weights lack {name}, which config.json promises; save the whole model, merged")
            found = self._of[name][1].shape
            if found != size:
                raise InputError(f"{self._of[name][0]}: {name} is {found}, config.json says {size}")


def _mapped(path: Path) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Views of a safetensors file: 8 bytes of header length, a JSON header, the data."""
    try:
        with path.open("rb") as stream:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(data[:8], "little")
        header: dict[str, Any] = json.loads(data[8:start])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            yield name, _view(path, data, start, entry)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(str(path), f"is no whole safetensors file: {error}; copy it again") from error


_DTYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "F64": np.float64}


def _view(path: Path, data: mmap.mmap, start: int, entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    if entry["dtype"] not in _DTYPES:
        raise InputError(f"{path}: weights of type {entry['dtype']}; expected {', '.join(_DTYPES)}")
    dtype, (begin, end) = np.dtype(_DTYPES[entry["dtype"]]), entry["data_offsets"]
    flat = np.frombuffer(data, dtype, (end - begin) // dtype.itemsize, start + begin)
    return flat.reshape(entry["shape"])
