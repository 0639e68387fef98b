"""The support scorer on a company that its base has not seen: how well it tells, what passes, what it costs.

    python -m benchmarks.support [--scorer skills/support_base] [--claims 300]

On sentences about the demo shop worded by hand (benchmarks/data/support_claims.txt), and on claims made by rule from
the shop's pages; both after the deterministic checks. The threshold is set on claims from public passages of the dev
side, never on the shop. About one minute on one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.privacy import bounds
from retrieval.corpus import chunks_of
from retrieval.readers import Source, read
from skills.encoder import Encoder
from skills.support import unsupported
from skills.support_pairs import COUNTS, Pairs
from skills.support_scorer import BASE, Claim, LayerStates, SupportScorer
from training.support import Scored, score, set_threshold
from training.support_claims import Labelled, Passage, claims, hard
from training.support_data import public_passages

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("UNDERSTUDY_DATA", ROOT.parent / "shared" / "data"))
SHOP = ROOT / "examples" / "shop" / "knowledge"


def pages() -> list[Passage]:
    """The shop's chunks, as the search gives them; the group is the page."""
    found = []
    for path in sorted(SHOP.glob("*.md")):
        for document in read(path.suffix, path.read_bytes(), Source(path.stem)):
            found += [Passage(chunk.passage, path.stem) for chunk in chunks_of(document)]
    return found


def by_hand(chunks: Sequence[Passage]) -> list[Labelled]:
    """The sentences worded by hand, each with its page's chunks and another page's."""
    found = []
    for line in (Path(__file__).parent / "data" / "support_claims.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            page, mark, sentence = (part.strip() for part in line.split("|", 2))
            own = [chunk.text for chunk in chunks if chunk.group == page]
            at = next(number for number, chunk in enumerate(chunks) if chunk.group == page)
            sources = (*own[:3], *([chunks[(at + 7) % len(chunks)].text] if len(own) < 3 else []))
            found.append(Labelled(Claim(sentence, sources), mark == "+", "by hand", page))
    return found


def auroc(found: Scored) -> float:
    """The chance that a supported claim scores higher than an unsupported one; ties count half."""
    high, low = found.scores[found.supported], found.scores[~found.supported]
    difference = high[:, None].astype(np.float64) - low[None]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def row(name: str, made: Sequence[Labelled], scorer: SupportScorer) -> str:
    """A row of the table."""
    kept = [item for item in made if not unsupported(item.claim.sentence, item.claim.sources)]
    found = score(scorer, kept)
    pairs = Pairs(LayerStates(scorer.encoder, scorer.layers))
    counted = [pairs.make(item.claim.sentence, item.claim.sources) for item in kept]
    words = np.array([0.0 if pair is None else pair.counts[COUNTS.index("best")] for pair in counted], np.float32)
    shown = found.scores >= scorer.threshold
    true, false = int(found.supported.sum()), int((~found.supported).sum())
    wrong = int((shown & ~found.supported).sum())
    high = bounds(wrong, len(kept))[1]
    before = sum(item.supported for item in made), sum(not item.supported for item in made)
    return (
        f"| {name} | {true} of {before[0]} | {false} of {before[1]} | {auroc(Scored(words, found.supported)):.3f} "
        f"| {auroc(found):.3f} | {(shown & found.supported).sum() / max(true, 1):.2f} "
        f"| {wrong} ({wrong / len(kept):.1%} of all, at most {high:.1%}) |"
    )


def cost(scorer: SupportScorer, made: Sequence[Labelled]) -> str:
    """CPU milliseconds a sentence, medians."""
    first, again = [], []
    for item in made[:: max(1, len(made) // 20)]:
        fresh = SupportScorer(scorer.weights, scorer.layers, scorer.calibration, scorer.encoder)
        for times in (first, again):
            started = time.process_time()
            fresh.run([item.claim])
            times.append((time.process_time() - started) * 1000)
    kept, new = np.median(again), np.median(first)
    return f"CPU ms a sentence, median: {kept:.1f} when its passages are kept, {new:.1f} when they are new."


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.support", description=__doc__)
    parser.add_argument("--scorer", type=Path, default=BASE)
    parser.add_argument("--claims", type=int, default=300)
    parser.add_argument("--risk", type=float, default=0.01)
    found = parser.parse_args()
    scorer = SupportScorer.load(found.scorer, Encoder.load())
    scorer = set_threshold(
        scorer, public_passages(DATA, "dev", 120, 5), risk=found.risk, count=2 * found.claims, seed=2
    )
    kept = scorer.calibration
    chunks = pages()
    handmade = by_hand(chunks)
    lines = [
        "| claims on the shop | supported, after the rules | unsupported, after the rules | AUROC, share of words "
        "| AUROC, scorer | supported that pass | unsupported that pass |",
        "|" + " --- |" * 7,
        row("worded by hand", handmade, scorer),
        row("made by rule", claims([Passage(item.text, "shop") for item in chunks], found.claims, 6), scorer),
        "",
        f"Threshold {kept.threshold:.3f} for a risk of {kept.risk:.0%}, set on {kept.claims} public claims that the "
        f"rules let through, {kept.unsupported} of them unsupported; {kept.passed:.2f} of the supported pass there.",
        cost(scorer, hard(handmade)),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
