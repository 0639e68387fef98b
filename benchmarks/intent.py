"""Intent head on public sets: accuracy, calibration, out-of-scope recall, training time, size on disk.

    python -m benchmarks.intent                   # the table of docs/benchmarks/intent.md
    python -m benchmarks.intent banking77         # one set

Trained on train, measured on dev, out-of-scope rows kept out of training. Prints one line a set, then all of it as
JSON; intervals are 95 %. Two out-of-scope figures: at the threshold that training fitted, and at the threshold that
accepts 97 % of these in-scope rows. Data: UNDERSTUDY_DATA/intents/SET.{train,dev}.jsonl.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skills.encoder import Encoder
from skills.intent import IntentHead
from training import metrics
from training.data import read_intents
from training.examples import OOS, IntentExample
from training.recipes.intent import fit_intent

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data"))
SETS = ("banking77", "hwu64", "clinc150", "bitext_customer_service")


def main(names: Sequence[str]) -> int:
    """Measure the sets named, or all."""
    encoder = Encoder.load()
    results = {}
    for name in names or SETS:
        results[name] = measure(name, encoder)
        print(name, " ".join(f"{key}={_short(value)}" for key, value in results[name].items()), flush=True)
    print(json.dumps(results))
    return 0


def measure(name: str, encoder: Encoder) -> dict[str, object]:
    """Train on a set without its out-of-scope rows, measure on dev."""
    rows = [row for row in read_intents(DATA / f"intents/{name}.train.jsonl") if row.intent != OOS]
    wall, cpu = time.perf_counter(), time.process_time()
    head = fit_intent(rows, encoder)
    times = {"train_wall_s": time.perf_counter() - wall, "train_cpu_s": time.process_time() - cpu}
    return {"rows": len(rows), **scores(head, encoder, read_intents(DATA / f"intents/{name}.dev.jsonl")), **times}


def scores(head: IntentHead, encoder: Encoder, rows: Sequence[IntentExample]) -> dict[str, object]:
    """All figures of a head on some rows."""
    texts = [row.text for row in rows]
    found = head.run(texts, encoder.vectors(texts))
    inside = np.array([row.intent != OOS for row in rows])
    gold = [row.intent for row in rows if row.intent != OOS]
    best = found.probabilities[inside].argmax(axis=1)
    predicted = [head.intents[n] for n in best]
    right = [one == other for one, other in zip(gold, predicted, strict=True)]
    accepted = found.in_scope >= head.threshold
    figures: dict[str, object] = {
        "accuracy": metrics.accuracy(gold, predicted).model_dump(),
        "macro_f1": metrics.macro_f1(gold, predicted).model_dump(),
        "ece": metrics.ece(found.probabilities[inside].max(axis=1), right).model_dump(),
        "accepted": metrics.share(int(accepted[inside].sum()), int(inside.sum())).model_dump(),
        "bytes": _size(head),
    }
    if not inside.all():
        missed = int((~accepted[~inside]).sum())
        figures["oos_recall_fitted"] = metrics.share(missed, int((~inside).sum())).model_dump()
        figures["oos_recall_97"] = metrics.oos_recall(inside.tolist(), found.in_scope).model_dump()
        figures["oos_auroc"] = metrics.auroc(inside.tolist(), found.in_scope).model_dump()
    return figures


def _size(head: IntentHead) -> int:
    with tempfile.TemporaryDirectory() as folder:
        head.save(Path(folder))
        return sum(file.stat().st_size for file in Path(folder).iterdir())


def _short(value: object) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.4f}[{value['low']:.3f},{value['high']:.3f}]"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
