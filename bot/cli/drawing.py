"""The verb `visualize`: flows, rules and stories as a picture."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import as_json, console, project_folder


class Format(StrEnum):
    """What the picture is written as."""

    HTML = "html"
    MERMAID = "mermaid"
    DOT = "dot"


_ENDINGS = {Format.HTML: "html", Format.MERMAID: "mmd", Format.DOT: "dot"}
HERE = Path()


def visualize(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    out: Annotated[
        Path | None, typer.Option(help="The file to write, - for the terminal.", show_default="graph.html, .mmd, .dot")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="html: a page to open; mermaid, dot: text for other tools.")
    ] = Format.HTML,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Draw the project's flows, rules and stories; needs no trained models."""
    from bot.drawing import page
    from bot.drawing.graph import diagrams
    from bot.project import load_project

    root = project_folder(directory)
    drawn = diagrams(load_project(root))
    title = f"{root.resolve().name}: how it talks"
    text = {
        Format.HTML: lambda: page.html(drawn, title),
        Format.MERMAID: lambda: page.mermaid(drawn),
        Format.DOT: lambda: page.dot(drawn),
    }[format_]()
    target = out or Path(f"graph.{_ENDINGS[format_]}")
    if str(target) == "-":
        sys.stdout.write(text)
        return
    target.write_text(text, encoding="utf-8")
    if json:
        as_json({"file": target, "diagrams": [{"title": one.title, "boxes": len(one.nodes)} for one in drawn]})
    else:
        boxes = sum(len(one.nodes) for one in drawn)
        console.print(f"{len(drawn)} diagrams with {boxes} boxes: {target}", markup=False)


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(visualize)
