"""Intents from 5 and 10 examples a class: Banking77, CLINC150 and HWU64, five draws each, measured on dev.

    python -m benchmarks.fewshot                                  # the tables of docs/benchmarks/fewshot.md
    python -m benchmarks.fewshot --seeds 1 --sets hwu64 --shots 10 --methods frozen few-shot
    python -m benchmarks.fewshot --stored                         # the tables, of what is stored already
    python -m benchmarks.fewshot --draw                           # make benchmarks/fewshot_splits.json anew

Which rows are drawn is in benchmarks/fewshot_splits.json: line numbers of the train files (the first five of ten are
the draw of five) and the files' digests. Nothing but the drawn rows and the intents' names is trained on; rows marked
out of scope are left out. Data: UNDERSTUDY_DATA/intents/SET.{train,dev}.jsonl.

Each head's result is put into docs/benchmarks/fewshot.json as soon as it is there: what was right row by row, and the
digest of the code that trained it. So a run that was stopped goes on, and what other code trained is measured anew
(--fresh: all is; --stored: nothing is, the tables are made of what is there).

Intervals are 95 %, from a bootstrap over draws and over rows of dev. The exit code is 1 where an aim is missed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.stored import ROOT, Stored, digest
from skills.encoder import Encoder
from skills.intent import IntentHead
from training import metrics
from training.data import read_intents
from training.examples import OOS, IntentExample
from training.recipes.intent import IntentOptions, Method, fit_intent

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data")) / "intents"
SPLITS = Path(__file__).with_name("fewshot_splits.json")
RESULTS = ROOT / "docs/benchmarks/fewshot.json"
CODE = (
    "training/recipes/intent*.py",
    "training/recipes/discriminant.py",
    "training/recipes/finetune.py",
    "skills/intent*.py",
    "skills/encoder*.py",
)
"""What trains and measures heads."""
SETS = ("banking77", "clinc150", "hwu64")
METHODS: tuple[Method, ...] = ("frozen", "few-shot", "late-branch")
SEED = 20261122
DRAWS, MOST = 5, 10
AIMED: Method = "late-branch"
AIMS = {("banking77", 10): 0.85, ("clinc150", 10): 0.93, ("hwu64", 10): 0.84}
PUBLISHED = {
    ("banking77", 5): 0.8086,
    ("clinc150", 5): 0.9234,
    ("hwu64", 5): 0.8203,
    ("banking77", 10): 0.8720,
    ("clinc150", 10): 0.9418,
    ("hwu64", 10): 0.8713,
}
"""CPFT, as in the README of jianguoz/Few-Shot-Intent-Detection."""


@dataclass(frozen=True, slots=True)
class Run:
    """One head to be trained and measured."""

    name: str
    shots: int
    seed: int
    method: Method

    @property
    def title(self) -> str:
        """What its result is stored under."""
        return f"{self.name}, {self.shots} examples, {self.method}, draw {self.seed}"


def packed(result: Mapping[str, Any]) -> dict[str, object]:
    """A result as it is stored: the rows' answers are one bit each."""
    right = str(result["right"])
    bits = np.packbits(np.array([bit == "1" for bit in right])).tobytes()
    told = {name: round(float(value), 4) for name, value in result.items() if name != "right"}
    answers = base64.b64encode(bits).decode()
    return {"accuracy": round(right.count("1") / len(right), 4), "rows": len(right), **told, "right": answers}


