"""The learned entity extractor: one linear layer over a learned mix of encoder layers, then the best legal label path.

A word is scored at its first sub-word. The layers come from the trunk's one forward and, if the head has one, from its
late branch. Scores, mix and transitions are trained together (see `training.recipes.entities`); here is numpy only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from bot.core.errors import InputError, IntegrityError
from bot.core.events import Entity
from skills.encoder import Encoding
from skills.encoder_graph import Shape
from skills.entities_branch import LateBranch
from skills.entities_decode import Span, decode, label_count
from skills.entities_rules import words

Floats = npt.NDArray[np.float32]
FORMAT = 1
_WEIGHTS, _STATE = "head.safetensors", "head.json"
_BRANCH = "encoder.layer."
_SAMPLES, _LENGTHS = "samples", "sample_lengths"


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """Float32 arrays. `mix`: (layers,), sums to 1. `weight`: (labels, width). `bias`: (labels,).

    `transitions`: (labels + 1, labels), as in `skills.entities_decode`.
    """

    mix: Floats
    weight: Floats
    bias: Floats
    transitions: Floats


@dataclass(frozen=True, slots=True)
class EntityHead:
    """`kinds` as in `skills.entities_decode`. `trunk_layers`: the layers of the shared forward that are in the mix.

    `encoder` is the identity of the encoder that the head was trained on. `facts` is what the training wants to keep.
    """

    kinds: tuple[str, ...]
    trunk_layers: tuple[int, ...]
    weights: HeadWeights
    branch: LateBranch | None = None
    encoder: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers whose states `run` needs in the encodings."""
        first = () if self.branch is None else (self.branch.first,)
        return tuple(sorted({*self.trunk_layers, *first}))

    @property
    def forwards(self) -> float:
        """What the head costs beyond the shared forward, in forwards."""
        return 0.0 if self.branch is None else self.branch.forwards

    def run(self, texts: Sequence[str], encodings: Sequence[Encoding]) -> list[list[Entity]]:
        """The entities of each text. `encodings` are of the same texts, with the states of `layers`.

        Raises:
            InputError: the encodings lack a layer.
        """
        if not texts:
            return []
        words = [first_tokens(text, item.offsets) for text, item in zip(texts, encodings, strict=True)]
        scores = self._scores(encodings, [rows for _, rows in words])
        found = decode(scores, self.weights.transitions)
        return [self._entities(*item) for item in zip(texts, (spans for spans, _ in words), found, strict=True)]

    def _scores(self, encodings: Sequence[Encoding], rows: Sequence[npt.NDArray[np.intp]]) -> list[Floats]:
        """Label scores of the words whose first sub-words stand in these rows; float32 (words, labels) a text.

        All texts go through the layer together: most of the work for a short text would be calling it.
        """
        tails = self._tails(encodings)
        states = [
            np.concatenate([item.states[layer][chosen] for item, chosen in zip(encodings, rows, strict=True)])
            for layer in self.trunk_layers
        ]
        states += [
            np.concatenate([tail[layer][chosen] for tail, chosen in zip(tails, rows, strict=True)])
            for layer in sorted(tails[0])
        ]
        mixed = np.tensordot(self.weights.mix, np.stack(states), axes=1)
        scores = mixed @ self.weights.weight.T + self.weights.bias
        return np.split(scores, np.cumsum([len(chosen) for chosen in rows])[:-1])

    def _tails(self, encodings: Sequence[Encoding]) -> list[dict[int, Floats]]:
        missing = {layer for item in encodings for layer in self.layers if layer not in item.states}
        if missing:
            raise InputError(
                f"entity head: expected encodings with layers {self.layers}, without {sorted(missing)} found"
            )
        if self.branch is None or not encodings:
            return [{} for _ in encodings]
        return self.branch.run([item.states[self.branch.first] for item in encodings])

    def _entities(self, text: str, words: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[Entity]:
        return [
            entity_at(text, self.kinds[span.kind], (words[span.first][0], words[span.last][1]), span.confidence)
            for span in spans
        ]

    def save(self, folder: Path) -> None:
        """Write `head.safetensors` and `head.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: np.ascontiguousarray(getattr(self.weights, name)) for name in HeadWeights.__slots__}
        if self.branch is not None:
            tensors |= _branch_tensors(self.branch)
        save_file(tensors, str(folder / _WEIGHTS))
        state = {
            "format": FORMAT,
            "kinds": self.kinds,
            "trunk_layers": self.trunk_layers,
            "branch": None if self.branch is None else {"first": self.branch.first, "shape": asdict(self.branch.shape)},
            "encoder": self.encoder,
            "facts": dict(self.facts),
        }
        (folder / _STATE).write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: str | None = None, threads: int = 1) -> EntityHead:
        """Read what `save` wrote; `encoder` is the identity of the encoder that it is to be used with.

        Raises:
            IntegrityError: a file is missing, damaged or of another format, or the encoder is another one.
        """
        state, tensors = _state(folder / _STATE), _tensors(folder / _WEIGHTS)
        try:
            weights = HeadWeights(**{name: tensors[name] for name in HeadWeights.__slots__})
            kinds, layers, branch = tuple(state["kinds"]), tuple(state["trunk_layers"]), state["branch"]
            origin, facts = state["encoder"], state["facts"]
        except KeyError as error:
            raise IntegrityError(str(folder), f"expected {error} in the entity head; train again") from error
        if encoder is not None and origin != encoder:
            raise IntegrityError(str(folder / _STATE), "expected a head for this encoder, found another; train again")
        if weights.weight.shape[0] != label_count(kinds):
            raise IntegrityError(
                str(folder), f"{len(kinds)} kinds do not fit {weights.weight.shape[0]} labels; train again"
            )
        return cls(kinds, layers, weights, _branch(branch, tensors, threads), origin, facts)


def first_tokens(text: str, offsets: npt.NDArray[np.int32]) -> tuple[list[tuple[int, int]], npt.NDArray[np.intp]]:
    """The words of a text that the encoder saw, as character spans, and the row of each word's first sub-word.

    Words beyond the encoder's length limit are left out.
    """
    starts, ends = offsets[1:-1, 0], offsets[1:-1, 1]
    seen = int(ends[-1]) if len(ends) else 0
    spans = [(start, end) for _, start, end in words(text[:seen])]
    rows = np.searchsorted(starts, np.array([start for start, _ in spans], np.int64), side="right") - 1
    return spans, np.maximum(rows, 0) + 1


def kind_name(entity: Entity) -> str:
    """The kind of an annotated entity: `type`, `type#role` or `type#role#group`."""
    return "#".join((entity.type, entity.role or "", entity.group or "")).rstrip("#")


def entity_at(text: str, kind: str, span: tuple[int, int], confidence: float) -> Entity:
    """The entity of a kind (see `kind_name`) at a span of the text, with its own words as value."""
    name, role, group, *_ = [*kind.split("#"), "", ""]
    start, end = span
    return Entity(
        type=name,
        value=text[start:end],
        text=text[start:end],
        start=start,
        end=end,
        role=role or None,
        group=group or None,
        confidence=min(1.0, confidence),
        extractor="head",
    )


def _state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(
            str(path), f"expected the entity head's description, found {error}; train again"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise IntegrityError(str(path), f"expected format {FORMAT} of the entity head; train again")
    return state


def _tensors(path: Path) -> dict[str, Floats]:
    try:
        return {name: value.astype(np.float32) for name, value in load_file(str(path)).items()}
    except (OSError, SafetensorError) as error:
        raise IntegrityError(str(path), f"expected the entity head's weights, found {error}; train again") from error


def _branch_tensors(branch: LateBranch) -> dict[str, npt.NDArray[Any]]:
    tensors: dict[str, npt.NDArray[Any]] = {name: value.astype(np.float16) for name, value in branch.weights.items()}
    if branch.samples:
        tensors[_SAMPLES] = np.concatenate(branch.samples).astype(np.float16)
        tensors[_LENGTHS] = np.array([len(sample) for sample in branch.samples], np.int32)
    return tensors


def _branch(state: object, tensors: Mapping[str, Floats], threads: int) -> LateBranch | None:
    if not isinstance(state, dict):
        return None
    layers = {name: value for name, value in tensors.items() if name.startswith(_BRANCH)}
    samples: list[Floats] = []
    if _SAMPLES in tensors:
        borders = np.cumsum(tensors[_LENGTHS].astype(np.intp))[:-1]
        samples = np.split(tensors[_SAMPLES], borders)
    return LateBranch(state["first"], Shape(**state["shape"]), layers, samples, threads)
