"""Ten rounds of new intents: what does a bot forget whose old conversations are gone?

    python -m benchmarks.continual                    # the figures of docs/benchmarks/continual.md
    python -m benchmarks.continual --orders 1 --workers 1
    python -m benchmarks.continual --stored           # measure nothing: the table of what is stored already

CLINC150's 150 intents come in ten rounds of 15, in an order drawn by seed; all intents learned so far compete
(class-incremental). Round t brings its 1,500 train rows; those of earlier rounds are gone from the log. After each
round every intent so far is measured on dev. Vectors are those of the frozen, pinned encoder. Two groups of methods:

1. the product: `fit_intent` from nothing each round, on joint (the log still has everything), replay (the round's rows
   and what `training.replay.Replay` keeps), naive (the round's rows only);
2. heads that are trained on from round to round: `benchmarks.continual_nets`, with the terms of EWC and LwF.

Per round t and task i: accuracy A[t, i] among all intents so far. Forgetting: mean over i < T of max over t < T of
A[t, i] less A[T, i]; excess: forgetting less that of joint in the same group and order; backward transfer: mean of
A[T, i] less A[i, i]. Intervals are 95 %, by Student's t over class orders. Seconds are processor time.

Each method's rounds of an order are put into docs/benchmarks/continual.json as soon as they are there, so that a run
that was stopped goes on; the picture beside it is drawn anew. The exit code is 1 where the default forgets more than a
point beyond joint.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from benchmarks.continual_page import plot, table
from benchmarks.stored import ROOT, Stored, digest
from bot.config import PrivacySettings
from bot.core import events as ev
from skills.encoder import Encoder
from training.data import read_intents
from training.examples import OOS, IntentExample
from training.recipes.intent import fit_intent
from training.replay import Replay, Today
from training.rows import Row
from training.sides import pseudonym

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data"))
RESULTS = ROOT / "docs/benchmarks/continual.json"
CODE = (
    "benchmarks/continual_nets.py",
    "training/replay.py",
    "training/recipes/intent*.py",
    "skills/intent*.py",
    "skills/encoder*.py",
)
"""What trains and measures."""
ROUNDS = 10
Floats = npt.NDArray[np.float32]
Predict = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Method:
    """A line of the table. `kept` messages of each earlier intent may be used; None: all of them.

    `net` is the recipe of `continual_nets`, empty for the product's own training.
    """

    name: str
    group: str
    kept: int | None = 0
    net: tuple[tuple[str, str | float | bool], ...] = ()


PRODUCT, LATE = "The product: fitted anew each round", "Head and late layer: trained on from round to round"
DEFAULT = "replay, 50 an intent (default)"
_LATE = ("late", True)
METHODS = (
    Method("joint", PRODUCT, None),
    Method(DEFAULT, PRODUCT, 50),
    Method("naive", PRODUCT),
    Method("joint", LATE, None, (("name", "joint"), _LATE)),
    Method("replay, 50 an intent", LATE, 50, (("name", "replay"), _LATE)),
    Method("LwF", LATE, 0, (("name", "LwF"), _LATE, ("strength", 20.0), ("local", True))),
    Method("EWC", LATE, 0, (("name", "EWC"), _LATE, ("strength", 300.0))),
    Method("naive", LATE, 0, (("name", "naive"), _LATE)),
)


class Known:
    """An encoder that knows the set's texts already; others are encoded."""

    def __init__(self, encoder: Encoder, texts: Sequence[str], vectors: Floats) -> None:
        self._encoder, self._vectors = encoder, vectors
        self._place = {text: number for number, text in enumerate(texts)}
        self.dimension, self.identity = encoder.dimension, encoder.identity

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, float32 (texts, 384)."""
        found = np.zeros((len(texts), self.dimension), np.float32)
        new = [row for row, text in enumerate(texts) if text not in self._place]
        if new:
            found[new] = self._encoder.vectors([texts[row] for row in new])
        old = [row for row, text in enumerate(texts) if text in self._place]
        found[old] = self._vectors[[self._place[texts[row]] for row in old]]
        return found


class World:
    """The rounds of one class order."""

    def __init__(self, encoder: Known, seed: int) -> None:
        self.encoder, self.seed = encoder, seed
        self.train, self.dev = (_rows(side) for side in ("train", "dev"))
        order = np.random.default_rng(seed).permutation(sorted({row.intent for row in self.train}))
        self.tasks = [[str(name) for name in part] for part in np.split(order, ROUNDS)]

    def of(self, intents: Sequence[str]) -> list[IntentExample]:
        """The train rows of some intents."""
        return [row for row in self.train if row.intent in set(intents)]

    def measured(self, predict: Predict, until: int) -> list[float]:
        """Accuracy on each task so far."""
        rows = [row for row in self.dev if any(row.intent in task for task in self.tasks[: until + 1])]
        right = {name: [0, 0] for task in self.tasks for name in task}
        for row, found in zip(rows, predict([row.text for row in rows]), strict=True):
            right[row.intent][0] += found == row.intent
            right[row.intent][1] += 1
        sums = [np.sum([right[name] for name in task], axis=0) for task in self.tasks[: until + 1]]
        return [float(one / all_) for one, all_ in sums]


class Memory:
    """The product's replay, with one conversation a row: alive in its own round, gone afterwards."""

    def __init__(self, folder: Path, most: int, encoder: Known) -> None:
        self._replay = Replay(folder, most, encoder.vectors)
        self._policy = PrivacySettings()

    def recalled(self) -> list[IntentExample]:
        """What is kept of earlier rounds."""
        return [row.intent_example() for row in self._replay.recalled(Today((), self._policy, 1.0))]

    def keep(self, rows: Sequence[IntentExample]) -> int:
        """The round is over; how many rows are kept now."""
        live = [
            Row(id=name, text=row.text, intent=row.intent, source="log", conversation=name, user=name, human=True)
            for row, name in ((row, pseudonym(f"{row.intent}\n{row.text}")) for row in rows)
        ]
        begun = ev.Started(channel="x", sender="")
        log = [ev.Recorded(conversation=row.id, seq=1, turn=0, at=1.0, event=begun) for row in live]
        return self._replay.keep(live, Today(log, self._policy, 1.0))


