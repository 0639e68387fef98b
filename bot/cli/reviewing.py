"""The verb `review`: look at the turns that teach most, and say what would have been right."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.output import as_json, console, project_folder, table
from bot.core.errors import NotFound

if TYPE_CHECKING:
    from bot.cli.review_session import Session
    from bot.config import Settings
    from bot.core.events import Recorded
    from bot.project import Project
    from bot.store import SqlStore
    from skills.encoder import Encoder
    from training.judgements import Decision
    from training.review import Batch, Desk
    from training.review_items import Item

HERE = Path()
FEWEST = 2
"""Different texts that an intent needs to be trained."""


def review(
    directory: Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")] = HERE,
    budget: Annotated[int, typer.Option(min=1, max=1000, help="How many turns to ask about.")] = 30,
    by: Annotated[str, typer.Option(help="Your name, to measure how far people agree.", show_default="user")] = "",
    discover: Annotated[
        bool, typer.Option("--discover", help="Propose new intents from what the bot did not understand.")
    ] = False,
    knowledge: Annotated[
        bool, typer.Option("--knowledge", help="Propose questions with the answers that people gave.")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Only show how far reviewers agree.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Judge logged turns by single keys; every decision is a label at once.

    The queue holds turns that the model is unsure about, unlike others, disputed by a newer model, or where something
    went wrong, and some drawn at random, by which everything is measured. Stop whenever you like.
    """
    root, name = project_folder(directory), by or getpass.getuser()
    if report:
        _report(root, json)
    elif discover or knowledge:
        from bot.cli.proposing import propose

        propose(root, name, discover=discover)
    else:
        asyncio.run(_review(root, name, budget, json))


@dataclass(frozen=True, slots=True)
class Opened:
    """A project with its log open: what may be learned from, and what reviewing needs."""

    project: Project
    store: SqlStore
    encoder: Encoder
    history: Sequence[Recorded]
    desk: Desk


@contextlib.asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Opened]:
    """The project's log, read, and its models.

    Raises:
        NotFound: nobody has talked to the bot, or nothing has been trained.
    """
    from bot.app import load_encoder, model_store
    from bot.project import load_project
    from bot.store import SqlStore
    from training.judgements import whole_log
    from training.review_desk import Workplace, readable

    project = load_project(root)
    encoder = load_encoder(project.settings, root)
    place = Workplace(project, model_store(project.settings, root), project.settings.state_folder(root), encoder)
    async with SqlStore(log_file(project)) as store:
        history = readable(await whole_log(store), project.settings)
        yield Opened(project, store, encoder, history, place.desk(history))


async def _review(root: Path, by: str, budget: int, json: bool) -> None:
    from bot.cli.review_session import Session, Terminal
    from bot.teaching.asking import Asker
    from training.judgements import whole_log
    from training.review import queue
    from training.review_desk import readable, unknown

    async with opened(root) as at:
        console.print("Reading the log ...", style="dim")
        batch, settings = queue(at.history, at.desk, by, budget), at.project.settings
        asker = Asker(at.project.program, show, read_line)
        terminal = Terminal(show, read_key, read_line)
        session = Session(terminal, at.desk.labels, at.desk.outside, asker, _storing(at.store, by))
        session.names.update(dict.fromkeys(unknown(at.history, at.desk.labels), "new"))
        await session.run(batch, _keeping(at.store, batch, by))
        named = unknown(readable(await whole_log(at.store), settings), at.desk.labels)
        _close(session, batch, keep_intents(root, named, settings), json)


def log_file(project: Project) -> Path:
    """The project's log; NotFound where nobody has talked to the bot."""
    path = project.settings.log_file(project.root)
    if not path.exists():
        raise NotFound(f"there is no log at {path}; talk to the bot, or: bot import FILE")
    return path


def _storing(store: SqlStore, by: str) -> Any:
    from training.judgements import fact, note

    async def keep(decision: Decision, item: Item) -> None:
        await note(store, item.conversation, fact(decision, item.text, by, item.metadata()))

    return keep


def _keeping(store: SqlStore, batch: Batch, by: str) -> Any:
    """Writes down that answers which the audit hit count for it; each when its place in the batch is reached."""
    from training.judgements import note

    waiting = list(batch.kept)

    async def keep(done: int) -> None:
        while waiting and waiting[0].place <= done:
            kept = waiting.pop(0)
            await note(store, kept.conversation, kept.fact(by))

    return keep