def unpacked(line: Mapping[str, Any]) -> dict[str, object]:
    """A result as `measure` gave it."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(line["right"]), np.uint8))[: line["rows"]]
    return {**line, "right": "".join("01"[bit] for bit in bits)}


def main(arguments: Sequence[str]) -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Few-shot intents.")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--shots", nargs="+", type=int, default=(10, 5))
    parser.add_argument("--seeds", type=int, default=DRAWS, help="how many of the draws")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="measure again what is stored")
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    parser.add_argument("--draw", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.draw:
        SPLITS.write_text(json.dumps({name: draw(name) for name in SETS}, separators=(",", ":")) + "\n", "utf-8")
        return 0
    runs = [
        Run(name, shots, seed, method)
        for method in chosen.methods
        for seed in range(chosen.seeds)
        for shots in chosen.shots
        for name in chosen.sets
    ]
    stored = Stored(RESULTS, digest(CODE))
    if not chosen.stored:
        _measure([run for run in runs if chosen.fresh or not stored.current(run.title)], chosen.workers, stored)
    results = {run: unpacked(stored[run.title]) for run in runs if run.title in stored}
    print(table(results))
    return 0 if all(_mean(results, *aimed) >= least for aimed, least in AIMS.items()) else 1


def draw(name: str) -> dict[str, object]:
    """Line numbers, from 0, of ten rows of each intent, five times."""
    path = DATA / f"{name}.train.jsonl"
    numbers = defaultdict(list)
    for number, line in enumerate(path.read_text("utf-8").splitlines()):
        numbers[json.loads(line)["intent"]].append(number)
    numbers.pop(OOS, None)
    draws = []
    for seed in range(DRAWS):
        random = np.random.default_rng([SEED, seed])
        draws.append([random.permutation(numbers[intent])[:MOST].tolist() for intent in sorted(numbers)])
    return {"sha256": _digest(path), "draws": draws}


def measure(run: Run) -> dict[str, object]:
    """Train on a draw, measure on dev: what was right row by row, CPU seconds, out-of-scope figures."""
    encoder = _encoder()
    began = time.process_time()
    head = fit_intent(drawn(run), encoder, IntentOptions(method=run.method, seed=run.seed))
    seconds = time.process_time() - began
    rows = read_intents(DATA / f"{run.name}.dev.jsonl")
    return {"cpu_s": seconds, **scored(head, encoder, rows)}


def drawn(run: Run) -> list[IntentExample]:
    """The rows of a draw.

    Raises:
        SystemExit: the train file is not the one that was drawn from.
    """
    path, split = DATA / f"{run.name}.train.jsonl", json.loads(SPLITS.read_text("utf-8"))[run.name]
    if (found := _digest(path)) != split["sha256"]:
        raise SystemExit(f"{path}: expected sha256 {split['sha256']}, found {found}")
    lines = path.read_text("utf-8").splitlines()
    found_rows = [json.loads(lines[n]) for numbers in split["draws"][run.seed] for n in numbers[: run.shots]]
    return [IntentExample(row["text"], row["intent"]) for row in found_rows]


def scored(head: IntentHead, encoder: Encoder, rows: Sequence[IntentExample]) -> dict[str, object]:
    """The figures of a head on rows of dev."""
    found = head.read([row.text for row in rows], encoder)
    inside = np.array([row.intent != OOS for row in rows])
    best = found.probabilities.argmax(axis=1)
    right = [head.intents[n] == row.intent for n, row in zip(best, rows, strict=True) if row.intent != OOS]
    figures: dict[str, object] = {"right": "".join("01"[hit] for hit in right)}
    figures["ece"] = metrics.ece(found.probabilities[inside].max(axis=1), right).value
    if not inside.all():
        figures["oos_auroc"] = metrics.auroc(inside.tolist(), found.in_scope).value
    return figures


def table(results: Mapping[Run, Mapping[str, object]]) -> str:
    """A line for each set, number of examples and method."""
    lines = [
        "| set | examples | method | accuracy | draws | aim | to published | calibration error | CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups = defaultdict(list)
    for run, result in results.items():
        groups[run.name, run.shots, run.method].append(result)
    for (name, shots, method), found in sorted(groups.items()):
        right = np.array([[bit == "1" for bit in str(item["right"])] for item in found], float)
        low, high = interval(right)
        aim = AIMS.get((name, shots))
        told = "" if aim is None else f"{aim:.2f} {'met' if right.mean() >= aim else 'missed'}"
        ece = np.mean([item["ece"] for item in found])
        seconds = np.mean([item["cpu_s"] for item in found])
        lines.append(
            f"| {name} | {shots} | {method} | {right.mean():.3f} [{low:.3f}, {high:.3f}] | "
            f"{right.mean(axis=1).min():.3f} to {right.mean(axis=1).max():.3f} of {len(right)} | {told} | "
            f"{100 * (right.mean() - PUBLISHED[name, shots]):+.1f} | {ece:.3f} | {seconds:.0f} |"
        )
    return "\n".join(lines)


def _mean(results: Mapping[Run, Mapping[str, object]], name: str, shots: int) -> float:
    """The mean accuracy of the method that the aims are for; 1 where nothing was measured."""
    mine = [run for run in results if (run.name, run.shots, run.method) == (name, shots, AIMED)]
    return float(np.mean([results[run]["accuracy"] for run in mine])) if mine else 1.0  # type: ignore[arg-type]


def interval(right: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of (draws, rows), resampling both."""
    random = np.random.default_rng(0)
    draws, rows = right.shape
    means = [right[random.integers(draws, size=draws)][:, random.integers(rows, size=rows)].mean() for _ in range(1000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _measure(missing: Sequence[Run], workers: int, stored: Stored) -> None:
    with Progress() as shown, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        task = shown.add_task("training", total=len(missing))
        waiting = {pool.submit(measure, run): run for run in missing}
        for done in as_completed(waiting):
            run, result = waiting[done], done.result()
            stored.put(run.title, packed(result))
            right = str(result["right"])
            shown.console.print(f"{run} {right.count('1') / len(right):.4f} {result['cpu_s']:.0f} CPU s")
            shown.advance(task)


_LOADED: list[Encoder] = []


def _encoder() -> Encoder:
    if not _LOADED:
        _LOADED.append(Encoder.load())
    return _LOADED[0]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
