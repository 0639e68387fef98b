"""Masking: how much of injected personal data is found, how much of ordinary text is touched, what it costs to learn.

    python benchmarks/privacy.py                # recall by kind with exact bounds, and time
    python benchmarks/privacy.py --ordinary     # what is masked in shop texts and in public data sets without such data
    python benchmarks/privacy.py --heads        # examples/shop: heads trained on raw, placeholder and made-up text

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scipy.stats import beta

from benchmarks.pii_samples import MAKERS, Sample, samples
from training.pii import find
from training.privacy import Masker, Memory, natural_intent, natural_slots

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
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, count - hits + 1))
    high = 1.0 if hits == count else float(beta.ppf(0.975, hits + 1, count - hits))
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


def heads(seeds: int, injected: float) -> None:
    """Train heads on examples/shop, some messages with personal data put in; measure on raw text."""
    from bot.project import load_project
    from skills.encoder import Encoder
    from skills.entities_head import EntityHead
    from training.data import from_project
    from training.examples import IntentExample, SlotExample
    from training.recipes.entities import EntityOptions, fit_entities, slot_spans
    from training.recipes.intent import fit_intent

    encoder = Encoder.load()
    intents, slots = from_project(load_project(ROOT / "examples" / "shop").nlu, "en")
    masker = Masker(regions=REGIONS)

    def masked_intent(row: IntentExample) -> IntentExample:
        return replace(row, text=masker.mask(row.text, Memory()).text)

    def masked_slots(row: SlotExample) -> SlotExample:
        from training.privacy import _entities, slots_of

        masked = masker.mask(row.text, Memory())
        moved = [masked.entity(entity) for entity in _entities(row)]
        return slots_of(masked.text, moved, row.intent, row.lang, row.where)

    def with_data(rows: Sequence[IntentExample], draw: random.Random) -> list[IntentExample]:
        """Every few rows get a value of some kind at their end, as customers write it."""
        made = []
        for row in rows:
            kind = draw.choice(list(MAKERS))
            value = MAKERS[kind](draw)
            made.append(replace(row, text=f"{row.text}, {value}") if draw.random() < injected else row)
        return made

    ways = {
        "raw": (lambda row: row, lambda row: row),
        "placeholders in training": (masked_intent, lambda row: row),
        "made-up values in training": (lambda row: natural_intent(masked_intent(row)), lambda row: row),
        "placeholders in training and serving": (masked_intent, masked_intent),
    }
    right: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(seeds):
        draw = random.Random(seed)
        order = list(range(len(intents)))
        draw.shuffle(order)
        cut = len(order) // 3
        test = with_data([intents[n] for n in order[:cut]], draw)
        train = with_data([intents[n] for n in order[cut:]], draw)
        for name, (learn, serve) in ways.items():
            head = fit_intent([learn(row) for row in train], encoder)
            told = [serve(row).text for row in test]
            rank = head.run(told, encoder.vectors(told)).probabilities.argmax(axis=1)
            right[name].append(
                sum(head.intents[n] == row.intent for n, row in zip(rank, test, strict=True)) / len(test)
            )
    print(
        f"intent, {seeds} random thirds of {len(intents)} examples held out, {injected:.0%} of messages with such data"
    )
    base = right["raw"]
    for name, values in right.items():
        gap = sum(a - b for a, b in zip(values, base, strict=True)) / seeds
        print(f"| {name} | {sum(values) / seeds:.4f} | {100 * gap:+.2f} points |")

    slot_ways = {
        "raw": (lambda row: row),
        "placeholders in training": masked_slots,
        "made-up values in training": (lambda row: natural_slots(masked_slots(row))),
    }
    for name, learn_slots in slot_ways.items():
        values = []
        for seed in range(max(1, seeds // 2)):
            order = list(range(len(slots)))
            random.Random(seed).shuffle(order)
            test_rows = [slots[n] for n in order[: len(order) // 3]]
            learned = fit_entities([learn_slots(slots[n]) for n in order[len(order) // 3 :]], encoder, EntityOptions())
            assert isinstance(learned, EntityHead)
            told = [row.text for row in test_rows]
            spans = [
                frozenset((e.start, e.end, e.type) for e in row)
                for row in learned.run(told, encoder.run(told, learned.layers))
            ]
            gold = [frozenset(slot_spans(row)) for row in test_rows]
            hits = sum(len(one & other) for one, other in zip(gold, spans, strict=True))
            values.append(2 * hits / sum(len(one) + len(other) for one, other in zip(gold, spans, strict=True)))
        print(f"| slots F1, {name} | {sum(values) / len(values):.4f} |", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shown", type=int, default=5, help="misses or touched texts to show")
    parser.add_argument("--ordinary", action="store_true")
    parser.add_argument("--heads", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--injected", type=float, default=0.3)
    chosen = parser.parse_args()
    if chosen.ordinary:
        ordinary(chosen.shown)
    elif chosen.heads:
        heads(chosen.seeds, chosen.injected)
    else:
        recall(chosen.count, chosen.seed, chosen.shown)


if __name__ == "__main__":
    main()
