"""Verbs that look after a bot: doctor, models, replay."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import as_json, console, project_folder
from bot.cli.promotion import models, monitor
from bot.core.errors import InputError

if TYPE_CHECKING:
    from bot.core.events import Recorded

Project = Annotated[Path, typer.Option("--project", "-p", help="The project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Conversation = Annotated[str, typer.Argument(help="The conversation's id.")]
HERE = Path()


def doctor(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    json: Json = False,
) -> None:
    """Check the machine, the project, its models, log and port; exit code 1 when something is wrong."""
    from bot.doctor import examine

    findings = list(examine(project_folder(directory)))
    if json:
        as_json({"findings": findings})
    else:
        colours = {"ok": "green", "warning": "yellow", "error": "red"}
        for finding in findings:
            console.print(f"{finding.state:<8}", style=colours[finding.state], end="")
            console.print(f"{finding.what}: {finding.found}", markup=False)
            if finding.fix:
                console.print(f"        -> {finding.fix}", markup=False)
    raise typer.Exit(1 if any(finding.state == "error" for finding in findings) else 0)


async def _read(root: Path, conversation: str) -> Sequence[Recorded]:
    from bot.config import load_settings
    from bot.core.errors import NotFound
    from bot.store import SqlStore

    path = load_settings(root).log_file(root)
    if not path.exists():
        raise NotFound(f"there is no log at {path}; nobody has talked to this bot yet")
    async with SqlStore(path) as store:
        history = await store.read(conversation)
    if not history:
        raise NotFound(f"there is no conversation {conversation!r} in {path}")
    return history


def replay(
    conversation: Annotated[str | None, typer.Argument(help="The conversation's id.")] = None,
    project: Project = HERE,
    bundle: Annotated[
        str, typer.Option("--with", help="A bundle: list all past turns whose next step it would change.")
    ] = "",
    since: Annotated[str, typer.Option(help="With --with: only turns from this day on, such as 2026-11-01.")] = "",
    json: Json = False,
) -> None:
    """Go through a stored conversation event by event; or through all of them with another bundle."""
    if (conversation is None) == (not bundle):
        raise InputError("name one conversation, or a bundle with --with")
    if bundle:
        from bot.cli.promotion import counterfactual

        counterfactual(project_folder(project), bundle, since, json=json)
        return
    assert conversation is not None
    from bot.cli.replaying import lines
    from bot.core.conversation import fold

    history = asyncio.run(_read(project_folder(project), conversation))
    state = fold(conversation, history)
    if json:
        as_json({"events": history, "slots": dict(state.slots), "status": state.status, "turns": state.turn})
        return
    for line in lines(history):
        console.print(line, markup=False)
    console.print(
        f"status {state.status}; slots {dict(state.slots)}; flows {[frame.flow for frame in state.stack]}", markup=False
    )


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (doctor, monitor, replay):
        app.command()(verb)
    app.add_typer(models, name="models")
