"""Makes the support scorer: a base from public passages, and a bot's threshold from its own pages.

    python -m training.support --data ../shared/data --out skills/support_base

trains the base that comes with the installation (weights only; no sentence of the data is in it). `set_threshold` is
for a bot's own pages: claims are made from them, those that the deterministic checks let through are scored, and the
threshold is set by conformal risk control (Angelopoulos et al. 2022): the expected share of claims that are unsupported
and shown is at most `risk`, for claims like those it was set on. Far more of them are unsupported than a generator
writes, so it errs on the side of the approved answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from skills.encoder import MINILM, Encoder, EncoderSettings
from skills.support_net import Floats
from skills.support_pairs import Pair, Pairs
from skills.support_scorer import BASE, Calibration, LayerStates, SupportScorer
from training import support_net
from training.progress import Progress, part, silent
from training.support_claims import Labelled, Passage, claims, hard
from training.support_net import NetOptions

NEVER = 2.0
"""A threshold above every score: nothing is shown, as nothing can be promised."""


@dataclass(frozen=True, slots=True)
class SupportOptions:
    """How to train the base. `claims` are made from `passages` passages; `layers` of the encoder are looked at."""

    claims: int = 5000
    passages: int = 1000
    layers: tuple[int, ...] = (2, 4, 6)
    seed: int = 9
    net: NetOptions = field(default_factory=NetOptions)


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of claims and which of them are supported; arrays of one length."""

    scores: Floats
    supported: np.ndarray[tuple[int], np.dtype[np.bool_]]


def fit_base(
    passages: Sequence[Passage],
    encoder: Encoder,
    options: SupportOptions,
    start: SupportScorer | None = None,
    progress: Progress = silent,
) -> SupportScorer:
    """Weights from claims on public passages, going on from `start`; nothing passes until a threshold is set."""
    made = claims(passages, options.claims, options.seed)
    states = LayerStates(encoder, options.layers)
    pairs, labels = laid_out(made, states, part(progress, 0.0, 0.5))
    with threadpool_limits(1):
        weights = support_net.fit(
            pairs, labels, options.net, start.weights if start else None, part(progress, 0.5, 1.0)
        )
    rounded = {name: value.astype(np.float16).astype(np.float32) for name, value in weights.items()}
    return SupportScorer(rounded, options.layers, Calibration(NEVER), encoder)


def laid_out(
    made: Sequence[Labelled], states: LayerStates, progress: Progress = silent
) -> tuple[list[Pair], list[bool]]:
    """Claims beside their sources, with whether they are supported; those with nothing to compare are left out."""
    pairs = Pairs(states, keep=len({source for item in made for source in item.claim.sources}))
    found = []
    for number, item in enumerate(made):
        pair = pairs.make(item.claim.sentence, item.claim.sources)
        if pair is not None:
            found.append((replace(pair, states=pair.states.astype(np.float16)), item.supported))
        progress(number / len(made), "encoding")
    return [pair for pair, _ in found], [label for _, label in found]


def set_threshold(
    scorer: SupportScorer, passages: Sequence[Passage], *, risk: float = 0.01, count: int = 1200, seed: int = 0
) -> SupportScorer:
    """The scorer with a threshold for a bot's pages. Too few pages give one that lets nothing through."""
    made = hard(claims(passages, count, seed))
    return calibrated(scorer, score(scorer, made), risk)


def score(scorer: SupportScorer, made: Sequence[Labelled]) -> Scored:
    """What a scorer thinks of claims."""
    found = scorer.run([item.claim for item in made])
    return Scored(np.array(found, np.float32), np.array([item.supported for item in made], np.bool_))


def calibrated(scorer: SupportScorer, found: Scored, risk: float) -> SupportScorer:
    """The scorer with the threshold that `conformal` gives, and what is known of it."""
    threshold = conformal(found, risk)
    passed = float((found.scores[found.supported] >= threshold).mean()) if found.supported.any() else 0.0
    kept = Calibration(threshold, risk, len(found.scores), int((~found.supported).sum()), passed)
    return SupportScorer(scorer.weights, scorer.layers, kept, scorer.encoder)


def conformal(found: Scored, risk: float) -> float:
    """The lowest threshold whose risk is bounded.

    A claim's loss is 1 if it is unsupported and shown. Losses fall as the threshold rises: the lowest threshold
    with (sum of losses + 1) / (claims + 1) <= risk keeps the expected loss of a new claim at `risk` or below. With
    fewer than 1 / risk claims there is none, and nothing is shown.
    """
    wrong = np.sort(found.scores[~found.supported])[::-1]
    allowed = int(np.floor(risk * (len(found.scores) + 1) + 1e-9)) - 1
    if allowed < 0:
        return NEVER
    if allowed >= len(wrong):
        return 0.0
    return float(np.nextafter(wrong[allowed], np.float32(np.inf), dtype=np.float32))


def main(arguments: list[str] | None = None) -> int:
    """Train the base from the public files."""
    from training.support_data import public_passages

    parser = argparse.ArgumentParser(prog="python -m training.support", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with qa/ and faq/")
    parser.add_argument("--out", type=Path, default=BASE, help="where the two files go")
    parser.add_argument("--claims", type=int, default=SupportOptions().claims)
    parser.add_argument("--passages", type=int, default=SupportOptions().passages)
    parser.add_argument("--rounds", type=int, default=NetOptions().rounds)
    parser.add_argument("--rate", type=float, default=NetOptions().rate)
    parser.add_argument("--seed", type=int, default=SupportOptions().seed)
    parser.add_argument("--start", type=Path, help="go on from this scorer")
    found = parser.parse_args(arguments)
    net = NetOptions(rounds=found.rounds, rate=found.rate, seed=found.seed)
    options = SupportOptions(found.claims, found.passages, seed=found.seed, net=net)
    encoder = Encoder.load(MINILM, EncoderSettings())
    start = SupportScorer.load(found.start, encoder) if found.start else None
    passages = public_passages(found.data, "train", options.passages, options.seed)
    told = [0.0]

    def tell(done: float, what: str) -> None:
        if done >= told[0]:
            told[0] = done + 0.05
            sys.stderr.write(f"{done:4.0%} {what}\n")

    scorer = fit_base(passages, encoder, options, start, tell)
    made = hard(claims(public_passages(found.data, "dev", 160, options.seed), 900, 1))
    scorer = calibrated(scorer, score(scorer, made), 0.01)
    scorer.save(found.out)
    kept = scorer.calibration
    sys.stdout.write(
        f"threshold {kept.threshold:.3f}, {kept.claims} claims, shown of the supported {kept.passed:.3f}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
