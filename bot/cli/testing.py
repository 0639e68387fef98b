"""The verb `test`: test conversations and Rasa's test stories, with reports."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.acting import Actions
from bot.cli.output import Advance, as_json, console, is_project, progress, project_folder, table

if TYPE_CHECKING:
    from bot.scenarios import Played, Scenario
    from bot.testing.playing import Check, Compared
    from bot.testing.reading import GoldStory

HERE = Path()
RESULTS, PAGE = "results", "report.html"


@dataclass(frozen=True)
class Ran:
    """A test run: the bundle that was tested, conversations and stories after they were played."""

    bundle: str
    played: Sequence[Played]
    tested: Sequence[Compared]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """What failed: name, place and a line for each thing that was not as expected."""
        played = [(one.scenario.name, one.scenario.where, _failures(one)) for one in self.played if not one.passed]
        tested = [(one.story.name, one.story.where, _wrong(one)) for one in self.tested if not one.passed]
        return [{"name": name, "where": where, "failures": lines} for name, where, lines in (*played, *tested)]


def test(
    directory: Annotated[
        Path, typer.Argument(help="The project folder, or one file of tests in it.", show_default="the current folder")
    ] = HERE,
    only: Annotated[str, typer.Option(help="Play those whose name or tag holds this text.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the reports.", show_default="results/ in the project")
    ] = None,
    successes: Annotated[bool, typer.Option("--successes", help="Also write the stories that passed.")] = False,
    fail_on_prediction_errors: Annotated[
        bool, typer.Option("--fail-on-prediction-errors", help="As in Rasa; every failure gives exit code 1 anyway.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    actions: Actions = None,
) -> None:
    """Play the project's test conversations and Rasa's test stories, write reports; exit code 1 when one fails.

    Read are tests/ and test_*.yml: `test_cases:` are played as whole conversations; `stories:` are compared step by
    step with what the bot understands and chooses. Reports go to results/: report.html and the files `rasa test` makes.
    """
    from bot.scenarios import read_scenarios
    from bot.testing.reading import read_stories

    root = project_folder(_root(directory))
    scenarios = [item for item in read_scenarios(directory) if only in item.name or only in item.tags]
    stories = [story for story in read_stories(directory) if only in story.name]
    with progress(json) as advance:
        ran = asyncio.run(_run(root, scenarios, stories, actions, advance))
    target = out or root / RESULTS
    files = _write(ran, target, successes) if scenarios or stories else []
    if json:
        as_json(_report(ran, target, files))
    else:
        _show(ran, target, bool(files))
    raise typer.Exit(1 if ran.failed or not files else 0)


def _root(path: Path) -> Path:
    """The project that a folder or a file of tests belongs to."""
    if path.is_dir() or not path.exists():
        return path
    return next((folder for folder in path.absolute().parents if is_project(folder)), path.parent)


async def _run(
    root: Path, scenarios: Sequence[Scenario], stories: Sequence[GoldStory], actions: str | None, advance: Advance
) -> Ran:
    """Play on a log of its own, so that tests leave no trace in the project's."""
    from bot.app import Wiring, open_bot
    from bot.scenarios import play
    from bot.telemetry import configure_logging
    from bot.testing.playing import Subject, play_stories

    configure_logging("warning", json=False)
    with tempfile.TemporaryDirectory() as folder:
        async with open_bot(root, Wiring(log=Path(folder) / "log.db", actions=actions, patient=True)) as bot:
            models, played = bot.loaded.models, []
            for number, scenario in enumerate(scenarios, start=1):
                played.append(await play(scenario, bot.manager))
                advance("conversations", number / len(scenarios))
            subject = Subject(models.program, bot.parse, models.rank)
            return Ran(models.bundle, played, await play_stories(stories, subject, advance))


def _write(ran: Ran, out: Path, successes: bool) -> list[str]:
    """Write the reports; their names."""
    from bot.testing.page import Run, render
    from bot.testing.results import write_results

    out.mkdir(parents=True, exist_ok=True)
    written = write_results(out, ran.tested, successes=successes) if ran.tested else []
    names = sorted(path.name for path in written)
    run = Run("Test run", ran.bundle, ran.tested, ran.played, names)
    (out / PAGE).write_text(render(run), encoding="utf-8")
    return [PAGE, *names]


def _report(ran: Ran, out: Path, files: Sequence[str]) -> dict[str, Any]:
    from bot.testing.figures import shares

    figures = {name: {"right": share.right, "total": share.total} for name, share in shares(ran.tested).items()}
    played = len(ran.played) + len(ran.tested)
    return {"played": played, "failed": ran.failed, **figures, "results": [str(out / name) for name in files]}


def _show(ran: Ran, out: Path, written: bool) -> None:
    from bot.testing.figures import shares

    failed, played = ran.failed, len(ran.played) + len(ran.tested)
    for one in failed:
        console.print(f"FAILED {one['name']} ({one['where']})", style="red", markup=False)
        for line in one["failures"]:
            console.print(f"  {line}", markup=False)
    if ran.tested:
        rows = [(name, share.right, share.total, share.value) for name, share in shares(ran.tested).items()]
        table("Test stories", ["what", "right", "of", "share"], [row for row in rows if row[2]])
    console.print(f"{played - len(failed)} passed, {len(failed)} failed")
    if written:
        console.print(f"Report: {out / PAGE}", style="dim", markup=False)
    else:
        console.print("There are no tests here; write some: tests/test_stories.yml (see docs/testing.md)")


def _failures(played: Played) -> list[str]:
    lines = []
    for result in played.steps:
        replies = " | ".join(message.text for message in result.replies)
        for failure in result.failures:
            wanted = f"expected {failure.expected}; found {failure.found}"
            lines.append(f"{failure.step.where}: {result.said!r} {wanted}; said: {replies}")
    return lines


def _wrong(tested: Compared) -> list[str]:
    return [
        _wrong_line(check) + (f" ({check.hint})" if check.hint else "") for check in tested.checks if not check.right
    ]


def _wrong_line(check: Check) -> str:
    by = f" ({check.policy})" if check.policy else ""
    match check.kind:
        case "intent":
            return f"{check.where}: {check.said!r} expected intent {check.expected}; found {check.got}"
        case "entities":
            return f"{check.where}: expected entities {check.expected!r}; found {check.got!r}"
        case "listen":
            return f"{check.where}: expected to wait for the user after this; found {check.got}{by}"
        case _:
            return f"{check.where}: expected {check.expected}; found {check.got}{by}"


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(test)
