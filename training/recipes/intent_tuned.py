"""The methods that tune layers for the intents: what each tunes, and how its view joins the other witnesses.

A tuned view has seen all examples, so nothing is left to weigh it on; its weight and sharpness are the same for all
bots, found on Banking77 and CLINC150 (docs/benchmarks/fewshot.md). What tells whether a text is in scope stays with the
vector that is not tuned: tuning on intents alone draws texts of other subjects in as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from skills.encoder import Encoder
from skills.intent import Blend
from skills.intent_views import View
from training.progress import Progress, part
from training.recipes.finetune import TuneOptions, TuneRows, tune

Floats = npt.NDArray[np.float32]
OTHERS, OWN = 0.25, 1.0
"""What the calibrated log probabilities of the other witnesses, and those of the tuned view, are multiplied by."""
_ROWS = 256

TUNED: dict[str, Callable[[int, int, str], TuneOptions]] = {
    "late-branch": lambda layers, seed, board: TuneOptions(depth=min(2, layers), seed=seed, tensorboard=board),
    "lora": lambda layers, seed, board: TuneOptions(depth=layers, rank=16, rate=1e-3, seed=seed, tensorboard=board),
    "full": lambda layers, seed, board: TuneOptions(depth=layers, rate=1e-4, seed=seed, tensorboard=board),
}
"""Method -> its options, from the number of the encoder's layers, the seed, and the folder for TensorBoard."""


@dataclass(frozen=True, slots=True)
class Taught:
    """Examples that have an intent; `vectors` are their unit vectors."""

    texts: Sequence[str]
    owners: npt.NDArray[np.int64]
    weights: Floats
    vectors: Floats
    intents: int


def tuned_view(taught: Taught, encoder: Encoder, options: TuneOptions, progress: Progress) -> View:
    """Tune on the examples."""
    layer, states = encoder.layers - options.depth, list[npt.NDArray[np.float16]]()
    for start in range(0, len(taught.texts), _ROWS):
        found = encoder.run(taught.texts[start : start + _ROWS], (layer,))
        states += [encoding.states[layer].astype(np.float16) for encoding in found]
        progress(0.1 * len(states) / len(taught.texts), "encoding")
    centres = np.zeros((taught.intents, encoder.dimension), np.float32)
    np.add.at(centres, taught.owners, taught.vectors * taught.weights[:, None])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    rows = TuneRows(states, taught.owners.tolist(), taught.weights.tolist(), centres)
    return tune(rows, encoder, options, part(progress, 0.1, 1.0))


def with_tuned(blend: Blend) -> Blend:
    """The blend of the other witnesses, with a tuned view as one more."""
    rest = tuple(weight * OTHERS for weight in blend.view_weights)
    return replace(blend, temperature=blend.temperature / OTHERS, view_weights=(*rest, OWN))
