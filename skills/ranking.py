"""Which action comes next in a scripted conversation: a small attention model in numpy, trained by
`training.recipes.ranking`.

What it sees of a state are its discrete features (action, intent, entities, slots, form), each with a learned vector,
and the encoder's vector of the message that the user has just sent. One layer joins the features of a state; the latest
state then looks at the states before it (attention, Vaswani et al. 2017), so talk in between does not push what matters
out of sight. Features that training did not see count for nothing. One more class, "none of these", takes the
probability of situations unlike all that was learned: confidence is low there, and the caller's fallback takes over.

Rules of the file: no training here; the numbers are those that are stored, so a model gives the same before and after
saving.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bot.core.errors import IntegrityError
from bot.core.features import Features
from bot.core.findings import Scored
from bot.core.protocols import Ranked, Situation
from bot.core.script import LISTEN

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
WEIGHTS = "ranking.safetensors"
CONFIG = "ranking.json"
FORMAT = 1
WINDOW = 10
"""How many of the latest states are looked at."""
_HIDDEN = np.float32(-1e9)


class TextVectors(Protocol):
    """Turns texts into vectors, as `skills.encoder.Encoder` does."""

    @property
    def identity(self) -> str:
        """What the vectors depend on."""
        ...

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, float32 (texts, dimension)."""
        ...


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """A model's numbers, float32. `width` is that of a state, `hidden` that of the last layer.

    `features` (vocabulary + 1, width), row 0 is zero and stands for nothing; `text` (dimension, width); `places`
    (WINDOW, width), by distance from the latest state; `inner` (width, 2 width) and `outer` (2 width, width) with
    their biases join the features of a state; `query`, `key`, `value` (width, width); `deep` (2 width, hidden);
    `out` (hidden, actions + 1), the last column is "none of these".
    """

    features: Floats
    text: Floats
    places: Floats
    inner: Floats
    inner_bias: Floats
    outer: Floats
    outer_bias: Floats
    query: Floats
    key: Floats
    value: Floats
    deep: Floats
    deep_bias: Floats
    out: Floats
    out_bias: Floats


@dataclass(frozen=True, slots=True)
class Windows:
    """The latest states of some situations, latest first.

    `features`: int64 (situations, WINDOW, most), numbers from 1, 0 pads. `texts`: int64 (situations, WINDOW), which
    vector is the state's message, 0 for none. `real`: bool (situations, WINDOW).
    """

    features: Indices
    texts: Indices
    real: npt.NDArray[np.bool_]


class ActionRanking:
    """A `Skill` from `Situation` to `Ranked`. `run` may be called from any thread.

    `actions` and `vocabulary` are what training saw; `temperature` divides the scores so that probabilities are true.
    """

    name = "ranking"

    def __init__(
        self,
        actions: Sequence[str],
        vocabulary: Sequence[str],
        weights: RankingWeights,
        temperature: float,
        encoder: TextVectors,
        bundle: str = "",
    ) -> None:
        self.actions, self.vocabulary = tuple(actions), tuple(vocabulary)
        self.weights, self.temperature = weights, temperature
        self.encoder, self.bundle = encoder, bundle
        self._numbers = {name: number for number, name in enumerate(self.vocabulary, 1)}

    def run(self, batch: Sequence[Situation]) -> list[Ranked]:
        """One ranking per situation, of those of its actions that are known; what is missing to 1 is "none of these".

        A situation without states or without a known action gets an empty ranking.
        """
        if not batch:
            return []
        scores = self.scores([item.states for item in batch], [item.texts for item in batch])
        return [Ranked(self._ranked(row, item), self.bundle) for row, item in zip(scores, batch, strict=True)]

    def scores(self, states: Sequence[Sequence[Features]], texts: Sequence[Sequence[str]]) -> Floats:
        """Logits by temperature, float32 (situations, actions + 1)."""
        names = [[feature_names(state) for state in latest(row)] for row in states]
        said = [latest_texts(row, beside) for row, beside in zip(states, texts, strict=True)]
        distinct = sorted({text for row in said for text in row if text})
        table = np.zeros((len(distinct) + 1, len(self.weights.text)), np.float32)
        if distinct:
            table[1:] = self.encoder.vectors(distinct)
        place = {text: number for number, text in enumerate(distinct, 1)} | {"": 0}
        numbers = [[[self._numbers.get(name, 0) for name in state] for state in row] for row in names]
        windows = windows_of(numbers, [[place[text] for text in row] for row in said])
        found: Floats = forward(self.weights, windows, table) / np.float32(self.temperature)
        return found

    def _ranked(self, scores: Floats, item: Situation) -> tuple[Scored, ...]:
        allowed = set(item.actions)
        chosen = [number for number, action in enumerate(self.actions) if action in allowed]
        if not chosen or not item.states:
            return ()
        kept = scores[[*chosen, len(self.actions)]].astype(np.float64)
        share = np.exp(kept - kept.max())
        share /= share.sum()
        order = np.argsort(-share[:-1], kind="stable")
        return tuple(Scored(name=self.actions[chosen[n]], score=float(share[n])) for n in order)

    def save(self, folder: Path) -> None:
        """Write the model's two files into a folder."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {item.name: getattr(self.weights, item.name) for item in fields(RankingWeights)}
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / WEIGHTS)
        config = {
            "format": FORMAT,
            "encoder": self.encoder.identity,
            "actions": self.actions,
            "vocabulary": self.vocabulary,
            "temperature": self.temperature,
        }
        (folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=1), "utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: TextVectors, bundle: str = "") -> ActionRanking:
        """Read a saved model.

        Raises:
            IntegrityError: a file is missing, damaged or of another format, or it was trained with another encoder.
        """
        config, tensors = _read_config(folder / CONFIG), _read_tensors(folder / WEIGHTS)
        if config.get("encoder") != encoder.identity:
            found = f"trained with {config.get('encoder')}, but the bot's encoder is {encoder.identity}; train again"
            raise IntegrityError(str(folder / CONFIG), found)
        try:
            weights = RankingWeights(**{item.name: tensors[item.name] for item in fields(RankingWeights)})
            return cls(config["actions"], config["vocabulary"], weights, config["temperature"], encoder, bundle)
        except KeyError as error:
            raise IntegrityError(str(folder), f"expected {error} in the ranking, found none; train again") from error


def latest(states: Sequence[Features]) -> Sequence[Features]:
    """The states that are looked at, latest first."""
    return states[::-1][:WINDOW]


def latest_texts(states: Sequence[Features], texts: Sequence[str]) -> list[str]:
    """The message of each state that is looked at, latest first; "" where the user had not just sent one."""
    pairs = list(zip(states, texts, strict=True))[::-1][:WINDOW]
    return [said(text) if state.action == LISTEN else "" for state, text in pairs]


def said(text: str) -> str:
    """What there is to encode of a message; nothing of a button's payload, which the discrete features tell."""
    text = text.strip()
    return "" if text.startswith("/") else text


