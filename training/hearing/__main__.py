"""`python -m training.hearing`: see the package."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bot.core.errors import BotError
from training.hearing.fit import Recipe, fit


def main(arguments: list[str] | None = None) -> int:
    """Train the starter recogniser; 0, or 2 with one line when something is missing."""
    parser = argparse.ArgumentParser(prog="python -m training.hearing", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with speech/")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes; a run broken off goes on there")
    for item in fields(Recipe):
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=type(item.default), default=item.default)
    found = vars(parser.parse_args(arguments))
    data, out = found.pop("data"), found.pop("out")
    bar = Progress(TextColumn("{task.description:42}"), BarColumn(), TimeRemainingColumn())
    try:
        with bar:
            row = bar.add_task("speaking the first sentences", total=1.0)
            figures = fit(
                data, Recipe(**found), out, lambda done, what: bar.update(row, completed=done, description=what)
            )
    except (BotError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    last = figures["measured"][-1]
    sys.stdout.write(f"word error rate: clean {last['clean']:.1%}, telephone {last['telephone']:.1%}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
