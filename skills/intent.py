"""Which intent a text has, and whether it has any: numpy only, on the vector that the encoder gives.

Class probabilities mix two witnesses, calibrated together: a softmax regression over the vector and the text's words
(hashed unigrams and bigrams, which see what a sentence vector blurs), and the nearest prototypes of each intent. A
second, smaller regression turns evidence about the fit (density of prototypes nearby, energy of the regression,
agreement of the witnesses, share of known words) into `in_scope`, the probability that any intent fits at all.

A text that is, word by word, one of the author's own examples has that example's intent: `Examples` knows them by a
digest of their words. It says nothing about other texts, so quality is measured without it.

Rules of the file: no training here (`training/recipes/intent.py` fits the numbers); stored in half precision and bytes,
and computed from what is stored, so that a head gives the same numbers before and after saving.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError, IntegrityError
from skills.encoder import Encoder, Encoding
from skills.intent_views import View, needed, read_views
from skills.intent_words import BUCKETS as BUCKETS
from skills.intent_words import digest_of as digest_of
from skills.intent_words import has_words as has_words
from skills.intent_words import hash_words as hash_words
from skills.intent_words import word_spans as word_spans

Floats = npt.NDArray[np.float32]
WEIGHTS = "intent.safetensors"
EXAMPLES = "examples.safetensors"
VIEWS = "views.safetensors"
CONFIG = "intent.json"
FORMAT = 1

WORD_WEIGHT = 0.7
"""Length of the word part beside the unit vector."""
EVIDENCE = ("energy", "margin", "nearest", "density", "support", "agreement", "known")
"""What `in_scope` is computed from, in this order."""
NEIGHBOURS = 5
_WIDTH = 0.05
"""Width of the kernel around a prototype, in cosine."""


@dataclass(frozen=True, slots=True)
class IntentScores:
    """What the head says of a batch, rows in the order of the texts.

    `probabilities`: float32 (texts, intents), rows sum to 1; columns are `IntentHead.intents`. `in_scope`: float32
    (texts,), to be compared with `IntentHead.threshold`.
    """

    probabilities: Floats
    in_scope: Floats


@dataclass(frozen=True, slots=True)
class Blend:
    """The fitted numbers that join the witnesses. `evidence_*` are float32 (len(EVIDENCE),).

    `wordless` tells that training had in-scope texts without words. `view_weights` has one for each view of the head.
    """

    neighbour_weight: float
    temperature: float
    evidence_mean: Floats
    evidence_scale: Floats
    evidence_weight: Floats
    evidence_bias: float
    threshold: float
    wordless: bool = False
    view_weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class IntentWeights:
    """A head's numbers as stored.

    `matrix` float16 (dimension, intents), `bias` float32 (intents,); `word_matrix` int8 (BUCKETS, intents) with
    `word_scale` float32 (intents,) and `rarity` float16 (BUCKETS,), 0 for buckets not seen in training; `prototypes`
    int8 (prototypes, dimension), a unit vector times 127 over its largest component, with `owners` int32 (prototypes,),
    the intent of each, ascending.
    """

    matrix: npt.NDArray[np.float16]
    bias: Floats
    word_matrix: npt.NDArray[np.int8]
    word_scale: Floats
    rarity: npt.NDArray[np.float16]
    prototypes: npt.NDArray[np.int8]
    owners: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts with one known intent. `digests`: uint64 (texts,), ascending; `owners`: int32 (texts,), -1 for none."""

    digests: npt.NDArray[np.uint64]
    owners: npt.NDArray[np.int32]

    @classmethod
    def of(cls, texts: Sequence[str], owners: Sequence[int]) -> Examples:
        """Of texts and the numbers of their intents. What has two different intents is left out."""
        found: dict[int, int | None] = {}
        for text, owner in zip(texts, owners, strict=True):
            digest = digest_of(text)
            found[digest] = owner if found.get(digest, owner) == owner else None
        kept = sorted((digest, owner) for digest, owner in found.items() if owner is not None)
        return cls(np.array([key for key, _ in kept], np.uint64), np.array([owner for _, owner in kept], np.int32))

    def find(self, text: str) -> int | None:
        """The number of the text's intent, -1 when it is known to have none; None when the text is not known."""
        digest = np.uint64(digest_of(text))
        place = int(np.searchsorted(self.digests, digest))
        return int(self.owners[place]) if place < len(self.digests) and self.digests[place] == digest else None


NO_EXAMPLES = Examples(np.zeros(0, np.uint64), np.zeros(0, np.int32))
KNOWN = np.float32(0.99)
"""The probability of a known example's intent."""


