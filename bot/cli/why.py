"""The verb `why`: the causal chain of one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import as_json, console, progress, project_folder
from bot.core.errors import IntegrityError, NotFound

if TYPE_CHECKING:
    from bot.bundles import Bundle
    from bot.core import steps as st
    from bot.core.conversation import Conversation
    from bot.core.events import Predicted, Recorded
    from bot.project import Project
    from skills.encoder import Encoder
    from training.why.chain import Turn
    from training.why.explain import Sources
    from training.why.rehearsal import Rank, Search

HERE = Path()
_NEAREST = 3
_KNOWN = 5000
"""How many of the latest conversations are looked at for one with a similar id."""


def why(
    conversation: Annotated[str, typer.Argument(help="The conversation's id.")],
    turn: Annotated[int, typer.Argument(help="Which of the user's messages, counted from 1.")],
    project: Annotated[Path, typer.Option("--project", "-p", help="The project folder.")] = HERE,
    log_only: Annotated[bool, typer.Option("--log-only", help="Leave out what needs the models; quicker.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Show why the bot answered as it did: words, examples, rule or flow, slots, passages, and what would change it."""
    from bot.cli.telling import tell
    from bot.config import load_settings
    from training.elsewhere import write
    from training.why.explain import explain, turn_of
    from training.why.page import render

    root = project_folder(project)
    history = asyncio.run(_history(root, conversation))
    asked = turn_of(conversation, history, turn)
    with progress(json) as advance:
        sources = _sources(root, asked, log_only, lambda stage: advance(stage, 0.5))
        found = explain(asked, sources)
    if html is not None:
        write(load_settings(root).state_folder(root), html, render(found), conversation)
    if json:
        as_json({**found.model_dump(mode="json"), "page": None if html is None else str(html)})
        return
    tell(found, console)
    if html is not None:
        console.print(f"\nPage: {html}", markup=False)


async def _history(root: Path, conversation: str) -> Sequence[Recorded]:
    from bot.config import load_settings
    from bot.store import SqlStore

    path = load_settings(root).log_file(root)
    if not path.exists():
        raise NotFound(f"there is no log at {path}; nobody has talked to this bot yet")
    async with SqlStore(path) as store:
        history = await store.read(conversation)
        if history:
            return history
        known = [summary.id for summary in await store.conversations(_KNOWN)]
    longer = [name for name in known if name.startswith(conversation)][:_NEAREST]
    near = longer or get_close_matches(conversation, known, _NEAREST, 0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"the latest are {known[:_NEAREST]}"
    raise NotFound(f"there is no conversation {conversation!r} in {path}; {hint if known else 'the log is empty'}")


def _sources(root: Path, turn: Turn, log_only: bool, stage: object) -> Sources:
    """Whatever is there: the project, and the bundle that understood the turn."""
    from bot.app import index_folder
    from bot.core.errors import ProjectError
    from bot.project import load_project
    from training.why.explain import Sources

    try:
        project = load_project(root)
    except ProjectError as error:
        return Sources(missing=(f"the project cannot be read, so there are no places and nothing is tried: {error}",))
    knows = (index_folder(project.settings, root) / "CURRENT").exists()
    program = project.program.model_copy(update={"knowledge": knows})
    bare = Sources(program=program, places=project.places)
    return bare if log_only else _with_models(bare, project, turn)


def _with_models(bare: Sources, project: Project, turn: Turn) -> Sources:
    from dataclasses import replace

    from bot.app import load_encoder, model_store
    from training.snapshots import SNAPSHOTS
    from training.why.lineage import lesson_of
    from training.why.model import Model
    from training.why.rehearsal import Outside

    found = turn.understood
    if found is None or turn.imported or found.source != "model":
        return bare
    root, settings = project.root, project.settings
    try:
        bundle = model_store(settings, root).open(found.bundle)
        encoder = load_encoder(settings, root)
        model = Model.load(bundle.path, encoder, project.program, bundle.id)
    except (NotFound, IntegrityError) as error:
        gone = f"bundle {found.bundle or '(none)'} cannot be asked, so there are no words and no examples: {error}"
        return replace(bare, missing=(*bare.missing, gone))
    return replace(
        bare,
        model=model,
        lesson=lesson_of(bundle.manifest, project, settings.log_file(root), settings.state_folder(root) / SNAPSHOTS),
        outside=Outside(_ranking(bundle, project, encoder), _search(project, encoder)),
        trained_program=bundle.manifest.program,
    )


def _ranking(bundle: Bundle, project: Project, encoder: Encoder) -> Rank | None:
    """The bundle's learned ranking, asked as the manager asks it."""
    from bot.app import load_ranking
    from bot.core.dialogue import situation
    from bot.ranked import chosen

    ranking = load_ranking(bundle, project, encoder)
    if ranking is None:
        return None

    def rank(conversation: Conversation, step: st.Rank) -> Predicted:
        return chosen(step, ranking.run([situation(conversation, project.program)])[0].candidates, "unsure")

    return rank


def _search(project: Project, encoder: Encoder) -> Search | None:
    """The knowledge base as it is now."""
    from bot.app import load_index
    from bot.core.events import Retrieved
    from bot.core.protocols import Query

    index = load_index(project, encoder)
    if index is None:
        return None

    def search(query: str) -> Retrieved:
        found = index.search([Query(text=query)])[0]
        return Retrieved(query=query, hits=found.hits, floor=found.floor, index=found.index)

    return search


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(why)