def run(world: World, method: Method) -> dict[str, object]:
    """All rounds by a method: the matrix, rows used and kept, and seconds a round."""
    matrix, used, seconds = [], [], []
    learner = _learner(world, method)
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory(Path(folder), method.kept or 0, world.encoder)
        for number, task in enumerate(world.tasks):
            fresh = world.of(task)
            old = world.of(list(chain(*world.tasks[:number]))) if method.kept is None else memory.recalled()
            started = time.process_time()
            predict = learner([*old, *fresh], task)
            seconds.append(time.process_time() - started)
            if method.kept:
                memory.keep(fresh)
            matrix.append(world.measured(predict, number))
            used.append(len(old) + len(fresh))
    told: dict[str, object] = {"method": method.name, "group": method.group, "seed": world.seed, "rows": used}
    told["matrix"] = [[round(accuracy, 5) for accuracy in row] for row in matrix]
    return told | {"seconds": [round(second, 2) for second in seconds]}


def _learner(world: World, method: Method) -> Callable[[Sequence[IntentExample], Sequence[str]], Predict]:
    if not method.net:
        return partial(_fitted, world.encoder)
    from benchmarks import continual_nets as nets

    net = nets.first(nets.Recipe(**dict(method.net)), world.seed)  # type: ignore[arg-type]

    def learn(rows: Sequence[IntentExample], new: Sequence[str]) -> Predict:
        nets.learn(net, rows, new, world.encoder.vectors)
        return lambda texts: net.predict(texts, world.encoder.vectors)

    return learn


def _fitted(encoder: Known, rows: Sequence[IntentExample], new: Sequence[str]) -> Predict:
    found = fit_intent(rows, encoder)  # type: ignore[arg-type]

    def predict(texts: Sequence[str]) -> list[str]:
        scores = found.run(texts, encoder.vectors(texts)).probabilities
        return [found.intents[best] for best in scores.argmax(axis=1)]

    return predict


def _rows(side: str) -> list[IntentExample]:
    return [row for row in read_intents(DATA / f"intents/clinc150.{side}.jsonl") if row.intent != OOS]


def figures(result: Mapping[str, object]) -> dict[str, float]:
    """A run in numbers."""
    matrix: list[list[float]] = result["matrix"]  # type: ignore[assignment]
    last, earlier = matrix[-1], range(len(matrix) - 1)
    best = [max(row[task] for row in matrix[:-1] if len(row) > task) for task in earlier]
    seconds: list[float] = result["seconds"]  # type: ignore[assignment]
    return {
        "accuracy": float(np.mean(last)),
        "forgetting": float(np.mean([best[task] - last[task] for task in earlier])),
        "backward": float(np.mean([last[task] - matrix[task][task] for task in earlier])),
        "newest": last[-1],
        "seconds": float(np.mean(seconds)),
        "last_seconds": seconds[-1],
        "rows": float(result["rows"][-1]),  # type: ignore[index]
    }


