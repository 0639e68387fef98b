"""`python -m training.starter`: see the package."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bot.core.errors import BotError
from training.starter.pretrain import Recipe, pretrain, read


def main(arguments: list[str] | None = None) -> int:
    """Train the starter generator; 0, or 2 with one line when something is missing."""
    parser = argparse.ArgumentParser(prog="python -m training.starter", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with dialogues/, lm/, qa/ and faq/")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes; a run broken off goes on there")
    for item in fields(Recipe):
        parser.add_argument(f"--{item.name}", type=type(item.default), default=item.default)
    found = vars(parser.parse_args(arguments))
    data, out = found.pop("data"), found.pop("out")
    recipe = Recipe(**found)
    bar = Progress(TextColumn("{task.description:42}"), BarColumn(), TimeRemainingColumn())
    try:
        with bar:
            row = bar.add_task("reading the files", total=1.0)
            files = read(data, recipe.tasks)
            figures = pretrain(files, recipe, out, lambda done, what: bar.update(row, completed=done, description=what))
    except (BotError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{name:16}{value}\n" for name, value in figures.items() if name != "curve"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
