"""Is the gate as strict, and as sharp, as it says?

    python -m benchmarks.gate              # simulated outcomes: docs/benchmarks/gate.md, first two tables
    python -m benchmarks.gate models       # heads trained on Banking77: its third table

Nothing changed: "better" or "worse" may be found in 5 % of the comparisons. A drop of two points was planted: it must
be stopped, and found "worse", as often as `training.gate.stats.power` predicts. Simulated outcomes are single turns and
conversations (turns correlated by 0.3 and 0.5). Heads are trained on random halves of 2,000 rows of Banking77's train
file, or on the same half with other seeds, and compared on 600 random rows of its dev file each time; the planted drop
makes 2 % of the rows wrong that were right. Prints Markdown. Data: UNDERSTUDY_DATA/intents/banking77.{train,dev}.jsonl.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skills.encoder import Encoder, EncoderSettings
from training.data import read_intents
from training.examples import IntentExample
from training.gate import stats
from training.gate.compare import finding
from training.gate.simulate import Sample, World, sample
from training.recipes.intent import IntentOptions, fit_intent

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data"))
RUNS, POWER_RUNS = 200, 1_000
DROP = -0.02
TURNS = (1, 2, 3, 4, 8)
WORLDS = {
    "60 turns, 6 % discordant": World(60, 0.06),
    "200 turns, 4 %": World(200, 0.04),
    "600 turns, 2 %": World(600, 0.02),
    "600 turns, 6 %": World(600, 0.06),
    "3,000 turns, 6 %": World(3000, 0.06),
    "40 conversations of 1 to 8 turns, 10 %, alike by 0.5": World(40, 0.10, 0.0, 0.5, TURNS),
    "120 conversations, 6 %, 0.3": World(120, 0.06, 0.0, 0.3, TURNS),
    "400 conversations, 6 %, 0.3": World(400, 0.06, 0.0, 0.3, TURNS),
    "1,000 conversations, 4 %, 0.5": World(1000, 0.04, 0.0, 0.5, TURNS),
}
HALF, HEADS, SEEDS, SEEN = 1_000, 6, 2, 600
Right = NDArray[np.bool_]


def main(arguments: Sequence[str]) -> int:
    """Simulated outcomes, or trained heads."""
    started = time.perf_counter()
    if list(arguments) == ["models"]:
        models()
    else:
        alike()
        planted()
    print(f"\n{time.perf_counter() - started:.0f} s")
    return 0


def judged(drawn: Sample) -> str:
    """What the gate finds."""
    margin = stats.margin(drawn.rows, drawn.discordant, drawn.effect)
    return finding(stats.changed(drawn.sums, margin), margin)


def share(found: Sequence[str], *names: str) -> float:
    """How often one of these was found."""
    counts = Counter(found)
    return sum(counts[name] for name in names) / len(found)


def alike() -> None:
    """Two equal bundles."""
    print(f"| nothing changed, {RUNS} comparisons | better or worse | passed |\n| --- | --- | --- |")
    every: list[str] = []
    for name, world in WORLDS.items():
        found = [judged(sample(world, seed)) for seed in range(RUNS)]
        every += found
        print(f"| {name} | {share(found, 'better', 'worse'):.1%} | {_passed(found):.1%} |", flush=True)
    print(f"| all {len(every)} | {share(every, 'better', 'worse'):.1%} | {_passed(every):.1%} |\n")


def planted() -> None:
    """Two points lost."""
    print(f"| two points lost, {POWER_RUNS} comparisons | stopped | predicted | worse | predicted |")
    print("| --- | --- | --- | --- | --- |")
    for name, world in WORLDS.items():
        if world.rows < 200:
            continue
        lost = World(world.groups, world.discordance, DROP, world.alike, world.sizes)
        found = [judged(sample(lost, seed)) for seed in range(POWER_RUNS)]
        told = stats.power(lost.rows, lost.discordance, DROP, lost.effect)
        figures = (1 - _passed(found), told.stopped, share(found, "worse"), told.worse)
        print(f"| {name} | {' | '.join(f'{figure:.1%}' for figure in figures)} |", flush=True)


def _passed(found: Sequence[str]) -> float:
    return share(found, "better", "non-inferior")


def models() -> None:
    """Heads that differ by the rows or by the seed they were trained with."""
    encoder = Encoder.load(settings=EncoderSettings(recent_bytes=1 << 30))
    rng = np.random.default_rng(0)
    train, dev = (read_intents(DATA / f"intents/banking77.{side}.jsonl") for side in ("train", "dev"))
    rows = [train[at] for at in rng.choice(len(train), 2 * HALF, replace=False)]
    halves = [[rows[at] for at in rng.permutation(len(rows))[:HALF]] for _ in range(HEADS)]
    heads = [right(half, 0, encoder, dev) for half in halves]
    seeds = [right(halves[0], 1 + seed, encoder, dev) for seed in range(SEEDS)]
    print("accuracy on all rows:", " ".join(f"{head.mean():.3f}" for head in (*heads, *seeds)), flush=True)
    print("| heads | comparisons | discordant | better or worse | passed |\n| --- | --- | --- | --- | --- |")
    both = {"other halves": list(combinations(heads, 2)), "other seeds": list(combinations((heads[0], *seeds), 2))}
    for name, pairs in both.items():
        compared(name, pairs, lambda new: new)
    compared("other halves, 2 points taken away", both["other halves"], worsened)


def right(rows: Sequence[IntentExample], seed: int, encoder: Encoder, dev: Sequence[IntentExample]) -> Right:
    """Which dev rows a head gets right that was trained on these rows; intents that are too rare are left out."""
    counts = Counter(row.intent for row in rows)
    head = fit_intent([row for row in rows if counts[row.intent] > 1], encoder, IntentOptions(seed=seed))
    texts = [row.text for row in dev]
    best = head.run(texts, encoder.vectors(texts)).probabilities.argmax(axis=1)
    return np.array([head.intents[at] == row.intent for at, row in zip(best, dev, strict=True)])


def worsened(new: Right) -> Right:
    """2 % of the rows wrong that were right."""
    lost = np.random.default_rng(int(new.sum())).choice(np.flatnonzero(new), round(-DROP * len(new)), replace=False)
    changed = new.copy()
    changed[lost] = False
    return changed


def compared(name: str, pairs: Sequence[tuple[Right, Right]], change: Callable[[Right], Right]) -> None:
    """Many comparisons on random rows; the pairs in turn, each way round."""
    rng, found, discordance, told = np.random.default_rng(1), [], [], []
    for run in range(RUNS):
        new, old = pairs[run % len(pairs)]
        new, old = (new, old) if (run // len(pairs)) % 2 else (old, new)
        seen = rng.choice(len(new), SEEN, replace=False)
        drawn = Sample(change(new[seen]).astype(float), old[seen].astype(float), np.arange(SEEN))
        found.append(judged(drawn))
        discordance.append(drawn.discordant / SEEN)
        told.append(stats.power(SEEN, discordance[-1], DROP).stopped)
    told_text = f" (predicted to be stopped: {np.mean(told):.1%})" if "taken" in name else ""
    print(
        f"| {name}{told_text} | {RUNS} | {np.mean(discordance):.1%} | {share(found, 'better', 'worse'):.1%} "
        f"| {_passed(found):.1%} |",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
