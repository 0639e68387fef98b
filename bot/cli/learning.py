"""The verb `learn`: the whole loop in one command."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.beside import expire, replayer, reviewer
from bot.cli.output import as_json, console, errors, progress, project_folder, table
from bot.core.errors import BotError, Conflict, InputError

if TYPE_CHECKING:
    from skills.encoder import Encoder
    from training.lesson import Lesson
    from training.loop import Learned, LearnRequest

HERE = Path()


def learn(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    logs: Annotated[
        list[Path] | None,
        typer.Option(help="Logged conversations to bring in first.", show_default="logs/*.jsonl in the project"),
    ] = None,
    every: Annotated[
        str, typer.Option(help="Go on for ever: `night` (three o'clock) or a number of hours between rounds.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make and judge a candidate; do not put it to use.")
    ] = False,
    canary: Annotated[
        bool, typer.Option("--canary", help="A proven candidate gets a growing part of the conversations first.")
    ] = False,
    waive: Annotated[
        list[str] | None, typer.Option(help="A check of the gate, or a critical intent, that you answer for yourself.")
    ] = None,
    budget: Annotated[
        int, typer.Option(min=0, max=1000, help="How many messages to ask you about next; they are named at the end.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bundle.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Learn from the log: labels, candidate, gate; a better bot is put to use, every round leaves a written verdict.

    Exit code 1 when the candidate was kept back. Verdict and page are in .bot/learn/ of the project.
    """
    root = project_folder(directory)
    once = _round(root, logs, _Wanted(tuple(waive or ()), dry_run, canary, bool(every), budget, seed, json))
    if canary and not dry_run:
        once = _with_canary(root, once)
    if not every:
        learned = once()
        _show(learned, json)
        raise typer.Exit(1 if learned.lesson.outcome == "kept back" else 0)
    _for_ever(once, every, lambda learned: _show(learned, json))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the caller wants. `nightly`: what has expired is forgotten before each round."""

    waive: tuple[str, ...]
    dry_run: bool
    canary: bool
    nightly: bool
    budget: int
    seed: int
    json: bool


def _round(root: Path, logs: list[Path] | None, wanted: _Wanted) -> Callable[[], Learned]:
    """One round. The project is read anew each time; the encoder stays loaded."""
    loaded: list[Encoder] = []

    def once() -> Learned:
        from bot.app import load_encoder
        from bot.project import load_project
        from training.loop import learn as run
        from training.standard import StandardWorkshop

        project = load_project(root)
        if not loaded:
            loaded.append(load_encoder(project.settings, root))
        before = expire(project) if wanted.nightly else ()
        request = replace(_request(root, logs, wanted, loaded[0]), before=before)
        with progress(wanted.json) as advance:
            return run(request, StandardWorkshop(loaded[0]), lambda share, what: advance("learning", share))

    return once


def _request(root: Path, logs: list[Path] | None, wanted: _Wanted, encoder: Encoder) -> LearnRequest:
    from bot.app import load_index, model_store
    from bot.cli.proving import player, policy
    from bot.cli.speaking import speaker
    from bot.project import load_project
    from training.loop import LearnRequest
    from training.sides import SplitOptions
    from training.workshop import FitOptions

    project = load_project(root)
    settings = project.settings
    return LearnRequest(
        project=project,
        state=settings.state_folder(root),
        log=settings.log_file(root),
        models=model_store(settings, root).root,
        logs=tuple(logs) if logs is not None else tuple(sorted((root / "logs").glob("*.jsonl"))),
        dry_run=wanted.dry_run,
        trial=wanted.canary,
        fit=FitOptions(seed=wanted.seed, intent=settings.training.method),
        policy=policy(project, settings, wanted.waive, patch=False, improve=False),
        play=player(project, encoder),
        vectors=encoder.vectors,
        index=load_index(project, encoder),
        speaking=partial(speaker, project, encoder, SplitOptions()),
        past=replayer(project, encoder),
        review=reviewer(project, encoder, wanted.budget),
    )


def _with_canary(root: Path, once: Callable[[], Learned]) -> Callable[[], Learned]:
    """A round whose candidate is tried on a part of the conversations; while one is tried, no other is made."""
    from bot.app import model_store
    from bot.config import load_settings
    from bot.rollout import RolloutFile

    def tried() -> Learned:
        bundles = model_store(load_settings(root), root)
        file = RolloutFile(bundles)
        before = file.read()
        if before is not None and before.state == "running":
            raise Conflict(f"a canary is under way: {before.told()}")
        learned = once()
        if learned.result is None or not learned.result.verdict.promote:
            return learned
        made = learned.result.bundle.id
        if before is not None and before.state == "rolled_back" and before.candidate[-12:] == made[-12:]:
            errors.print("not tried again: the same was taken back before", style="yellow")
        elif bundles.pointer() is None:
            bundles.promote(made, "learned", by="bot learn")
        else:
            errors.print(f"canary: {file.begin(made, time.time(), by='bot learn').told()}", markup=False)
        return learned

    return tried


def _for_ever(once: Callable[[], Learned], every: str, show: Callable[[Learned], None]) -> None:
    """Round after round until somebody stops it. What goes wrong is told, and the next round comes."""
    from training.loop import nightly, seconds_until

    def wait() -> None:
        seconds = seconds_until(every, time.time())
        at = datetime.fromtimestamp(time.time() + seconds, UTC)
        console.print(f"next round at {at:%Y-%m-%d %H:%M} UTC", style="dim")
        time.sleep(seconds)

    def told(found: Learned | BotError) -> None:
        if isinstance(found, BotError):
            errors.print(f"Error: {found}", style="red", markup=False)
        else:
            show(found)

    try:
        seconds_until(every, time.time())
    except ValueError:
        raise InputError(f"--every takes `night` or a number of hours above 0; found {every!r}") from None
    with contextlib.suppress(KeyboardInterrupt):
        for _ in nightly(once, wait, told):
            pass


def _show(learned: Learned, json: bool) -> None:
    lesson = learned.lesson
    if json:
        as_json({**lesson.model_dump(mode="json"), "page": learned.page})
        return
    for stage in lesson.stages:
        console.print(f"{stage.name:<14} {stage.said}", style="dim", markup=False, end="")
        console.print(f"  {stage.seconds:.1f} s", style="dim")
    _figures(lesson)
    good = lesson.outcome in ("promoted", "on trial", "nothing new")
    console.print(lesson.headline, style="green" if good else "yellow", markup=False)
    for reason in lesson.reasons:
        console.print(f"  {reason}", markup=False)
    console.print(f"What came in, what was learned, what changes: {learned.page}", markup=False)
    if lesson.asks:
        console.print(f"{len(lesson.asks)} messages that would teach most if a person looked at them:")
        for ask in lesson.asks:
            console.print(f"  {ask.text[:70]}  ({ask.conversation}, turn {ask.turn})", style="dim", markup=False)
        console.print(f"Next: {lesson.review}", markup=False)


def _figures(lesson: Lesson) -> None:
    if not lesson.figures:
        return
    rows: list[tuple[object, ...]] = [
        (item.name, "-" if item.before is None else f"{item.before:.3f}", f"{item.after:.3f}", str(item.rows))
        for item in lesson.figures
    ]
    if lesson.tests is not None:
        before = "-" if lesson.tests.before is None else str(lesson.tests.before)
        rows.append(("Test conversations passed", before, str(lesson.tests.after), str(lesson.tests.total)))
    table("On messages that neither bot was trained on", ["what", "before", "after", "of"], rows)


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(learn)
