"""The rows of `benchmarks.year`, each encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.project import load_project
from skills.encoder import Encoder, Encoding
from skills.intent import NO_EXAMPLES, IntentHead
from training.examples import OOS, IntentExample
from training.sides import fraction


class Remembering(Encoder):
    """Encodes each text once."""

    known: dict[str, npt.NDArray[np.float32]]

    def run(self, texts: Sequence[str], layers: Sequence[int] = ()) -> list[Encoding]:
        """See `Encoder.run`."""
        if layers:
            return super().run(texts, layers)
        fresh = list(dict.fromkeys(text for text in texts if text not in self.known))
        for start in range(0, len(fresh), 256):
            part = fresh[start : start + 256]
            self.known.update((text, one.vector) for text, one in zip(part, super().run(part), strict=True))
        return [Encoding(self.known[text], offsets=self._offsets(text)) for text in texts]

    def _offsets(self, text: str) -> npt.NDArray[np.int32]:
        return np.asarray(self._tokens(text).offsets, np.int32)


def accuracy(head: IntentHead, rows: Sequence[IntentExample], encoder: Encoder) -> tuple[float, dict[str, float]]:
    """Of the best intent, over all rows and by intent; the examples that the head knows by heart do not help."""
    head.examples = NO_EXAMPLES
    texts = [row.text for row in rows]
    best = head.run(texts, encoder.vectors(texts)).probabilities.argmax(axis=1)
    right = np.array([head.intents[n] == row.intent for n, row in zip(best, rows, strict=True)])
    owners = np.array([row.intent for row in rows])
    return float(right.mean()), {name: float(right[owners == name].mean()) for name in sorted(set(owners))}


@dataclass
class Rows:
    """A data set, and for each intent the one that people take it for."""

    train: list[IntentExample]
    dev: list[IntentExample]
    intents: list[str]
    similar: dict[str, str]

    @classmethod
    def of(cls, train: Sequence[IntentExample], dev: Sequence[IntentExample], encoder: Encoder) -> Rows:
        """Names that can stand in a project; the most similar intent is the one with the nearest mean."""
        plain = [
            [replace(row, intent=row.intent.rstrip("?")) for row in side if row.intent != OOS] for side in (train, dev)
        ]
        names = sorted({row.intent for row in plain[0]})
        vectors = encoder.vectors([row.text for row in plain[0]])
        owners = np.array([row.intent for row in plain[0]])
        means = np.stack([vectors[owners == name].mean(axis=0) for name in names])
        alike = means @ means.T / np.outer(np.linalg.norm(means, axis=1), np.linalg.norm(means, axis=1))
        np.fill_diagonal(alike, -1)
        return cls(*plain, names, {name: names[int(row.argmax())] for name, row in zip(names, alike, strict=True)})


def open_encoder(keep: Path | None = None) -> Remembering:
    """The encoder, with the vectors that an earlier run kept in a file."""
    found = Remembering.load()
    assert isinstance(found, Remembering)
    found.known = {}
    if keep is not None and keep.exists():
        with np.load(keep, allow_pickle=False) as kept:
            found.known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))
    return found


def keep(loaded: Remembering, file: Path) -> None:
    """Write the vectors down for `open_encoder`."""
    texts = list(loaded.known)
    np.savez(file, texts=np.array(texts), vectors=np.stack([loaded.known[text] for text in texts]))


def shop(root: Path, intents: int = 12) -> tuple[list[IntentExample], list[IntentExample]]:
    """The first examples of our own demo, to try the year in seconds: what teaches, and what measures."""
    found = load_project(root).nlu.examples
    names = list(dict.fromkeys(row.intent for row in found))[-intents:]
    rows = [IntentExample(row.text, row.intent) for row in found if row.intent in names]
    rows = list(dict.fromkeys(rows))
    measure = [fraction(row.text, "year") < 0.25 for row in rows]
    return (
        [row for row, dev in zip(rows, measure, strict=True) if not dev],
        [row for row, dev in zip(rows, measure, strict=True) if dev],
    )
