"""Slot filling on SNIPS: quality and cost of the frozen head and of late branches of every depth.

    python benchmarks/slots.py                     # the chosen setting
    python benchmarks/slots.py --curve --epochs 2  # depths 0 (frozen) to 6
    python benchmarks/slots.py --intent            # the frozen intent head, on the same forward

Trains on every row of snips.train, measures on snips.dev. Slot F1 counts a span when its characters and its type are
right. Times are medians of one text at a time. Results are appended to --out as JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from skills.encoder import Encoder
from skills.entities_head import EntityHead
from training.examples import IntentExample, SlotExample
from training.metrics import accuracy, bootstrap, span_f1
from training.recipes.entities import EntityOptions, fit_entities, slot_spans
from training.recipes.intent import fit_intent

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))


def read(split: str) -> list[SlotExample]:
    """The rows of a split."""
    lines = (DATA / "slots" / f"snips.{split}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [SlotExample(tuple(row["tokens"]), tuple(row["tags"]), row["intent"], row["lang"]) for row in rows]


def predict(head: EntityHead, encoder: Encoder, rows: Sequence[SlotExample]) -> list[frozenset[tuple[int, int, str]]]:
    """The spans of each row: characters and kind."""
    texts = [row.text for row in rows]
    found = head.run(texts, encoder.run(texts, head.layers))
    return [frozenset((entity.start, entity.end, entity.type) for entity in entities) for entities in found]


def milliseconds(head: EntityHead, encoder: Encoder, rows: Sequence[SlotExample]) -> tuple[float, float]:
    """Milliseconds for one text at a time: the shared forward, and what the head adds."""
    shared, own = list[float](), list[float]()
    for row in rows:
        start = time.perf_counter()
        encoding = encoder.run([row.text], head.layers)
        middle = time.perf_counter()
        head.run([row.text], encoding)
        shared.append(middle - start)
        own.append(time.perf_counter() - middle)
    return 1000 * median(shared), 1000 * median(own)


def measure_intent(encoder: Encoder) -> dict[str, object]:
    """Accuracy of the frozen intent head."""
    train, dev = ([IntentExample(row.text, row.intent) for row in read(split)] for split in ("train", "dev"))
    cpu = time.process_time()
    head = fit_intent(train, encoder)
    cpu = time.process_time() - cpu
    texts = [row.text for row in dev]
    scores = head.run(texts, encoder.vectors(texts)).probabilities
    figure = accuracy([row.intent for row in dev], [head.intents[best] for best in scores.argmax(axis=1)])
    return {
        "intent_accuracy": round(figure.value, 4),
        "low": round(figure.low, 4),
        "high": round(figure.high, 4),
        "train_cpu_s": round(cpu),
    }


def measure(encoder: Encoder, depth: int, epochs: int, folder: Path) -> dict[str, object]:
    """Train, save, load again, measure what was loaded."""
    train, dev = read("train"), read("dev")
    options = EntityOptions(method="late" if depth else "frozen", depth=depth, epochs=epochs)
    cpu, wall = time.process_time(), time.perf_counter()
    head = fit_entities(train, encoder, options)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    head.save(folder / f"depth{depth}")
    head = EntityHead.load(folder / f"depth{depth}")
    gold, predicted = [frozenset(slot_spans(row)) for row in dev], predict(head, encoder, dev)
    f1 = bootstrap(span_f1(gold, predicted), len(dev))
    shared, own = milliseconds(head, encoder, dev[:300])
    return {
        "depth": depth,
        "epochs": epochs,
        "slot_f1": round(f1.value, 4),
        "low": round(f1.low, 4),
        "high": round(f1.high, 4),
        "extra_forwards": round(head.forwards, 3),
        "train_cpu_s": round(cpu),
        "train_wall_s": round(wall),
        "shared_ms": round(shared, 2),
        "head_ms": round(own, 2),
        "rows": len(train),
    }


def main() -> None:
    """Measure the chosen setting or the curve."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depths", type=int, nargs="*", default=[3])
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--intent", action="store_true")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("slots.jsonl"))
    parser.add_argument("--heads", type=Path, default=Path("slots-heads"))
    arguments = parser.parse_args()
    encoder = Encoder.load()
    if arguments.intent:
        print(json.dumps(measure_intent(encoder)))
        return
    for depth in range(7) if arguments.curve else arguments.depths:
        result = measure(encoder, depth, arguments.epochs, arguments.heads)
        print(json.dumps(result), flush=True)
        with arguments.out.open("a") as stream:
            stream.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
