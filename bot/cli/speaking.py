"""What `bot train` and `bot learn` hand to the trainer where a generator is to word answers; the verb `preferences`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import console, project_folder
from bot.core.errors import BotError, NotFound

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.project import Project
    from skills.encoder import Encoder
    from training.sides import SplitOptions
    from training.speaking import Speaking

HERE = Path()
WORK = "generator-run"
"""The folder of a fit's checkpoints, in the state folder."""


def speaker(project: Project | None, encoder: Encoder, split: SplitOptions) -> Speaking | None:
    """The base model that the project names with what its log teaches it; None where no model of ours is to speak."""
    if project is None:
        return None
    settings, root = project.settings, project.root
    chosen = settings.generator
    if not chosen.enabled or not chosen.model or chosen.base_url:
        return None
    from bot.app import load_index
    from training.consent import cleared
    from training.gather import read_log
    from training.speaking import Speaking, base_folder, taught_by
    from training.wording import Replies, replies

    index, log = load_index(project, encoder), settings.log_file(root)
    found = Replies()
    if index is not None and log.exists():
        taught = taught_by(_in_use(settings, root))
        found = replies(cleared(read_log(log), settings), index, split, taught, encoder.vectors)
    base = base_folder(chosen.model, chosen.revision, root)
    return Speaking(base, found, settings.state_folder(root) / WORK, tone=chosen.tone.style)


def _in_use(settings: Settings, root: Path) -> Path | None:
    """The folder of the bundle in use; None if there is none, or it is damaged."""
    from bot.app import model_store

    try:
        current = model_store(settings, root).open_current()
    except BotError:
        return None
    return None if current is None else current.path


def preferences(
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    project: Annotated[Path, typer.Option("--project", "-p", help="The project folder.")] = HERE,
) -> None:
    """Write liked and disliked answers as JSONL for a preference trainer such as TRL's KTO: see docs/generator.md."""
    from bot.app import load_encoder, load_index
    from bot.project import load_project
    from training.consent import cleared
    from training.gather import read_log
    from training.preferences import as_rows
    from training.preferences import preferences as judged
    from training.speaking import base_folder
    from training.styles import style_of

    loaded = load_project(project_folder(project))
    settings, chosen = loaded.settings, loaded.settings.generator
    index = load_index(loaded, load_encoder(settings, loaded.root))
    if index is None or not chosen.model or not settings.log_file(loaded.root).exists():
        raise NotFound("there is no log, no index (bot ingest), or no `model` below `generator:` in bot.yml")
    style = style_of(base_folder(chosen.model, chosen.revision, loaded.root), chosen.tone.style)
    rows = as_rows(style, list(judged(cleared(read_log(settings.log_file(loaded.root)), settings), index)))
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    console.print(f"{len(rows)} answers, {sum(row['label'] for row in rows)} of them liked")


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(preferences)
