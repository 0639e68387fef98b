"""A year in ten minutes: does the loop make a good bot of few corrections and many noisy signs?

    python -m benchmarks.year --write docs/benchmarks      # docs/benchmarks/year.md: Banking77
    python -m benchmarks.year clinc150                     # the larger set, the review queue's year only
    python -m benchmarks.year --quick                      # our own demo's examples, in seconds
    python -m benchmarks.year --stored --write docs/benchmarks   # tables and picture of year.json, anew

The train rows of a public data set come as twelve months of conversations (`benchmarks.year_world`). The bot begins
with five examples an intent for a part of the intents; customers bring new wishes each month, for which an author
writes five examples at its end. Each month customers talk to the bundle in use through the gateway, a person answers
what is asked of them, and `bot learn` labels, trains, judges and promotes (`benchmarks.year_bot`). The same year with
half as many corrections again, drawn at random, is run beside it, in a process of its own.
Data: UNDERSTUDY_DATA/intents/SET.{train,dev}.jsonl. Prints Markdown; `--write FOLDER` writes year.json and year.svg,
and puts the tables into year.md, between its two marks.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.year_bot import Month, Setting, Year, cpu
from benchmarks.year_data import Rows, accuracy, keep, open_encoder, shop
from benchmarks.year_page import plot, table
from training.data import read_intents
from training.examples import IntentExample
from training.recipes.intent import fit_intent

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data"))
SHOP = Path(__file__).parents[1] / "examples/shop"
CORRECTIONS = {"banking77": 500, "clinc150": 750, "shop": 36}
"""About 5 % of the train rows."""
MORE = 1.5
VECTORS = "vectors.npz"
MARKS = ("<!-- figures -->", "<!-- end of figures -->")


def read(name: str) -> tuple[Sequence[IntentExample], Sequence[IntentExample]]:
    """What customers say in the year, and what measures."""
    if name == "shop":
        return shop(SHOP)
    train, dev = (read_intents(DATA / f"intents/{name}.{side}.jsonl") for side in ("train", "dev"))
    return train, dev


def run(setting: Setting, kept: Path) -> list[Month]:
    """One year, told month by month, and kept as far as it has come."""
    loaded = open_encoder(kept / VECTORS)
    rows = Rows.of(*read(setting.name), loaded)

    months: list[Month] = []

    def told(number: int, month: Month) -> None:
        months.append(month)
        (kept / f"{setting.by}.json").write_text(json.dumps([asdict(one) for one in months]) + "\n", encoding="utf-8")
        figures = f"{month.spent} corrections, {month.signs} signs, accuracy {month.accuracy:.3f}"
        said = f"{setting.by} {setting.corrections}, month {number + 1}: {month.verdict}, {figures}"
        print("; ".join(part for part in (said, month.why, month.canary) if part), file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        return Year(setting, rows, loaded, Path(folder)).run(told)


def settings(name: str, seed: int, alone: bool) -> dict[str, Setting]:
    """The years to run, by what they are called."""
    budget = CORRECTIONS[name]
    first = Setting(name, budget, "queue", seed)
    if name == "shop":
        first = replace(first, months=3, poisoned=1, tried=2)
    more = round(MORE * budget)
    other = replace(first, corrections=more, by="random", poisoned=-1, tried=-1)
    found = {f"queue ({budget})": first, f"random ({more})": other}
    return {title: one for title, one in found.items() if one is first or not alone}


def main(arguments: Sequence[str]) -> int:
    """All years of a set, two at a time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("set", nargs="?", default="banking77", choices=[name for name in CORRECTIONS if name != "shop"])
    parser.add_argument("--quick", action="store_true", help="a few months of our own examples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="without the year of random corrections")
    parser.add_argument("--write", type=Path, help="a folder for year.json and year.svg")
    parser.add_argument("--keep", type=Path, help="a folder for the encoded rows, and for the months as they pass")
    parser.add_argument("--stored", action="store_true", help="run nothing: show what year.json holds")
    given = parser.parse_args(arguments)
    if given.stored:
        return _show(given.write, json.loads((given.write / "year.json").read_text("utf-8")))
    name, began = "shop" if given.quick else given.set, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        kept = given.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        loaded = open_encoder(kept / VECTORS)
        rows = Rows.of(*read(name), loaded)
        loaded.vectors([row.text for row in rows.dev])
        keep(loaded, kept / VECTORS)
        wanted = settings(name, given.seed, given.alone or name == "clinc150")
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            tasks = {title: pool.submit(run, setting, kept) for title, setting in wanted.items()}
            full = accuracy(fit_intent(rows.train, loaded), rows.dev, loaded)[0]
            years = {title: task.result() for title, task in tasks.items()}
    took = f"{name}, seed {given.seed}: {time.perf_counter() - began:.0f} s, {cpu():.0f} CPU s"
    shown = {title: [asdict(month) for month in year] for title, year in years.items()}
    return _show(given.write, {"full": full, "took": took, "years": shown})


def _show(folder: Path | None, found: Mapping[str, Any]) -> int:
    """Print the tables; write them, the picture and the figures into a folder, if there is one."""
    years = {title: [Month.read(month) for month in year] for title, year in found["years"].items()}
    told = f"{_told(years, found['full'])}\n{found['took']}\n"
    print(told)
    if folder is not None:
        (folder / "year.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (folder / "year.svg").write_text(plot(years, found["full"], next(iter(years))), encoding="utf-8")
        _insert(folder / "year.md", told)
    return 0


def _told(years: dict[str, list[Month]], full: float) -> str:
    lines = [f"Trained on every true label: {full:.4f}", ""]
    for title, year in years.items():
        last = year[-1].accuracy
        lines += [f"Corrections by {title}: {last:.4f} at the end, {100 * (full - last):.1f} points below.", ""]
        lines += [table(year), ""]
        for number, month in enumerate(year, 1):
            why = [part for part in (month.why, month.canary) if part]
            lines += [f"* Month {number}: {'; '.join(why)}"] if why else []
        lines.append("")
    return "\n".join(lines)


def _insert(page: Path, told: str) -> None:
    """Put figures between the marks of a page, if it is there."""
    if page.exists():
        before, _, rest = page.read_text("utf-8").partition(MARKS[0])
        page.write_text(f"{before}{MARKS[0]}\n{told}{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