def summary(results: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """The table: each method's figures over seeds with intervals, and its curve."""
    lines = []
    for method in METHODS:
        mine = [item for item in results if (item["method"], item["group"]) == (method.name, method.group)]
        if not mine:
            continue
        joint = {
            item["seed"]: figures(item)
            for item in results
            if (item["method"], item["group"]) == ("joint", method.group)
        }
        found = [(item["seed"], figures(item)) for item in mine]
        values = {name: [each[name] for _, each in found] for name in found[0][1]}
        pairs = [(each, joint[seed]) for seed, each in found if seed in joint]
        for name in ("forgetting", "accuracy"):
            values[f"excess_{name}"] = [each[name] - other[name] for each, other in pairs]
        curve = np.mean([[np.mean(row) for row in item["matrix"]] for item in mine], axis=0)  # type: ignore[attr-defined]
        told = {name: interval(numbers) for name, numbers in values.items() if numbers}
        lines.append({"name": method.name, "group": method.group, "figures": told, "curve": curve.tolist()})
    return lines


def interval(numbers: Sequence[float]) -> tuple[float, float, int]:
    """Mean, half width of the 95 % interval by Student's t (nan for one number), how many."""
    count = len(numbers)
    half = float(student.ppf(0.975, count - 1) * np.std(numbers, ddof=1) / count**0.5) if count > 1 else float("nan")
    return float(np.mean(numbers)), half, count


def _encoded(path: Path) -> None:
    """All texts of the set as vectors, into a file."""
    encoder, texts = Encoder.load(), sorted({row.text for side in ("train", "dev") for row in _rows(side)})
    vectors = np.concatenate([encoder.vectors(texts[at : at + 512]) for at in range(0, len(texts), 512)])
    np.savez(path, texts=np.array(texts), vectors=vectors)


def _job(path: Path, seed: int, number: int) -> dict[str, object]:
    with np.load(path, allow_pickle=False) as file:
        known = Known(Encoder.load(), [str(text) for text in file["texts"]], file["vectors"])
    return run(World(known, seed), METHODS[number])


def _title(seed: int, number: int) -> str:
    """What a result is stored under."""
    method = METHODS[number]
    return f"order {seed}, {method.name}, {'late' if method.net else 'product'}"


def main(arguments: Sequence[str]) -> int:
    """Run all methods for some class orders; print the table and draw the picture."""
    parser = argparse.ArgumentParser(description="Ten rounds of new intents.")
    parser.add_argument("--orders", nargs="+", type=int, default=(0, 1, 2), help="seeds of the class orders")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stored", action="store_true", help="measure nothing")
    parser.add_argument("--vectors", type=Path, help="keep the encoded texts here, and use them if they are there")
    given = parser.parse_args(arguments)
    stored = Stored(RESULTS, digest(CODE))
    aimed = sorted(range(len(METHODS)), key=lambda number: METHODS[number].kept == 0)  # what the aim needs comes first
    wanted = {_title(seed, number): (seed, number) for seed in given.orders for number in aimed}
    missing = {} if given.stored else {name: one for name, one in wanted.items() if not stored.current(name)}
    if missing:
        _measure(missing, given.workers, stored, given.vectors)
    lines = summary([stored[name] for name in wanted if name in stored])
    RESULTS.with_suffix(".svg").write_text(plot(lines), encoding="utf-8")
    print(table(lines))
    excess = max(line["figures"]["excess_forgetting"][0] for line in lines if line["name"] == DEFAULT)  # type: ignore[index]
    print(f"excess forgetting of the default {100 * excess:.2f} points (aim: at most 1)")
    return 0 if excess <= 0.01 else 1


def _measure(missing: Mapping[str, tuple[int, int]], workers: int, stored: Stored, vectors: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = vectors or Path(folder) / "vectors.npz"
        if not path.exists():
            _encoded(path)
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = {pool.submit(_job, path, *one): name for name, one in missing.items()}
            for done in as_completed(waiting):
                result = done.result()
                stored.put(waiting[done], result)
                told = {name: round(value, 4) for name, value in figures(result).items()}
                print(waiting[done], told, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
