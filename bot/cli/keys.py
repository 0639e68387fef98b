"""`bot keys`: who may use the bot as a model over its OpenAI-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import as_json, console, project_folder, table

if TYPE_CHECKING:
    from bot.keys import Keys

Project = Annotated[Path, typer.Option("--project", "-p", help="The project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
PerMinute = Annotated[int | None, typer.Option(min=1, help="Its own quota.", show_default="bot.yml")]
HERE = Path()

keys = typer.Typer(no_args_is_help=True, help="Keys for the OpenAI-compatible server: add, list, revoke.")


def _keys(project: Path) -> Keys:
    from bot.config import load_settings
    from bot.keys import Keys

    root = project_folder(project)
    return Keys(load_settings(root).state_folder(root))


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who will hold it.")],
    project: Project = HERE,
    requests_per_minute: PerMinute = None,
    tokens_per_minute: PerMinute = None,
    json: Json = False,
) -> None:
    """Make a key and show it, this once."""
    key, secret = _keys(project).add(name, requests_per_minute, tokens_per_minute)
    if json:
        as_json({"id": key.id, "name": key.name, "key": secret})
        return
    console.print(secret, markup=False)
    console.print("It is shown only now. Clients need it and the address http://HOST:PORT/v1", style="dim")


@keys.command("list")
def list_keys(project: Project = HERE, json: Json = False) -> None:
    """Show the keys: names and quotas, never the keys themselves."""
    found = _keys(project).list()
    if json:
        as_json([key.model_dump(exclude={"sha256"}) for key in found])
        return
    if not found:
        console.print("There is no key, so the OpenAI-compatible server is off. Add one: bot keys add NAME")
        return
    columns = ["id", "name", "created", "revoked", "requests a minute", "tokens a minute"]
    rows = [
        (key.id, key.name, key.created, key.revoked, key.requests_per_minute or "", key.tokens_per_minute or "")
        for key in found
    ]
    table("Keys", columns, rows)


@keys.command("revoke")
def revoke_key(
    which: Annotated[str, typer.Argument(help="The id or name of a key.")], project: Project = HERE, json: Json = False
) -> None:
    """Let a key work no more, from now on."""
    key = _keys(project).revoke(which)
    if json:
        as_json(key.model_dump(exclude={"sha256"}))
        return
    console.print(f"The key {key.id} of {key.name!r} works no more", markup=False)


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(keys, name="keys")
