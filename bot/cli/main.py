"""The verbs together, and the boundary around them: a person never sees a traceback."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from bot import __version__
from bot.cli import (
    acting,
    care,
    data,
    drawing,
    keys,
    labels,
    learn,
    learning,
    moving,
    people,
    reviewing,
    run,
    speaking,
    teaching,
    testing,
    voice,
    why,
)
from bot.cli.output import errors
from bot.core.errors import BotError, UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Understudy: a conversational agent that learns from its own conversations.\n\n"
    "Start with: bot init my-bot; cd my-bot; bot ingest; bot train; bot chat",
    context_settings={"help_option_names": ["-h", "--help"]},
)
run.add(app)
acting.add(app)
testing.add(app)
drawing.add(app)
teaching.add(app)
learn.add(app)
reviewing.add(app)
labels.add(app)
learning.add(app)
speaking.add(app)
moving.add(app)
care.add(app)
people.add(app)
voice.add(app)
keys.add(app)
data.add(app)
why.add(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"understudy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of `bot` itself."""


def main() -> None:
    """Run the command line; the entry point of `bot`."""
    try:
        app()
    except BotError as error:
        errors.print(f"Error: {error}", style="red", markup=False)
        sys.exit(2 if isinstance(error, UserError) else 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        errors.print(
            f"Error: something unexpected happened: {type(error).__name__}: {error}", style="red", markup=False
        )
        errors.print(f"The details are in {_keep_details()}; please report them.", markup=False)
        sys.exit(1)


def _keep_details() -> Path:
    with tempfile.NamedTemporaryFile("w", prefix="understudy-", suffix=".log", delete=False, encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return Path(file.name)
