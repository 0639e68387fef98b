"""The verb `interactive`: talk, look at every decision, correct it, keep the talk as a story."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.acting import Actions
from bot.cli.output import console, project_folder

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.teaching.asking import Asker
    from bot.teaching.session import Session

HERE = Path()


def interactive(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    actions: Actions = None,
) -> None:
    """Talk to the bot and correct what it understands and does; keep the talk as a story and as examples.

    Enter accepts, a number or a name corrects, ? lists the names; an empty message ends the talk. The story goes to
    data/interactive_stories.yml, new examples to data/interactive_nlu.yml, corrections to the log as labels.
    """
    asyncio.run(_interactive(project_folder(directory), actions))


async def _interactive(root: Path, actions: str | None) -> None:
    from bot.app import Wiring, open_bot
    from bot.models import Deadlines
    from bot.teaching.asking import Asker
    from bot.teaching.session import Session, patient
    from bot.telemetry import configure_logging

    configure_logging("warning", json=False)
    async with open_bot(root, Wiring(actions=actions, patient=True)) as bot:
        asker = Asker(bot.loaded.models.program, _show, _read)
        limits = patient(Deadlines(action=bot.settings.actions.deadline_s))
        session = Session(bot.store, bot.loaded.models, asker, limits)
        while text := asker.ask("you> "):
            await session.say(text)
        await _keep(bot, session, asker)


def _show(line: str) -> None:
    """A line of the session; what the bot says stands out from what it thinks."""
    console.print(line, markup=False, style="bold" if line.startswith("bot  ") else None)


def _read(prompt: str) -> str | None:
    """A line from the terminal or a file; None at its end."""
    sys.stdout.write(prompt)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not sys.stdin.isatty():
        sys.stdout.write(line if line.endswith("\n") else "\n")
    return line or None


async def _keep(bot: Bot, session: Session, asker: Asker) -> None:
    """Write what was taught, if the person wants that."""
    from bot.core.rasa.stories import write_stories
    from bot.teaching.files import keep_examples, keep_story, new_examples, told

    lines = told(await session.history())
    if not lines:
        return
    name = " ".join(dict.fromkeys(line.step.intent for line in lines if line.step.kind == "heard" and line.step.intent))
    asker.show("\n" + write_stories([(name, lines)], test=False))
    answer = asker.ask("Keep this? Enter = yes, n = no, or a name for the story: ")
    if answer.lower() in ("n", "no"):
        return
    folder, scripted = bot.root / "data", bot.loaded.models.program.script is not None
    written = [keep_story(folder, answer or name, lines)] if scripted else []
    examples = new_examples(lines, bot.loaded.project.nlu)
    if examples:
        written.append(keep_examples(folder, examples))
    for path in written:
        asker.show(f"Written: {path}")
    asker.show("Next: bot train" if written else "There was nothing new to keep.")


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(interactive)
