from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from bot.core.errors import IntegrityError
from skills.encoder import Encoding
from skills.support_pairs import COUNTS, FLAGS, SEGMENTS, Pairs
from skills.support_scorer import CONFIG, WEIGHTS, Calibration, Claim, LayerStates, SupportScorer

SOURCES = (
    "Kettles\nThe Alba costs €89. It holds 0.9 litres. The Brisa costs €59 and is loud.",
    "Returns\nYou can send things back within 30 days. Opened tea cannot be returned.",
)
LAYERS = (1, 2)


class Words:
    """A `TextStates` whose tokens are words and marks, each with a state drawn from its letters."""

    identity = "words-1"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def run(self, texts: Sequence[str], layers: Sequence[int] = ()) -> list[Encoding]:
        self.texts += texts
        return [self._encoded(text, layers) for text in texts]

    def _encoded(self, text: str, layers: Sequence[int]) -> Encoding:
        found = [(0, 0), *((m.start(), m.end()) for m in re.finditer(r"\w+|\S", text)), (0, 0)]
        drawn = [np.random.default_rng(crc32(text[start:end].lower().encode())).normal(size=8) for start, end in found]
        states = np.array(drawn, np.float32)
        return Encoding(states[0], dict.fromkeys(layers, states), np.array(found, np.int32))


def weights() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    from training.support_net import NetOptions, initial

    return initial(8 * len(LAYERS), NetOptions(width=16))


def scorer(encoder: Words | None = None) -> SupportScorer:
    return SupportScorer(weights(), LAYERS, Calibration(0.5, 0.01, 100, 50, 0.9), encoder or Words())


def test_the_sentences_that_hold_a_claims_words_are_laid_beside_it() -> None:
    pair = Pairs(LayerStates(Words(), LAYERS)).make("The Brisa costs €59.", SOURCES)
    assert pair is not None
    assert pair.length == 6 and pair.states.shape == (len(pair.places), 16) and pair.counts.shape == (len(COUNTS),)
    assert set(pair.places) <= set(range(SEGMENTS + 1)) and pair.flags.shape[1] == len(FLAGS)
    assert pair.flags[: pair.length, 3].tolist() == [1] * 6
    assert dict(zip(COUNTS, pair.counts, strict=True))["best"] == 1.0


def test_counts_tell_a_price_that_stands_with_another_name() -> None:
    pairs = Pairs(LayerStates(Words(), LAYERS))
    right, wrong = (pairs.make(text, SOURCES) for text in ("The Brisa costs €59.", "The Brisa costs €89."))
    assert right is not None and wrong is not None
    assert right.counts[COUNTS.index("bound")] > wrong.counts[COUNTS.index("bound")]


def test_sources_are_encoded_once() -> None:
    encoder = Words()
    judged = scorer(encoder)
    judged.warm(SOURCES)
    before = len(encoder.texts)
    judged.run([Claim("The Alba costs €89.", SOURCES), Claim("The Brisa is loud.", SOURCES)])
    assert encoder.texts[before:] == ["The Alba costs €89.", "The Brisa is loud."]


def test_what_cannot_be_judged_is_not_supported() -> None:
    strange = ["三十天以内可以退货。", "Sie können die Ware nicht zurückgeben.", "", "!?"]
    assert scorer().run([Claim(text, SOURCES) for text in strange[:3]]) == [0.0, 0.0, 0.0]
    assert scorer().run([Claim("The Alba costs €89.", ())]) == [0.0]
    assert scorer().judge(strange[0], SOURCES).startswith("score 0.00")


def test_a_sentence_of_a_source_needs_no_score() -> None:
    strict = SupportScorer(weights(), LAYERS, Calibration(2.0, 0.01, 100, 50, 0.0), Words())
    assert strict.judge("Opened tea cannot be returned.", SOURCES) == ""
    assert "below 2.00" in strict.judge("Tea, once opened, cannot be returned.", SOURCES)


def test_numbers_that_are_none_are_not_supported() -> None:
    broken = scorer()
    broken.weights["out_bias"] = np.array([np.nan], np.float32)
    assert broken.run([Claim("The Alba costs €89.", SOURCES)]) == [0.0]


@pytest.mark.slow
def test_the_torch_net_and_the_numpy_net_agree() -> None:
    import torch

    from skills.support_net import logit
    from training.support_net import logits

    pairs = Pairs(LayerStates(Words(), LAYERS))
    made = [
        pairs.make(text, SOURCES) for text in ("The Brisa costs €59.", "Opened tea can be returned within 30 days.")
    ]
    given = [pair for pair in made if pair is not None]
    values = weights()
    with torch.no_grad():
        theirs = logits({name: torch.from_numpy(value) for name, value in values.items()}, given).numpy()
    assert np.allclose(theirs, [logit(values, pair) for pair in given], atol=1e-4)


def test_a_saved_scorer_scores_the_same(tmp_path: Path) -> None:
    first = scorer()
    first.weights = {name: value.astype(np.float16).astype(np.float32) for name, value in first.weights.items()}
    first.save(tmp_path)
    second = SupportScorer.load(tmp_path, Words())
    claim = Claim("The Alba costs €89.", SOURCES)
    assert second.run([claim]) == first.run([claim]) and second.calibration == first.calibration


@pytest.mark.parametrize("damage", ["no weights", "no config", "other encoder", "other counts", "cut", "other weights"])
def test_a_damaged_scorer_is_refused(tmp_path: Path, damage: str) -> None:
    scorer().save(tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    if damage == "no weights":
        (tmp_path / WEIGHTS).unlink()
    elif damage == "cut":
        (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:50])
    elif damage == "other weights":
        body = (tmp_path / WEIGHTS).read_bytes()
        (tmp_path / WEIGHTS).write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    elif damage == "no config":
        (tmp_path / CONFIG).write_text("[]")
    else:
        changed = {"encoder": "other"} if damage == "other encoder" else {"counts": ["x"]}
        (tmp_path / CONFIG).write_text(json.dumps(config | changed))
    with pytest.raises(IntegrityError, match="train again"):
        SupportScorer.load(tmp_path, Words())
