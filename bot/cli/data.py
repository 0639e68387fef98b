"""`bot data`: the project's own files, without training or running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import as_json, console, project_folder

HERE = Path()
data = typer.Typer(no_args_is_help=True, help="Check a project's files.")


@data.command("validate")
def validate_data(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Look for contradictions, unknown names and what nothing uses; exit code 1 when there are errors."""
    from bot.project.validate import validate

    findings = validate(project_folder(directory))
    errors = sum(finding.level == "error" for finding in findings)
    if json:
        as_json({"errors": errors, "warnings": len(findings) - errors, "findings": findings})
    else:
        colours = {"warning": "yellow", "error": "red"}
        for finding in findings:
            console.print(f"{finding.level:<8}", style=colours[finding.level], end="")
            console.print(str(finding), markup=False)
        console.print(f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}")
    raise typer.Exit(1 if errors or (strict and findings) else 0)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(data, name="data")
