"""How surely a sentence is supported by its sources: a small cross-encoder on the token states of the shared encoder.

It decides what no rule sees: words of the sources in another order, a true sentence without its condition, the price of
one thing said of another. The encoder's forward over a source is kept, so a further sentence on the same sources costs
its own forward and a small network's. Made by `training.support`: weights shared by all bots, a threshold for each.

Rules of the file: no training here; a sentence in a language that the scorer was not made for counts as unsupported,
and so does one that cannot be scored: the approved answer is said instead.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bot.core.errors import IntegrityError
from skills.digests import sha256_of
from skills.encoder import Encoding
from skills.support import quoted
from skills.support_net import logit
from skills.support_pairs import COUNTS, FLAGS, Pairs
from skills.support_words import language

Floats = npt.NDArray[np.float32]
WEIGHTS, CONFIG = "support.safetensors", "support.json"
FORMAT = 1
BASE = Path(__file__).with_name("support_base")
"""The weights that come with the installation."""


class TextStates(Protocol):
    """Turns texts into states of their tokens, as `skills.encoder.Encoder` does."""

    @property
    def identity(self) -> str:
        """What the states depend on."""
        ...

    def run(self, texts: Sequence[str], layers: Sequence[int] = ()) -> list[Encoding]:
        """One encoding per text, with the states of the layers asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence and the texts that it may rest on, in any order."""

    sentence: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the threshold was set: `risk` is the bound on the share of claims that are unsupported and shown.

    It was set on `claims`, of which `unsupported`; `passed` is the share of the supported ones that are shown.
    """

    threshold: float
    risk: float = 0.01
    claims: int = 0
    unsupported: int = 0
    passed: float = 0.0


class SupportScorer:
    """A `Skill` from `Claim` to a number from 0 to 1, higher is better supported. `run` is safe in any thread."""

    name = "support"

    def __init__(
        self, weights: Mapping[str, Floats], layers: Sequence[int], calibration: Calibration, encoder: TextStates
    ) -> None:
        self.weights, self.layers, self.calibration = dict(weights), tuple(layers), calibration
        self.encoder = encoder
        self._pairs = Pairs(LayerStates(encoder, self.layers))
        self._lock = threading.Lock()

    @property
    def threshold(self) -> float:
        """A sentence with a lower score is not shown."""
        return self.calibration.threshold

    def run(self, batch: Sequence[Claim]) -> list[float]:
        """One score per claim; 0 for what is not English or has nothing to be compared with."""
        with self._lock:
            return [self._score(claim) for claim in batch]

    def judge(self, sentence: str, sources: Sequence[str]) -> str:
        """The scorer as a judge of the chain in `skills.speaking`; a source's own sentence needs no score."""
        if quoted(sentence, sources):
            return ""
        score = self.run([Claim(sentence, tuple(sources))])[0]
        return "" if score >= self.threshold else f"score {score:.2f} below {self.threshold:.2f}"

    def warm(self, sources: Sequence[str]) -> None:
        """Encode sources before the first sentence comes, as a generator still reads its prompt."""
        with self._lock:
            self._pairs.warm(sources)

    def _score(self, claim: Claim) -> float:
        if language(claim.sentence) != "en":
            return 0.0
        pair = self._pairs.make(claim.sentence, claim.sources)
        if pair is None:
            return 0.0
        found = logit(self.weights, pair)
        return float(1 / (1 + np.exp(-np.clip(found, -30, 30)))) if np.isfinite(found) else 0.0

    def save(self, folder: Path) -> None:
        """Write the two files into a folder."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: np.ascontiguousarray(value, np.float16) for name, value in self.weights.items()}, folder / WEIGHTS
        )
        kept = self.calibration
        config = {
            "format": FORMAT,
            "sha256": sha256_of(folder / WEIGHTS),
            "encoder": self.encoder.identity,
            "layers": self.layers,
            "flags": FLAGS,
            "counts": COUNTS,
            "threshold": kept.threshold,
            "risk": kept.risk,
            "claims": kept.claims,
            "unsupported": kept.unsupported,
            "passed": kept.passed,
        }
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: TextStates) -> SupportScorer:
        """Read a saved scorer.

        Raises:
            IntegrityError: a file is missing, damaged or of another format, or it was made with another encoder.
        """
        config, weights = _read_config(folder / CONFIG), _read_weights(folder / WEIGHTS)
        if (found := sha256_of(folder / WEIGHTS)) != config.get("sha256"):
            wanted = f"expected sha256 {config.get('sha256')}, found {found}; train again"
            raise IntegrityError(str(folder / WEIGHTS), wanted)
        if _model(config.get("encoder")) != _model(encoder.identity):
            found = f"made with {config.get('encoder')}, but the bot's encoder is {encoder.identity}; train again"
            raise IntegrityError(str(folder / CONFIG), found)
        try:
            calibration = Calibration(
                *(config[name] for name in ("threshold", "risk", "claims", "unsupported", "passed"))
            )
            return cls(weights, config["layers"], calibration, encoder)
        except KeyError as error:
            raise IntegrityError(str(folder), f"expected {error} in the scorer, found none; train again") from error


class LayerStates:
    """Some layers of an encoder side by side, without the special tokens."""

    def __init__(self, encoder: TextStates, layers: Sequence[int]) -> None:
        self._encoder, self._layers = encoder, tuple(layers)

    def states(self, texts: Sequence[str]) -> list[tuple[Floats, npt.NDArray[np.int32]]]:
        """See `skills.support_pairs.TokenStates`."""
        return [
            (np.concatenate([item.states[n][1:-1] for n in self._layers], axis=1), item.offsets[1:-1])
            for item in self._encoder.run(texts, self._layers)
        ]


def _model(identity: object) -> object:
    """What of an encoder's identity the scorer depends on: the limit of tokens and the pooling do not matter."""
    try:
        found = json.loads(str(identity))
        return tuple(found[name] for name in ("weights", "tokenizer", "engine"))
    except (ValueError, KeyError, TypeError):
        return identity


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise IntegrityError(str(path), f"expected the scorer's JSON, found {error}; train again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise IntegrityError(str(path), f"expected format {FORMAT}, found something else; train again")
    if tuple(config.get("flags", ())) != FLAGS or tuple(config.get("counts", ())) != COUNTS:
        raise IntegrityError(str(path), "made by another version, which looks at other things; train again")
    return config


def _read_weights(path: Path) -> dict[str, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: value.astype(np.float32) for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise IntegrityError(str(path), f"expected the scorer's weights, found {error}; train again") from error
