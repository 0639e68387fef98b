"""The sentence encoder: texts in, unit vectors and token states out, one forward for all heads of a turn.

Any BERT-like sentence encoder in safetensors works; the default is all-MiniLM-L6-v2 (384-d, 6 layers). Files come from
a local folder, an installed package (its data files are read, its code is never imported) or the Hugging Face hub, and
their digests are checked wherever they come from. onnxruntime computes; torch is not needed.

Rules of the file: a text's vector does not depend on the texts beside it; a text of any length costs bounded work;
offsets are character offsets into the text as it was given.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError
from skills import encoder_samples
from skills.encoder_engine import Engine, Precision, build_float32, build_int8, cached
from skills.encoder_files import MINILM, EncoderFiles, EncoderSource, find_files
from skills.encoder_graph import GRAPH_VERSION, LayerRange, Shape
from skills.encoder_recent import Recent

if TYPE_CHECKING:
    from tokenizers import Encoding as Tokens
    from tokenizers import Tokenizer

__all__ = ["MINILM", "Encoder", "EncoderSettings", "EncoderSource", "Encoding"]

Floats = npt.NDArray[np.float32]
CHARACTERS_PER_TOKEN = 64
"""Text beyond this many characters for each token of the limit is cut before it is tokenised: bounds the cost."""
_WORTH_A_FORWARD = 96
"""Tokens below which a batch is not closed for the sake of less padding."""
_MOST_PADDED = 1.3
"""How much longer than its shortest text the longest one of a batch may be."""
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How to run. `max_tokens` counts [CLS] and [SEP]; `batch_tokens` bounds the padded tokens of one forward.

    `recent_bytes` is how much memory the encodings of recent short texts may take; 0 encodes every text anew.
    `cache` is where the built graph is kept; by default see `skills.encoder_engine.cache_folder`.
    """

    max_tokens: int = 128
    threads: int = 1
    precision: Precision = "int8"
    batch_tokens: int = 2048
    cache: Path | None = None
    recent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Encoding:
    """One text's encoding. Row i of `states[n]` and of `offsets` belong to token i.

    `vector`: float32 (dimension,), unit length. `states`: layer number -> float32 (tokens, dimension), for the layers
    asked for; layer 0 is the embedding, the last layer is the one that `vector` is pooled from. `offsets`: int32
    (tokens, 2), start and end character in the text; (0, 0) for the special tokens, which are the first and the last.
    """

    vector: Floats
    states: Mapping[int, Floats] = field(default_factory=dict)
    offsets: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))