def feature_names(state: Features) -> list[str]:
    """The discrete features of a state. The intent counts otherwise once the bot has done something about it."""
    names = [f"action {state.action}"]
    if state.intent:
        names.append(f"{'intent' if state.action == LISTEN else 'about'} {state.intent}")
    if state.action == LISTEN:
        names += [f"entity {name}" for name in sorted(state.entities)]
    for name, value in sorted(state.slots):
        names.append(f"slot {name}")
        if value not in ("set", "*"):
            names.append(f"slot {name}={value}")
    if state.loop:
        names.append(f"loop {state.loop}")
    return names


def windows_of(numbers: Sequence[Sequence[Sequence[int]]], texts: Sequence[Sequence[int]]) -> Windows:
    """Padded arrays from feature numbers by situation and state (latest first), and text numbers likewise."""
    most = max((len(state) for row in numbers for state in row), default=0)
    features = np.zeros((len(numbers), WINDOW, max(1, most)), np.int64)
    places = np.zeros((len(numbers), WINDOW), np.int64)
    real = np.zeros((len(numbers), WINDOW), np.bool_)
    for row, states in enumerate(numbers):
        real[row, : max(1, len(states))] = True
        for place, state in enumerate(states):
            features[row, place, : len(state)] = state
        places[row, : len(texts[row])] = texts[row]
    return Windows(features, places, real)


def forward(weights: RankingWeights, windows: Windows, vectors: Floats) -> Floats:
    """Logits, float32 (situations, actions + 1). `vectors` are those of the texts, float32 (texts + 1, dimension)."""
    said = (vectors @ weights.text)[windows.texts]
    states = weights.features[windows.features].sum(axis=2) + said + weights.places
    inner = np.maximum(states @ weights.inner + weights.inner_bias, 0)
    states = states + inner @ weights.outer + weights.outer_bias
    now = states[:, 0]
    scale = np.float32(1 / np.sqrt(now.shape[1] / HEADS))
    query = _heads(now[:, None] @ weights.query)
    key, value = _heads(states @ weights.key), _heads(states @ weights.value)
    match = np.einsum("bohd,bwhd->bhw", query, key) * scale
    match = np.where(windows.real[:, None], match, _HIDDEN)
    share = np.exp(match - match.max(axis=2, keepdims=True))
    share /= share.sum(axis=2, keepdims=True)
    seen = np.einsum("bhw,bwhd->bhd", share, value).reshape(len(now), -1)
    deep = np.maximum(np.concatenate([now, seen], axis=1) @ weights.deep + weights.deep_bias, 0)
    logits: Floats = (deep @ weights.out + weights.out_bias).astype(np.float32)
    return logits


HEADS = 4


def _heads(rows: Floats) -> Floats:
    return rows.reshape(*rows.shape[:-1], HEADS, -1)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(str(path), f"expected the ranking's JSON, found {error}; train again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise IntegrityError(str(path), f"expected format {FORMAT}, found something else; train again")
    return config


def _read_tensors(path: Path) -> dict[str, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, Floats] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise IntegrityError(str(path), f"expected the ranking's weights, found {error}; train again") from error
    return tensors
