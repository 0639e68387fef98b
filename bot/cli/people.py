"""Verbs about a person: export, erase, consent."""

from __future__ import annotations

import asyncio
import json as text_json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import as_json, console, plain, project_folder
from bot.core.errors import InputError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from training.erasing import Erased, Place
    from training.people import Person
    from training.receipts import Receipt

Project = Annotated[Path, typer.Option("--project", "-p", help="The project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Who = Annotated[str, typer.Argument(help="A user (who a channel says has written) or a conversation's id.")]
HERE = Path()
_SHOWN = 10


def _place(project: Path) -> Place:
    from bot.app import model_store
    from bot.config import load_settings
    from bot.core.errors import NotFound
    from bot.project import load_project
    from training.erasing import Place

    root = project_folder(project).resolve()
    settings = load_settings(root)
    log = settings.log_file(root)
    if not log.exists():
        raise NotFound(f"there is no log at {log}; nobody has talked to this bot yet")
    state = settings.state_folder(root)
    return Place(root, state, log, model_store(settings, root).root, settings, load_project(root))


def export(
    who: Who,
    project: Project = HERE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything about the person as one JSON object.")] = False,
) -> None:
    """Write a conversation's events as JSON lines; for a user, or with --json, all that is kept as one JSON object."""
    from training.gather import read_log
    from training.people import find_person
    from training.replay import Replay

    place = _place(project)
    person = find_person(read_log(place.log), who, Replay(place.state, 0))
    if json or who not in person.talks:
        content = text_json.dumps(plain(asyncio.run(_everything(place, person))), ensure_ascii=False, indent=1) + "\n"
    else:
        content = "".join(recorded.model_dump_json() + "\n" for recorded in person.talks[who])
    if output is None:
        typer.echo(content, nl=False)
        return
    output.write_text(content, encoding="utf-8")
    events = sum(map(len, person.talks.values()))
    console.print(f"{events} events of {len(person.talks)} conversations written to {output}", markup=False)


async def _everything(place: Place, person: Person) -> dict[str, JsonValue]:
    from bot.store import SqlStore
    from training.people import beside, everything

    more = beside(person, place.state, place.models)
    async with SqlStore(place.log) as store:
        return await everything(person, store, {**more, "reminders": _due(place, person)})


def _due(place: Place, person: Person) -> list[JsonValue]:
    from bot.reminders import due_in

    found = due_in(place.log.with_name("reminders.json"), person.conversations)
    return [due.model_dump(mode="json") for due in found]


def erase(
    who: Annotated[str, typer.Argument(help="A user or a conversation's id.", show_default=False)] = "",
    project: Project = HERE,
    expired: Annotated[
        bool, typer.Option("--expired", help="Everything older than privacy.retention_days in bot.yml.")
    ] = False,
    check: Annotated[Path | None, typer.Option(help="Only check the signature of this receipt.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Forget a person for good: in log, snapshots, pages and copies; print a signed receipt of what was affected."""
    from training.receipts import Receipts

    if sum((bool(who), expired, check is not None)) != 1:
        raise InputError("name one: a user or a conversation, --expired, or --check RECEIPT")
    if check is not None:
        from bot.config import load_settings

        root = project_folder(project).resolve()
        receipt = Receipts(load_settings(root).state_folder(root)).check(check)
        console.print(f"the receipt {receipt.id} of {receipt.at} is as it was signed here", markup=False)
        return
    place = _place(project)
    person = _outdated(place) if expired else _named(place, who)
    if not person.talks:
        console.print("nothing has expired")
        return
    if not yes:
        typer.confirm(_question(person), abort=True)
    done = _erase(place, person)
    if json:
        more = {"receipt": str(done.path), "retrain": done.receipt.retrain, "kept": done.kept}
        as_json({**done.receipt.model_dump(mode="json"), **more})
    else:
        _show(done)
    raise typer.Exit(1 if done.stuck else 0)


def _named(place: Place, who: str) -> Person:
    from training.gather import read_log
    from training.people import find_person
    from training.replay import Replay

    return find_person(read_log(place.log), who, Replay(place.state, 0))


def _outdated(place: Place) -> Person:
    from training.erasing import outdated
    from training.gather import read_log

    return outdated(read_log(place.log), place.settings, time.time())


def erase_expired(root: Path) -> Erased | None:
    """Forget everything older than the project keeps, without asking; None if there is nothing.

    Raises:
        NotFound: there is no log.
    """
    place = _place(root)
    person = _outdated(place)
    return _erase(place, person) if person.talks else None


def _question(person: Person) -> str:
    names = ", ".join(map(repr, person.conversations[:_SHOWN]))
    more = f" and {len(person.talks) - _SHOWN} more" if len(person.talks) > _SHOWN else ""
    return f"Delete everything said in {len(person.talks)} conversations ({names}{more})? This cannot be undone"


def _erase(place: Place, person: Person) -> Erased:
    from functools import partial

    from bot.reminders import forget
    from training import erasing

    return erasing.erase(place, person, partial(forget, place.log.with_name("reminders.json")))


def _show(done: Erased) -> None:
    receipt = done.receipt
    console.print(
        f"{receipt.events} events of {len(receipt.conversations)} conversations deleted; empty tombstones stay"
    )
    if receipt.rows or receipt.reminders:
        console.print(f"{receipt.rows} rows to learn from and {receipt.reminders} reminders deleted")
    if done.kept:
        console.print(
            f"{done.kept} masked messages of them are kept to learn from: bot erase WHO reaches them, and "
            "`learning: {replay_per_intent: 0}` in bot.yml keeps none",
            markup=False,
        )
    for old, new in receipt.snapshots:
        console.print(f"  snapshot {old[:12]} was replaced by {new[:12]}", markup=False)
    for bundle in receipt.bundles:
        use = ", the one in use" if bundle == receipt.bundle_in_use else ""
        console.print(f"  bundle {bundle}{use} had learned from it or was measured on it", markup=False)
    for name in (*receipt.changed, *receipt.removed):
        console.print(f"  {'taken out of' if name in receipt.changed else 'removed'}: {name}", markup=False)
    _show_rest(done, receipt)


def _show_rest(done: Erased, receipt: Receipt) -> None:
    for name in receipt.remaining:
        console.print(f"  look at {name}: it holds words or numbers of theirs", style="yellow", markup=False)
    if receipt.retrain:
        console.print("Next: bot train or bot learn, and the bundle in use has never seen them", style="yellow")
    console.print(f"Receipt: {done.path}", markup=False)


def consent(
    who: Who,
    answer: Annotated[str, typer.Argument(help="yes: their words may be learned from; no: they may not.")],
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Write down whether a person's words may be learned from; it holds for all their conversations, later ones too."""
    if answer not in ("yes", "no"):
        raise InputError(f"expected yes or no, found {answer!r}")
    place = _place(project)
    person = _named(place, who)
    count = asyncio.run(_consent(place, person, answer == "yes"))
    if json:
        as_json({"person": who, "train": answer == "yes", "conversations": count})
        return
    allowed = "may be learned from" if answer == "yes" else "will not be learned from any more"
    console.print(f"{count} conversations of {who!r} {allowed}", markup=False)
    if answer == "no":
        console.print("What was learned before stays until the next bot train or bot learn", style="dim")


async def _consent(place: Place, person: Person, train: bool) -> int:
    from bot.store import SqlStore
    from training.consent import note_consent

    async with SqlStore(place.log) as store:
        return await note_consent(store, person.conversations, train, time.time())


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (export, erase, consent):
        app.command()(verb)
