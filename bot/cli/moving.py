"""Verbs of moving in: import, and `init --from`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import Advance, as_json, console, progress, project_folder, table
from bot.core.errors import InputError

if TYPE_CHECKING:
    from training.importer import ImportResult
    from training.rasa_import import RasaImport

HERE = Path()
_SHOWN = 5


def import_(
    file: Annotated[
        Path | None, typer.Argument(help="Conversations: JSONL or CSV, or tracker dumps of Rasa (JSON, JSONL).")
    ] = None,
    rasa_store: Annotated[
        str, typer.Option("--rasa-store", help="URL of a Rasa SQL tracker store, such as sqlite:///rasa.db.")
    ] = "",
    project: Annotated[Path, typer.Option("--project", "-p", help="The project folder.")] = HERE,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Bring logged conversations into the log, with ratings and corrections; doing it again changes nothing."""
    from training.rasa_rows import is_rasa_file

    if (file is None) == (not rasa_store):
        raise InputError("name one source: a FILE, or --rasa-store URL")
    root = project_folder(project)
    if file is not None and not is_rasa_file(file):
        _plain(file, root, json)
    else:
        _rasa(file, rasa_store, root, json)


def _plain(file: Path, root: Path, json: bool) -> None:
    with progress(json) as advance:
        result = asyncio.run(_import_plain(file, root, advance))
    if json:
        as_json(result)
        return
    console.print(
        f"{result.written} conversations written ({result.turns} turns, {result.ratings} ratings, "
        f"{result.corrections} corrections); {result.known} were in the log already"
    )
    console.print("Next: bot train", style="dim")


async def _import_plain(file: Path, root: Path, advance: Advance) -> ImportResult:
    from bot.store import SqlStore
    from training.importer import import_file

    async with SqlStore(_log(root)) as store:
        return await import_file(file, store, lambda share, what: advance("importing", share))


def _rasa(file: Path | None, url: str, root: Path, json: bool) -> None:
    from training.rasa_import import write_rejects

    with progress(json) as advance:
        result = asyncio.run(_import_rasa(file, url, root, advance))
    rejects = None
    if result.rejects:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        rejects = _log(root).parent / "rejects" / f"rasa-{stamp}.jsonl"
        write_rejects(rejects, result.rejects)
    if json:
        as_json({**result.counts(), "rejects": len(result.rejects), "rejects_file": rejects})
    else:
        _show(result, rejects)


async def _import_rasa(file: Path | None, url: str, root: Path, advance: Advance) -> RasaImport:
    from bot.store import SqlStore
    from training.rasa_import import import_rasa
    from training.rasa_rows import FilePast, SqlPast

    source = SqlPast(url) if file is None else FilePast(file)
    try:
        async with SqlStore(_log(root)) as store:
            return await import_rasa(source, store, lambda share, what: advance("importing", share))
    finally:
        source.close()


def _show(result: RasaImport, rejects: Path | None) -> None:
    console.print(
        f"{result.conversations} conversations read: {result.written} written, {result.extended} continued, "
        f"{result.known} were in the log already, {result.erased} stay erased, {result.differ} are there with "
        "another content"
    )
    console.print(
        f"{result.added} events added ({result.turns} turns, {result.foreign} events kept as foreign); "
        f"{result.events} of the source are in the log now"
    )
    for reject in result.rejects[:_SHOWN]:
        console.print(f"  left out: {reject.where} of {reject.sender!r}: {reject.reason}", style="yellow", markup=False)
    if rejects is not None:
        console.print(f"{len(result.rejects)} rows were left out; all of them are in {rejects}", markup=False)
    console.print("Next: bot train", style="dim")


def take_over(root: Path) -> None:
    """Write bot.yml beside a Rasa project; show what maps to what, what is missing and what to do next."""
    from bot.adopting import adopt

    found = adopt(project_folder(root))
    table("What the project has, and what that is here", ["there", "here"], found.maps)
    if found.missing:
        console.print("\nTo look at:")
    for line in found.missing:
        console.print(f"  {line}", style="yellow", markup=False)
    console.print(f"\nWrote {root / 'bot.yml'}; nothing else was written or changed.", markup=False)
    console.print("Next:")
    for command in found.commands:
        console.print(f"  {command}", markup=False)


def _log(root: Path) -> Path:
    from bot.config import load_settings

    path = load_settings(root).log_file(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("import")(import_)
