"""A learned turn of questions towards the passages that answered them: documents' vectors do not move.

    q' = unit(q + up (down q))

A low-rank residual, so a fresh one (`up` zero) changes nothing and a learned one is small: rank 16 of 384 dimensions is
48 KB. It belongs to one encoder, as its vectors do. It is fitted by `training.recipes.projection`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bot.core.errors import IntegrityError

Floats = npt.NDArray[np.float32]

SKILL = "retrieval"
"""The folder of a bundle that it is in."""
TENSORS, ABOUT = "projection.safetensors", "projection.json"
_FORMAT = 1


def owner_of(fingerprint: Mapping[str, str]) -> str:
    """The encoder's fingerprint in one line: a projection turns only the vectors that it was fitted on."""
    return json.dumps(dict(fingerprint), sort_keys=True)


@dataclass(frozen=True, slots=True)
class QueryProjection:
    """`down` float32 (rank, dimension), `up` float32 (dimension, rank); `encoder` names whose vectors it
    turns, see `owner_of`."""

    down: Floats
    up: Floats
    encoder: str = ""

    @property
    def dimension(self) -> int:
        """Of the vectors that it takes and gives."""
        return int(self.up.shape[0])

    def run(self, vectors: Floats) -> Floats:
        """Unit vectors, float32 (n, dimension) or (dimension,), turned; unit vectors of the same shape."""
        turned = vectors + (vectors @ self.down.T) @ self.up.T
        length = np.linalg.norm(turned, axis=-1, keepdims=True)
        return np.asarray(turned / np.maximum(length, np.float32(1e-12)), np.float32)

    def save(self, folder: Path) -> None:
        """Write it into a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"down": self.down, "up": self.up}, folder / TENSORS)
        about = {"format": _FORMAT, "encoder": self.encoder, "rank": len(self.down), "dimension": self.dimension}
        (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: str = "") -> QueryProjection:
        """Read what `save` wrote; `encoder`, if named, must be its encoder.

        Raises:
            IntegrityError: it cannot be read, is of another format or of another encoder.
        """
        again = "run `bot learn` to fit it again"
        try:
            about = json.loads((folder / ABOUT).read_text("utf-8"))
            tensors = load_file(folder / TENSORS)
            found = cls(tensors["down"], tensors["up"], str(about["encoder"]))
            shape = (int(about["rank"]), int(about["dimension"]))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise IntegrityError(str(folder), f"expected a query projection, found none ({error}); {again}") from error
        if about.get("format") != _FORMAT or found.down.shape != shape or found.up.shape != shape[::-1]:
            raise IntegrityError(str(folder / ABOUT), f"does not describe {TENSORS} of format {_FORMAT}; {again}")
        if encoder and found.encoder != encoder:
            message = f"expected a projection for {encoder!r}, found one for {found.encoder!r}; {again}"
            raise IntegrityError(str(folder / ABOUT), message)
        return found
