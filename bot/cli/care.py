"""Verbs that look after a bot: doctor, models, replay, export, erase."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import as_json, console, project_folder, table

if TYPE_CHECKING:
    from bot.bundles import BundleStore, Listed
    from bot.core.events import Recorded

Project = Annotated[Path, typer.Option("--project", "-p", help="The project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Conversation = Annotated[str, typer.Argument(help="The conversation's id.")]
HERE = Path()
models = typer.Typer(no_args_is_help=True, help="List, inspect, promote and roll back model bundles.")


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


def _bundles(project: Path) -> BundleStore:
    from bot.app import model_store
    from bot.config import load_settings

    root = project_folder(project)
    return model_store(load_settings(root), root)


@models.command("list")
def list_models(project: Project = HERE, json: Json = False) -> None:
    """All bundles, the newest first."""
    listed = _bundles(project).list()
    if json:
        as_json({"bundles": listed})
        return
    table("Bundles (* is in use)", ["", "bundle", "made", "holds"], [_row(item) for item in listed])


def _row(item: Listed) -> tuple[str, str, str, str]:
    manifest = item.manifest
    if manifest is None:
        return "!", item.id, "", item.problem
    figures = [
        f"{skill} {name} {metric.value:.3f}"
        for skill, card in manifest.skills.items()
        for name, metric in list(card.metrics.items())[:1]
    ]
    return "*" if item.current else "", item.id, manifest.created, ", ".join(figures)


@models.command("show")
def show_model(bundle: Annotated[str, typer.Argument(help="The bundle's id.")], project: Project = HERE) -> None:
    """The manifest of one bundle, as JSON, after verifying every file, and where its verdict and its page are."""
    from bot.config import load_settings

    manifest = _bundles(project).open(bundle).manifest.model_dump(mode="json")
    pages = load_settings(project).state_folder(project) / "reports" / bundle
    found = {path.name: str(path) for path in sorted(pages.glob("*")) if path.is_file()}
    as_json({**manifest, "pages": found})


@models.command("promote")
def promote_model(
    bundle: Annotated[str, typer.Argument(help="The bundle's id.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "by hand",
    project: Project = HERE,
) -> None:
    """Make a bundle the one in use; a running bot swaps to it between turns."""
    console.print(f"in use: {_bundles(project).promote(bundle, reason).id}")


@models.command("rollback")
def rollback_model(
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "by hand", project: Project = HERE
) -> None:
    """Go back to the bundle that was in use before."""
    console.print(f"in use: {_bundles(project).rollback(reason).id}")


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


def replay(conversation: Conversation, project: Project = HERE, json: Json = False) -> None:
    """Go through a stored conversation event by event, with the state it leads to."""
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


def export(
    conversation: Conversation,
    project: Project = HERE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Write all events of a conversation as JSON lines."""
    history = asyncio.run(_read(project_folder(project), conversation))
    text = "".join(recorded.model_dump_json() + "\n" for recorded in history)
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    console.print(f"{len(history)} events written to {output}", markup=False)


def erase(
    conversation: Conversation,
    project: Project = HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a conversation's content for good; only an empty tombstone stays."""
    root = project_folder(project)
    asyncio.run(_read(root, conversation))
    if not yes:
        typer.confirm(f"Delete everything said in conversation {conversation!r}? This cannot be undone", abort=True)
    from bot.config import load_settings
    from training.gate.page import forget

    gone = asyncio.run(_erase(root, conversation))
    pages = forget(load_settings(root).state_folder(root) / "reports", {conversation})
    console.print(f"{gone} events deleted; a tombstone without content stays")
    for page in pages:
        console.print(f"  no longer quoted in {page}", markup=False)


async def _erase(root: Path, conversation: str) -> int:
    import time

    from bot.config import load_settings
    from bot.store import SqlStore

    async with SqlStore(load_settings(root).log_file(root)) as store:
        return await store.erase(conversation, time.time())


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (doctor, replay, export, erase):
        app.command()(verb)
    app.add_typer(models, name="models")