def _close(session: Session, batch: Batch, new: Kept, json: bool) -> None:
    """What was done, and what comes next."""
    counts = session.summary()
    left = batch.open - counts["judged"]
    if json:
        as_json({**counts, "left": left, "batch": batch.id, "written": new.file, "too_few": new.too_few})
        return
    console.print(
        f"\n{counts['judged']} judged: {counts['accepted']} right, {counts['relabelled']} relabelled, "
        f"{counts['not_usable']} not usable; {counts['audited']} of them drawn at random. {left} turns are left."
    )
    new.tell()
    console.print("Next: bot learn" if counts["judged"] else "Next: bot chat, or come back when the log has grown.")


@dataclass(frozen=True, slots=True)
class Kept:
    """Where new intents were written, and those that have too few examples yet, which wait in the log."""

    file: Path | None
    too_few: tuple[str, ...]

    def tell(self) -> None:
        """Say so."""
        if self.file:
            console.print(f"New intents are in {self.file}: give each an answer or a flow.", markup=False)
        if self.too_few:
            names = ", ".join(self.too_few)
            console.print(f"Not in the project yet, {FEWEST} different texts are needed: {names}", markup=False)


def keep_intents(root: Path, found: Mapping[str, Sequence[str]], settings: Settings) -> Kept:
    """Write new intents with their first examples into the project; those with too few texts have to wait."""
    from bot.teaching.files import keep_examples
    from training.review_desk import anonymous

    plain = {name: anonymous(texts, settings) for name, texts in found.items()}
    enough = {name: texts for name, texts in plain.items() if len(texts) >= FEWEST}
    file = keep_examples(root / "data", enough, "nlu_discovered") if enough else None
    return Kept(file, tuple(name for name in plain if name not in enough))


def _report(root: Path, json: bool) -> None:
    from bot.project import load_project
    from training.gather import read_log
    from training.judgements import agreement, anchoring, judged

    found = judged(read_log(log_file(load_project(root))))
    agreed, anchored = agreement(found), anchoring(found)
    if json:
        disputed = [{"conversation": place[0], "turn": place[1], "said": said} for place, said in agreed.disputed]
        labels = {label or "not usable": {"alpha": value, "n": n} for label, (value, n) in agreed.labels.items()}
        as_json({
            "judged": len(found), "twice": agreed.turns, "alpha": agreed.alpha, "labels": labels,
            "disputed": disputed, "anchoring": anchored,
        })  # fmt: skip
        return
    console.print(f"{len(found)} turns judged, {agreed.turns} of them by two people or more.")
    if agreed.alpha is not None:
        console.print(f"Krippendorff's alpha {agreed.alpha:.3f} (1: always agree, 0: as by chance)")
        rows = [(label or "not usable", _figure(value), n) for label, (value, n) in agreed.labels.items()]
        table("Agreement on each label", ["label", "alpha", "judgements"], rows)
    for place, said in agreed.disputed:
        words = ", ".join(f"{person}: {label or 'not usable'}" for person, label in said.items())
        console.print(f"  disputed: {place[0]}, turn {place[1]}: {words}", markup=False)
    pairs = (("first", anchored.ranked), ("anywhere, at random", anchored.shuffled))
    for where, (taken, of) in pairs:
        if of:
            console.print(f"The model's best guess, shown {where}: taken {taken} of {of} times.")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def show(line: str) -> None:
    """A line; what the user said stands out."""
    console.print(line, markup=False, style="bold" if line.startswith(">>") else None)


def read_key(prompt: str) -> str | None:
    """A key from the terminal, or a line's first character from a file; None at the end."""
    if not sys.stdin.isatty():
        return _from_file(prompt, lambda line: line.strip()[:1])
    sys.stdout.write(prompt)
    sys.stdout.flush()
    try:
        key = str(typer.getchar())
    except (EOFError, KeyboardInterrupt):
        return None
    sys.stdout.write(f"{key}\n")
    return None if key in ("\x04", "\x03") else key.strip().lower()


def read_line(prompt: str) -> str | None:
    """A line from the terminal or a file; None at its end."""
    if not sys.stdin.isatty():
        return _from_file(prompt, str.strip)
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        return None


def _from_file(prompt: str, read: Any) -> str | None:
    line = sys.stdin.readline()
    sys.stdout.write(f"{prompt}{line if line.endswith(chr(10)) else line + chr(10)}")
    return str(read(line)) if line else None


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(review)
