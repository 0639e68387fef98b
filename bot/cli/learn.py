"""Verbs that teach: ingest, train, eval, import."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import as_json, console, progress, project_folder, table
from bot.core.errors import InputError

Dir = Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")]
Project = Annotated[Path, typer.Option("--project", "-p", help="The project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
HERE = Path()


def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders.", show_default="those of bot.yml")
    ] = None,
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Read documents into the knowledge index: Markdown, text, HTML, PDF, DOCX, CSV and JSONL question-answer pairs."""
    from bot.app import index_folder, load_encoder
    from bot.project import load_project
    from retrieval.ingest import ingest as build

    root = project_folder(project)
    loaded = load_project(root)
    wanted = paths or list(loaded.knowledge)
    if not wanted:
        raise InputError("no documents named; give paths, or list them under `knowledge:` in bot.yml")
    encoder = load_encoder(loaded.settings, root)
    with progress(json) as advance:
        result = build(
            wanted,
            index_folder(loaded.settings, root),
            encoder,
            lambda stage, done, total: advance(f"documents: {stage}", done / max(total, 1)),
        )
    if json:
        as_json(result)
        return
    console.print(
        f"{result.documents} documents in {result.chunks} passages; {result.skipped} files unchanged. "
        f"Index {result.index}"
    )
    for fault in result.errors:
        console.print(f"  left out: {fault}", style="yellow", markup=False)
    for name in result.ignored:
        console.print(f"  not a document: {name}", style="dim", markup=False)


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (ingest,):
        app.command()(verb)


_ = asyncio, table
