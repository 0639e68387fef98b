"""A learned turn of questions towards the passages that answered them: documents' vectors do not move.

    q' = unit(q + g(q) up (down q))

A low-rank residual, so a fresh one (`up` zero) changes nothing and a learned one is small: rank 16 of 384 dimensions is
48 KB. What was learned from some questions holds for those that are like them: g(q) rises from 0 to 1 with the cosine
of the nearest question that taught, and what is like none of them stays where it is. Otherwise questions for pages
that nobody has asked for yet would be turned towards those that everybody asks for (docs/benchmarks/projection.md).
It belongs to one encoder, as its vectors do. It is fitted by `training.recipes.projection`.
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
_FORMATS = (2, 1)
FAR, NEAR = 0.45, 0.65
"""Cosines of the nearest question that taught: up to the first nothing turns, from the second on all of it."""


def owner_of(fingerprint: Mapping[str, str]) -> str:
    """The encoder's fingerprint in one line: a projection turns only the vectors that it was fitted on."""
    return json.dumps(dict(fingerprint), sort_keys=True)


@dataclass(frozen=True, slots=True)
class QueryProjection:
    """`down` float32 (rank, dimension), `up` float32 (dimension, rank); `encoder` names whose vectors it
    turns, see `owner_of`. `taught` are unit vectors of questions that taught, float32 (questions, dimension);
    without any, as in format 1, all questions turn."""

    down: Floats
    up: Floats
    taught: Floats
    encoder: str = ""

    @property
    def dimension(self) -> int:
        """Of the vectors that it takes and gives."""
        return int(self.up.shape[0])

    def run(self, vectors: Floats) -> Floats:
        """Unit vectors, float32 (n, dimension) or (dimension,), turned; unit vectors of the same shape."""
        turned = vectors + self._share(vectors) * ((vectors @ self.down.T) @ self.up.T)
        length = np.linalg.norm(turned, axis=-1, keepdims=True)
        return np.asarray(turned / np.maximum(length, np.float32(1e-12)), np.float32)

    def _share(self, vectors: Floats) -> Floats:
        """How far each turns, 0 to 1, (n, 1) or (1,)."""
        if not len(self.taught):
            return np.ones((*vectors.shape[:-1], 1), np.float32)
        near = (vectors @ self.taught.T).max(axis=-1, keepdims=True)
        return np.asarray(np.clip((near - FAR) / (NEAR - FAR), 0, 1), np.float32)

    def save(self, folder: Path) -> None:
        """Write it into a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"down": self.down, "up": self.up, "taught": self.taught.astype(np.float16)}, folder / TENSORS)
        about = {"format": _FORMATS[0], "encoder": self.encoder, "rank": len(self.down), "dimension": self.dimension}
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
            none = np.zeros((0, tensors["up"].shape[0]), np.float32)
            taught = np.asarray(tensors.get("taught", none), np.float32)
            found = cls(tensors["down"], tensors["up"], taught, str(about["encoder"]))
            shape = (int(about["rank"]), int(about["dimension"]))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise IntegrityError(str(folder), f"expected a query projection, found none ({error}); {again}") from error
        if about.get("format") not in _FORMATS or found.down.shape != shape or found.up.shape != shape[::-1]:
            raise IntegrityError(str(folder / ABOUT), f"does not describe {TENSORS} of format {_FORMATS[0]}; {again}")
        if encoder and found.encoder != encoder:
            message = f"expected a projection for {encoder!r}, found one for {found.encoder!r}; {again}"
            raise IntegrityError(str(folder / ABOUT), message)
        return found
