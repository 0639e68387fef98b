"""Verbs about what is in use, and what would be: models (list, promote, canary, rollback), monitor, replay --with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import as_json, console, project_folder, table
from bot.core.errors import InputError, NotFound

if TYPE_CHECKING:
    from bot.bundles import BundleStore, Listed
    from bot.rollout import Rollout

Project = Annotated[Path, typer.Option("--project", "-p", help="The project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
HERE = Path()
models = typer.Typer(no_args_is_help=True, help="List, inspect, promote, try out and roll back model bundles.")


def _bundles(project: Path) -> BundleStore:
    from bot.app import model_store
    from bot.config import load_settings

    root = project_folder(project)
    return model_store(load_settings(root), root)


@models.command("list")
def list_models(project: Project = HERE, json: Json = False) -> None:
    """All bundles, the newest first."""
    from bot.rollout import RolloutFile

    bundles = _bundles(project)
    listed, canary = bundles.list(), RolloutFile(bundles).read()
    if json:
        as_json({"bundles": listed, "canary": canary})
        return
    rows = [_row(item, canary) for item in listed]
    table("Bundles (* is in use, % has a part of the conversations)", ["", "bundle", "made", "holds"], rows)
    if canary is not None:
        console.print(f"canary: {canary.told()}", markup=False)


def _row(item: Listed, canary: Rollout | None) -> tuple[str, str, str, str]:
    manifest = item.manifest
    if manifest is None:
        return "!", item.id, "", item.problem
    figures = [
        f"{skill} {name} {metric.value:.3f}"
        for skill, card in manifest.skills.items()
        for name, metric in list(card.metrics.items())[:1]
    ]
    tried = canary is not None and canary.state == "running" and canary.candidate == item.id
    return "*" if item.current else "%" if tried else "", item.id, manifest.created, ", ".join(figures)


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
    canary: Annotated[
        bool,
        typer.Option("--canary", help="Give it a growing part of the conversations; take it back if it harms."),
    ] = False,
    shadow: Annotated[
        int, typer.Option(help="With --canary: turns that it scores silently before anybody gets it.", min=0)
    ] = 0,
    shares: Annotated[str, typer.Option(help="With --canary: the parts it gets, in percent.")] = "1,10,50",
    conversations: Annotated[
        str, typer.Option(help="With --canary: how many conversations must have had it in each part.")
    ] = "20,100,300",
    minutes: Annotated[float, typer.Option(help="With --canary: the least duration of a part.", min=0)] = 10.0,
    project: Project = HERE,
) -> None:
    """Make a bundle the one in use; a running bot swaps to it between turns."""
    from bot.rollout import Plan, RolloutFile

    bundles = _bundles(project)
    if not canary:
        console.print(f"in use: {bundles.promote(bundle, reason).id}")
        ended = RolloutFile(bundles).withdraw(f"{bundle} was promoted by hand", time.time())
        if ended is not None:
            console.print(f"the canary of {ended.candidate} is over", markup=False)
        return
    plan = Plan(
        shares=tuple(share / 100 for share in _numbers("--shares", shares)),
        conversations=tuple(int(number) for number in _numbers("--conversations", conversations)),
        minutes=minutes,
        silent=shadow,
    )
    begun = RolloutFile(bundles).begin(bundle, time.time(), plan, reason)
    console.print(f"canary: {begun.told()}", markup=False)
    console.print(
        "A running bot takes it up within a second. Look with: bot models list; end with: bot models rollback"
    )


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise InputError(f"{option} takes numbers from 1, separated by commas; found {text!r}")
    return found


@models.command("rollback")
def rollback_model(
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "by hand", project: Project = HERE
) -> None:
    """Take a running canary back; without one, go back to the bundle that was in use before."""
    from bot.rollout import RolloutFile

    bundles = _bundles(project)
    ended = RolloutFile(bundles).withdraw(reason, time.time())
    if ended is not None:
        console.print(f"the canary of {ended.candidate} was withdrawn; in use: {ended.baseline}", markup=False)
        return
    console.print(f"in use: {bundles.rollback(reason).id}")


def monitor(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    json: Json = False,
) -> None:
    """Compare each week's conversations with those before: have people moved away from the models?"""
    from datetime import UTC, datetime

    from bot.app import load_encoder
    from bot.config import load_settings
    from training.gather import read_log
    from training.monitor import report, weeks
    from training.signals.turns import turns

    root = project_folder(directory)
    settings = load_settings(root)
    path = settings.log_file(root)
    if not path.exists():
        raise NotFound(f"there is no log at {path}; nobody has talked to this bot yet")
    found = weeks(turns(read_log(path)), load_encoder(settings, root).vectors)
    now = datetime.now(UTC)
    text = report(found, now.isoformat(timespec="minutes"))
    written = settings.state_folder(root) / "reports" / "monitor" / f"{now:%Y-%m-%d}.md"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(text, encoding="utf-8")
    if json:
        as_json({"weeks": found, "report": written})
    else:
        typer.echo(text)
        console.print(f"Written to {written}", markup=False)
    raise typer.Exit(1 if found and found[-1].retrain else 0)


_LISTED = 40


def counterfactual(root: Path, bundle: str, since: str, *, json: bool) -> None:
    """Print every past turn whose next step changes with a bundle."""
    from bot.app import load_encoder, model_store
    from bot.project import load_project
    from skills.understanding import Understander
    from training.counterfactual import replay
    from training.gather import read_log

    project = load_project(root)
    opened = model_store(project.settings, root).open(bundle)
    path = project.settings.log_file(root)
    if not path.exists():
        raise NotFound(f"there is no log at {path}; nobody has talked to this bot yet")
    index = project.settings.state_folder(root) / "index" / "CURRENT"
    program = project.program.model_copy(update={"knowledge": index.exists()})
    understander = Understander.load(opened.path, load_encoder(project.settings, root), program, opened.id)
    found = replay(read_log(path), program, understander, opened.id, _seconds(since))
    if json:
        as_json(found)
        return
    console.print(
        f"{found.turns} turns of {found.conversations} conversations with {bundle}: {len(found.changed)} change "
        f"({', '.join(f'{kind} {count}' for kind, count in found.kinds.items())}); {found.left_out} left out",
        markup=False,
    )
    rows = [
        (
            f"{item.conversation} {item.turn}",
            item.text[:60],
            "; ".join(item.before),
            "; ".join(item.after),
            {True: "better", False: "worse", None: ""}[item.better],
        )
        for item in found.changed[:_LISTED]
    ]
    if rows:
        table("Turns whose next step changes", ["turn", "said", "now", "then", "people say"], rows)
    if len(found.changed) > _LISTED:
        console.print(f"and {len(found.changed) - _LISTED} more; --json lists all of them")


def _seconds(day: str) -> float | None:
    from datetime import UTC, datetime

    if not day:
        return None
    try:
        found = datetime.fromisoformat(day)
    except ValueError:
        raise InputError(f"--since takes a day such as 2026-11-01, found {day!r}") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
