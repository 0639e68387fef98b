"""Masking: how much of injected personal data is found, how much of ordinary text is touched, what it costs to learn.

    python benchmarks/privacy.py                # recall by kind with exact bounds, and time
    python benchmarks/privacy.py --ordinary     # what is masked in shop texts and in public data sets without such data
    python benchmarks/privacy.py --heads        # examples/shop: the intent head, customers' words raw and masked

Recall counts a value as found when all of it is masked, whatever kind it is taken for. Bounds are Clopper and Pearson's
(two-sided 95 %).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scipy.special import betaincinv

from benchmarks.pii_samples import MAKERS, Sample, samples
from training.examples import IntentExample
from training.pii import find
from training.privacy import Masker, Memory, natural_intent

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("UNDERSTUDY_DATA", ROOT.parent / "shared" / "data"))
REGIONS = ("US", "GB", "CN")


def found(sample: Sample) -> tuple[bool, bool]:
    """Whether a value is masked as a whole, and whether it is taken for what it is."""
    within = [item for item in find(sample.text, REGIONS) if item.start < sample.end and sample.start < item.end]
    covered = {place for item in within for place in range(item.start, item.end)}
    value = range(sample.start, sample.end)
    whole = all(place in covered for place in value if sample.text[place].isalnum())
    return whole, whole and any(item.kind == sample.kind for item in within)


def bounds(hits: int, count: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, 95 %."""
    low = 0.0 if hits == 0 else float(betaincinv(hits, count - hits + 1, 0.025))
    high = 1.0 if hits == count else float(betaincinv(hits + 1, count - hits, 0.975))
    return low, high


def recall(count: int, seed: int, misses: int) -> None:
    """Print recall of each kind."""
    print("| kind | values | masked | recall (95 %) | taken for what it is |\n| --- | --- | --- | --- | --- |")
    for kind in MAKERS:
        drawn = samples(kind, count, seed)
        results = [found(sample) for sample in drawn]
        hits, right = (sum(column) for column in zip(*results, strict=True))
        low, high = bounds(hits, count)
        print(f"| {kind} | {count} | {hits} | {hits / count:.4f} ({low:.4f}-{high:.4f}) | {right / count:.3f} |")
        for sample, _ in [pair for pair in zip(drawn, results, strict=True) if not pair[1][0]][:misses]:
            print(f"    missed: {sample.text!r} {sample.text[sample.start : sample.end]!r}")
    texts = [sample.text for kind in MAKERS for sample in samples(kind, 200, seed)]
    start = time.perf_counter()
    for text in texts:
        find(text, REGIONS)
    print(f"\n{1e6 * (time.perf_counter() - start) / len(texts):.0f} µs a message that holds such data")


def shop_texts() -> list[str]:
    """What customers say in the demo: the author's examples and the logged conversations."""
    from bot.project import load_project

    texts = [example.text for example in load_project(ROOT / "examples" / "shop").nlu.examples]
    lines = (ROOT / "examples" / "shop" / "logs" / "conversations.jsonl").read_text("utf-8").splitlines()
    turns = [turn for line in lines for turn in json.loads(line)["turns"]]
    return texts + [turn["text"] for turn in turns if turn["speaker"] == "user"]


def ordinary(shown: int) -> None:
    """Print what is masked where little should be."""
    sets: dict[str, Callable[[], list[str]]] = {"examples/shop": shop_texts}
    for name in ("banking77.dev", "clinc150.dev", "massive_en.dev", "massive_zh.dev"):
        path = next(DATA.rglob(f"{name}.jsonl"), None)
        if path is not None:
            lines = path.read_text("utf-8").splitlines()
            sets[name] = lambda lines=lines: [json.loads(line)["text"] for line in lines]  # type: ignore[misc]
    for name, read in sets.items():
        texts = read()
        start = time.perf_counter()
        hits = [(text, item) for text in texts for item in find(text, REGIONS)]
        took = 1e6 * (time.perf_counter() - start) / len(texts)
        counts = dict(Counter(item.kind for _, item in hits))
        touched = len({text for text, item in hits if item.kind != "NUMBER"})
        print(f"{name}: {len(texts)} texts, {took:.0f} µs each; {counts}; other than NUMBER in {touched} texts")
        odd = [pair for pair in hits if pair[1].kind != "NUMBER"] + [pair for pair in hits if pair[1].kind == "NUMBER"]
        for text, item in odd[:shown]:
            print(f"    {item.kind}: {text[item.start : item.end]!r} in {text[:90]!r}")


def customers() -> list[tuple[int, IntentExample]]:
    """What customers of the demo said and what it means, with the number of the conversation."""
    lines = (ROOT / "examples" / "shop" / "logs" / "conversations.jsonl").read_text("utf-8").splitlines()
    rows = []
    for number, line in enumerate(lines):
        for turn in json.loads(line)["turns"]:
            intent = (turn.get("correction") or {}).get("intent") or turn.get("intent")
            if turn["speaker"] == "user" and intent:
                rows.append((number, IntentExample(turn["text"], intent)))
    return rows


def heads(seeds: int) -> None:
    """The intent head on examples/shop as it is trained: the author's examples, and what customers said, masked.

    A third of the conversations is held out each time and measured on raw text, as the head serves.
    """
    from bot.project import load_project
    from skills.encoder import Encoder
    from training.data import from_project
    from training.recipes.intent import fit_intent

    encoder, said = Encoder.load(), customers()
    author = from_project(load_project(ROOT / "examples" / "shop").nlu, "en")[0]
    masker, right, touched = Masker(regions=REGIONS), dict[str, list[float]](), 0
    for seed in range(seeds):
        held = {number for number, _ in said if random.Random(seed * 1000 + number).random() < 1 / 3}
        memories = {number: Memory() for number, _ in said}
        raw = [row for number, row in said if number not in held]
        masked = [
            replace(row, text=masker.mask(row.text, memories[number]).text)
            for number, row in said
            if number not in held
        ]
        touched += sum(one.text != other.text for one, other in zip(raw, masked, strict=True))
        test = [row for number, row in said if number in held]
        texts = [row.text for row in test]
        for name, rows in {"raw": raw, "placeholders": masked, "made up": list(map(natural_intent, masked))}.items():
            head = fit_intent([*author, *rows], encoder)
            ranked = head.run(texts, encoder.vectors(texts)).probabilities.argmax(axis=1)
            hits = sum(head.intents[n] == row.intent for n, row in zip(ranked, test, strict=True))
            right.setdefault(name, []).append(hits / len(test))
            print(f"seed {seed}, {name}: {hits} of {len(test)}", flush=True)
    print(f"{touched / seeds:.0f} of {len(said)} customers' messages were masked")
    for name, values in right.items():
        gap = 100 * (sum(values) - sum(right["raw"])) / seeds
        print(f"| {name} | {sum(values) / seeds:.4f} | {gap:+.2f} points |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shown", type=int, default=5, help="misses or touched texts to show")
    parser.add_argument("--ordinary", action="store_true")
    parser.add_argument("--heads", action="store_true")
    parser.add_argument("--seeds", type=int, default=12)
    chosen = parser.parse_args()
    if chosen.ordinary:
        ordinary(chosen.shown)
    elif chosen.heads:
        heads(chosen.seeds)
    else:
        recall(chosen.count, chosen.seed, chosen.shown)


if __name__ == "__main__":
    main()
