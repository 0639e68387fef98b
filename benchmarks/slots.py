"""Slot filling on SNIPS: quality and cost of the frozen head and of late branches of every depth.

    python benchmarks/slots.py                     # the chosen setting
    python benchmarks/slots.py --curve --epochs 3  # depths 0 (frozen) to 6

Trains on every row of snips.train, measures on snips.dev. Slot F1 counts a span when its characters and its type are
right. Intent accuracy is the frozen intent head's, on the same forward. Results are appended to --out as JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from skills.encoder import Encoder
from skills.entities_head import EntityHead
from training.examples import SlotExample
from training.metrics import bootstrap, span_f1
from training.recipes.entities import EntityOptions, fit_entities, slot_spans

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
    """CPU milliseconds for one text at a time: the shared forward alone, and what the head adds."""
    start = time.process_time()
    encodings = [encoder.run([row.text], head.layers) for row in rows]
    shared = time.process_time() - start
    start = time.process_time()
    for row, encoding in zip(rows, encodings, strict=True):
        head.run([row.text], encoding)
    return 1000 * shared / len(rows), 1000 * (time.process_time() - start) / len(rows)


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
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("slots.jsonl"))
    parser.add_argument("--heads", type=Path, default=Path("slots-heads"))
    arguments = parser.parse_args()
    encoder = Encoder.load()
    for depth in [0, 1, 2, 3, 4, 5, 6] if arguments.curve else arguments.depths:
        result = measure(encoder, depth, arguments.epochs, arguments.heads)
        print(json.dumps(result), flush=True)
        with arguments.out.open("a") as stream:
            stream.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