class Encoder:
    """A loaded encoder. `run` may be called from any thread; calls wait for each other."""

    name = "encoder"

    def __init__(self, files: EncoderFiles, settings: EncoderSettings) -> None:
        self.files = files
        self.settings = settings
        self.shape: Shape = files.shape
        self.dimension: int = files.shape.width
        self.layers: int = files.shape.layers
        self._tokenizer = _tokenizer(files, settings.max_tokens)
        self._words = files["embeddings.word_embeddings.weight"]
        self._positions = _positions(files, settings.max_tokens)
        self._engine = self._load_engine()
        self._recent = Recent(settings.recent_bytes)
        self._lock = threading.Lock()

    @classmethod
    def load(cls, source: EncoderSource = MINILM, settings: EncoderSettings | None = None) -> Encoder:
        """Find the files, check their digests, build the compute graph or fetch it from the cache.

        Raises:
            NotFound: no source has the files; says which were tried.
            IntegrityError: a file is not the pinned one; names it.
        """
        return cls(find_files(source), settings or EncoderSettings())

    @property
    def fingerprint(self) -> dict[str, str]:
        """What a stored vector depends on. Vectors are comparable only if all of it is equal."""
        return {
            "model": self.files.source.name,
            "weights": self.files.digests["model.safetensors"],
            "tokenizer": self.files.digests["tokenizer.json"],
            "pooling": self.files.pooling,
            "norm": "l2",
            "max_tokens": str(self.settings.max_tokens),
            "engine": self._engine.name,
        }

    @property
    def identity(self) -> str:
        """The fingerprint in one line, for heads to remember which encoder they were trained on."""
        return json.dumps(self.fingerprint, sort_keys=True)

    def run(self, texts: Sequence[str], layers: Sequence[int] = ()) -> list[Encoding]:
        """Encode texts, in order. `layers` are those whose token states are wanted, 0 to `self.layers`.

        Raises:
            InputError: a layer that the encoder does not have.
        """
        self._check_layers(layers)
        with self._lock:
            known = {text: self._recent.get(text, layers) for text in texts}
            fresh = [text for text, encoding in known.items() if encoding is None]
            done = {text: encoding for text, encoding in known.items() if encoding is not None}
            for text, encoding in self._encoded(fresh, layers):
                done[text] = encoding
                self._recent.put(text, encoding)
        return [done[text] for text in texts]

    def forget(self) -> None:
        """Drop the encodings of recent texts."""
        with self._lock:
            self._recent.clear()

    def _encoded(self, texts: Sequence[str], layers: Sequence[int]) -> Iterator[tuple[str, Encoding]]:
        tokens = [self._tokens(text) for text in texts]
        for rows in self._batches([len(item) for item in tokens]):
            found = self._forward([tokens[row] for row in rows], layers)
            yield from zip((texts[row] for row in rows), found, strict=True)

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, float32 (texts, dimension)."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        return np.stack([encoding.vector for encoding in self.run(texts)])

    def _load_engine(self) -> Engine:
        precision, layers = self.settings.precision, LayerRange(0, self.layers)
        weights = self.files.digests["model.safetensors"]
        key = f"{weights} {precision} {GRAPH_VERSION} {encoder_samples.VERSION}"
        graph = cached(key, lambda: self._build(precision, layers), self.settings.cache)
        return Engine(graph, precision, self.settings.threads)

    def _build(self, precision: Precision, layers: LayerRange) -> bytes:
        if precision == "float32":
            return build_float32(self.files, self.shape, layers)
        samples = [self._embed(np.asarray(self._tokens(text).ids)) for text in encoder_samples.TEXTS]
        return build_int8(self.files, self.shape, layers, samples)

    def _embed(self, ids: npt.NDArray[np.int64]) -> Floats:
        """The sum of the embeddings, float32 (..., tokens, width)."""
        summed: Floats = self._words[ids] + self._positions[: ids.shape[-1]]
        return summed

    def _check_layers(self, layers: Sequence[int]) -> None:
        wrong = [layer for layer in layers if not 0 <= layer <= self.layers]
        if wrong:
            raise InputError(f"layers: expected numbers from 0 to {self.layers}, found {wrong}")

    def _tokens(self, text: str) -> Tokens:
        text = text[: CHARACTERS_PER_TOKEN * self.settings.max_tokens]
        if not text.isascii():
            text = _SURROGATES.sub("\ufffd", text)  # half a character, as broken JSON escapes give: not encodable
        return self._tokenizer.encode(text)

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Rows of similar length together, so that little is padded; but no batch too small to be worth a forward."""
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            full = (len(batch) + 1) * lengths[row] > self.settings.batch_tokens
            padded = len(batch) * lengths[row] if batch else 0
            wasteful = padded >= _WORTH_A_FORWARD and lengths[row] > _MOST_PADDED * lengths[batch[0]]
            if batch and (full or wasteful):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _forward(self, tokens: Sequence[Tokens], layers: Sequence[int]) -> list[Encoding]:
        lengths = [len(item) for item in tokens]
        ids = np.zeros((len(tokens), max(lengths)), np.int64)
        mask = np.zeros(ids.shape, np.int32)
        for row, item in enumerate(tokens):
            ids[row, : lengths[row]] = item.ids
            mask[row, : lengths[row]] = 1
        wanted = sorted({*layers, self.layers})
        states = self._engine.run(self._embed(ids), mask, wanted)
        vectors = self._pool(states[self.layers], mask)
        return [
            Encoding(
                vectors[row].copy(),
                {layer: states[layer][row, : lengths[row]].copy() for layer in layers},
                np.asarray(item.offsets, np.int32),
            )
            for row, item in enumerate(tokens)
        ]

    def _pool(self, states: Floats, mask: npt.NDArray[np.int32]) -> Floats:
        if self.files.pooling == "cls":
            pooled = states[:, 0]
        else:
            pooled = np.matmul(mask[:, None, :].astype(np.float32), states)[:, 0]  # unit length makes sum equal mean
        vectors: Floats = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return vectors


def _tokenizer(files: EncoderFiles, max_tokens: int) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files.path("tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _positions(files: EncoderFiles, max_tokens: int) -> Floats:
    """Position plus token type, float32 (max_tokens, width)."""
    table = files["embeddings.position_embeddings.weight"]
    first = files.first_position
    if max_tokens > len(table) - first:
        raise InputError(f"max_tokens: expected at most {len(table) - first} for this encoder, found {max_tokens}")
    positions: Floats = table[first : first + max_tokens] + files["embeddings.token_type_embeddings.weight"][0]
    return positions