class IntentHead:
    """A fitted head. `run` may be called from any thread. `examples` may be set after fitting."""

    name = "intent"

    def __init__(
        self, intents: Sequence[str], weights: IntentWeights, blend: Blend, encoder: str, views: Sequence[View] = ()
    ) -> None:
        self.intents = tuple(intents)
        self.views = tuple(views)
        self.layers = needed(views)
        self.weights = weights
        self.blend = blend
        self.encoder = encoder
        self.threshold = blend.threshold
        self.examples = NO_EXAMPLES
        self._matrix = weights.matrix.astype(np.float32)
        self._words = weights.word_matrix
        self._rarity = weights.rarity.astype(np.float32)
        prototypes = weights.prototypes.astype(np.float32)
        self._prototypes = np.ascontiguousarray((prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T)
        self._firsts = np.searchsorted(weights.owners, np.arange(len(self.intents)))

    def read(self, texts: Sequence[str], encoder: Encoder) -> IntentScores:
        """Encode texts and score them."""
        encodings = encoder.run(texts, self.layers)
        vectors = np.zeros((len(texts), encoder.dimension), np.float32)
        for row, encoding in enumerate(encodings):
            vectors[row] = encoding.vector
        return self.run(texts, vectors, encodings)

    def run(self, texts: Sequence[str], vectors: Floats, encodings: Sequence[Encoding] = ()) -> IntentScores:
        """Score texts, with their unit vectors, float32 (texts, dimension).

        A head with views needs the texts' encodings too, with the states of `layers`. A text without a word ("...",
        "48213") fits no intent, unless there were such texts in training.

        Raises:
            InputError: the head has views and the encodings are missing.
        """
        if len(texts) == 0:
            return IntentScores(np.zeros((0, len(self.intents)), np.float32), np.zeros(0, np.float32))
        logits, neighbours, evidence = self.witnesses(texts, vectors)
        probabilities = mix(logits, neighbours, self.blend, self._seen(encodings, len(texts)))
        share = in_scope(evidence, self.blend)
        if not self.blend.wordless:
            share[[not has_words(text) for text in texts]] = 0
        self._recognise(texts, probabilities, share)
        return IntentScores(probabilities, share)

    def _seen(self, encodings: Sequence[Encoding], count: int) -> list[Floats]:
        """Log probabilities of each view."""
        if self.views and len(encodings) != count:
            raise InputError(f"expected the encodings of {count} texts, with the states of layers {self.layers}")
        return [log_shares(view.logits(encodings)) for view in self.views]

    def _recognise(self, texts: Sequence[str], probabilities: Floats, share: Floats) -> None:
        """What is known of examples in place of what was computed."""
        for row, text in enumerate(texts if len(self.examples.digests) else ()):
            owner = self.examples.find(text)
            if owner == -1:
                share[row] = 0
            elif owner is not None:
                rest = 1 - probabilities[row, owner]
                if rest > 1 - KNOWN:
                    probabilities[row] *= (1 - KNOWN) / rest
                    probabilities[row, owner] = KNOWN
                share[row] = max(share[row], KNOWN)

    def witnesses(self, texts: Sequence[str], vectors: Floats) -> tuple[Floats, Floats, Floats]:
        """Logits (texts, intents), log probabilities by neighbours (texts, intents), evidence (texts, EVIDENCE)."""
        words = hash_words(texts)
        logits = vectors @ self._matrix + self.weights.bias
        known = np.zeros(len(texts), np.float32)
        for row in range(len(texts)):
            part = slice(words.starts[row], words.starts[row + 1])
            known[row] = self._add_words(logits[row], words.buckets[part], words.counts[part])
        similar = vectors @ self._prototypes
        neighbours, owned = by_neighbours(similar, self._firsts)
        return logits, neighbours, evidence_of(logits, neighbours, similar, owned, known)

    def _add_words(self, logits: Floats, buckets: npt.NDArray[np.int64], counts: Floats) -> float:
        """Adds the words' share to one row of logits; returns the share of n-grams that were seen in training."""
        if len(buckets) == 0:
            return 0.0
        rarity = self._rarity[buckets]
        values = (1 + np.log(counts)) * rarity
        norm = float(np.linalg.norm(values))
        if norm > 0:
            logits += (
                (values * (WORD_WEIGHT / norm)) @ self._words[buckets].astype(np.float32) * self.weights.word_scale
            )
        return float(np.count_nonzero(rarity)) / len(buckets)

    def save(self, folder: Path) -> None:
        """Write the head's two files into a folder."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: getattr(self.weights, name) for name in IntentWeights.__slots__}
        tensors |= {name: getattr(self.blend, name) for name in Blend.__slots__ if name.startswith("evidence_")}
        tensors["evidence_bias"] = np.array([self.blend.evidence_bias], np.float64)
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / WEIGHTS)
        config = {
            "format": FORMAT,
            "encoder": self.encoder,
            "intents": list(self.intents),
            "neighbour_weight": self.blend.neighbour_weight,
            "temperature": self.blend.temperature,
            "threshold": self.blend.threshold,
            "wordless": self.blend.wordless,
        }
        if len(self.examples.digests):
            found = self.examples
            save_file({"digests": found.digests, "owners": found.owners}, folder / EXAMPLES)
        if self.views:
            config["views"] = [view.facts() for view in self.views]
            config["view_weights"] = list(self.blend.view_weights)
            parts = [view.tensors(number) for number, view in enumerate(self.views)]
            save_file({name: value for part in parts for name, value in part.items()}, folder / VIEWS)
        (folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=1), "utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: str | None = None) -> IntentHead:
        """Read a saved head; `encoder` is the identity of the encoder that it is to be used with.

        Raises:
            IntegrityError: a file is missing, damaged or of another format, or the encoder is another one.
        """
        config = _read_config(folder / CONFIG)
        if encoder is not None and config.get("encoder") != encoder:
            found = f"trained with {config.get('encoder')}, but the bot's encoder is {encoder}; train again"
            raise IntegrityError(str(folder / CONFIG), found)
        tensors = _read_tensors(folder / WEIGHTS)
        try:
            weights = IntentWeights(**{name: tensors[name] for name in IntentWeights.__slots__})
            blend = Blend(
                config["neighbour_weight"],
                config["temperature"],
                tensors["evidence_mean"],
                tensors["evidence_scale"],
                tensors["evidence_weight"],
                float(tensors["evidence_bias"][0]),
                config["threshold"],
                config["wordless"],
                tuple(config.get("view_weights", ())),
            )
            views = read_views(folder, config["views"], _read_tensors(folder / VIEWS)) if "views" in config else ()
            head = cls(config["intents"], weights, blend, config["encoder"], views)
            if (folder / EXAMPLES).exists():
                tables = _read_tensors(folder / EXAMPLES)
                head.examples = Examples(tables["digests"], tables["owners"])
            return head
        except KeyError as error:
            raise IntegrityError(
                str(folder), f"expected {error} in the intent head, found none; train again"
            ) from error


def by_neighbours(similar: Floats, firsts: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Log probabilities and best cosine per intent, from cosines (texts, prototypes) grouped by intent."""
    kernel = np.exp((similar - similar.max(axis=1, keepdims=True)) / np.float32(_WIDTH))
    mass = np.add.reduceat(kernel, firsts, axis=1)
    log_share = np.log(np.maximum(mass / mass.sum(axis=1, keepdims=True), 1e-6)).astype(np.float32)
    return log_share, np.maximum.reduceat(similar, firsts, axis=1)


def evidence_of(logits: Floats, neighbours: Floats, similar: Floats, owned: Floats, known: Floats) -> Floats:
    """Evidence that a text belongs to any intent, float32 (texts, EVIDENCE)."""
    rows = np.arange(len(logits))
    best = logits.argmax(axis=1)
    energy = _log_sum(logits)
    count = min(NEIGHBOURS, similar.shape[1])
    closest = np.partition(similar, similar.shape[1] - count, axis=1)[:, -count:]
    columns = [
        energy,
        logits[rows, best] - energy,
        closest.max(axis=1),
        closest.mean(axis=1),
        owned[rows, best],
        neighbours[rows, best],
        known,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def mix(logits: Floats, neighbours: Floats, blend: Blend, views: Sequence[Floats] = ()) -> Floats:
    """Class probabilities from all witnesses. `views` are log probabilities, weighted by `blend.view_weights`."""
    joined = np.float32((1 - blend.neighbour_weight) / blend.temperature) * log_shares(logits)
    joined += np.float32(blend.neighbour_weight / blend.temperature) * neighbours
    for weight, view in zip(blend.view_weights, views, strict=True):
        joined += np.float32(weight) * view
    probabilities: Floats = np.exp(log_shares(joined)).astype(np.float32)
    return probabilities


def log_shares(logits: Floats) -> Floats:
    """Log probabilities."""
    found: Floats = logits - _log_sum(logits)[:, None]
    return found


def in_scope(evidence: Floats, blend: Blend) -> Floats:
    """Probability that any intent fits."""
    z = ((evidence - blend.evidence_mean) / blend.evidence_scale) @ blend.evidence_weight + blend.evidence_bias
    return (1 / (1 + np.exp(-np.clip(z, -30, 30)))).astype(np.float32)


def _log_sum(logits: Floats) -> Floats:
    top = logits.max(axis=1)
    found: Floats = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return found


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(str(path), f"expected the intent head's JSON, found {error}; train again") from error
    if config.get("format") != FORMAT:
        raise IntegrityError(str(path), f"expected format {FORMAT}, found {config.get('format')!r}; train again")
    return config


def _read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, npt.NDArray[Any]] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise IntegrityError(str(path), f"expected the intent head's weights, found {error}; train again") from error
    return tensors
