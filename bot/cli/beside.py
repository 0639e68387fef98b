"""What `bot learn` does besides: past conversations played again, what to ask people next, what has expired."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bot.cli.people import erase_expired
from bot.core.errors import BotError

if TYPE_CHECKING:
    from bot.bundles import Bundle
    from bot.project import Project
    from skills.encoder import Encoder
    from training.gate.verdict import Past
    from training.learn_request import Review
    from training.lesson import Ask, Stage

_NEWEST = 2000
"""How many of the newest turns of a log are played again."""


def replayer(project: Project, encoder: Encoder) -> Callable[[Bundle], Past]:
    """Plays the newest turns of the log with a bundle, masked."""
    return lambda bundle: _past(project, encoder, bundle)


def _past(project: Project, encoder: Encoder, bundle: Bundle) -> Past:
    from skills.understanding import Understander
    from training.consent import cleared
    from training.counterfactual import replay
    from training.gate.verdict import Past, PastTurn
    from training.gather import read_log

    path = project.settings.log_file(project.root)
    log = cleared(read_log(path), project.settings) if path.exists() else []
    index = project.settings.state_folder(project.root) / "index" / "CURRENT"
    program = project.program.model_copy(update={"knowledge": index.exists()})
    asked = sorted(fact.at for fact in log if fact.event.kind == "understood")
    since = asked[-_NEWEST] if len(asked) > _NEWEST else None
    found = replay(log, program, Understander.load(bundle.path, encoder, program, bundle.id), bundle.id, since)
    changed = tuple(
        PastTurn(
            conversation=item.conversation,
            turn=item.turn,
            text=item.text,
            before=item.before,
            after=item.after,
            better=item.better,
        )
        for item in found.changed
    )
    return Past(turns=found.turns, conversations=found.conversations, left_out=found.left_out, changed=changed)


def reviewer(project: Project, encoder: Encoder, budget: int) -> Review | None:
    """Draws the turns that `bot review` would ask next; None for a budget of 0."""
    from training.learn_request import Review

    if not budget:
        return None
    return Review(lambda: asyncio.run(_asks(project, encoder, budget)), f"bot review {project.root} --budget {budget}")


async def _asks(project: Project, encoder: Encoder, budget: int) -> Sequence[Ask]:
    from bot.app import model_store
    from bot.store import SqlStore
    from training.consent import masker_of
    from training.judgements import whole_log
    from training.lesson import Ask
    from training.review import queue
    from training.review_desk import Workplace, readable

    settings, root = project.settings, project.root
    place = Workplace(project, model_store(settings, root), settings.state_folder(root), encoder)
    async with SqlStore(settings.log_file(root)) as store:
        history = readable(await whole_log(store), settings)
    items = queue(history, place.desk(history), getpass.getuser(), budget).items
    mask = masker_of(settings).mask
    return [
        Ask(conversation=item.conversation, turn=item.turn, text=mask(item.text).text, reason=item.reason)
        for item in items
    ]


def expire(project: Project) -> tuple[Stage, ...]:
    """Forget what is older than the project keeps conversations, before anything is learned; what was done."""
    from training.lesson import Stage

    if project.settings.privacy.retention_days is None or not project.settings.log_file(project.root).exists():
        return ()
    started = time.monotonic()
    try:
        done = erase_expired(project.root)
    except BotError as error:  # the round goes on, and its verdict tells
        said = f"what has expired could not be forgotten: {error}"
    else:
        count = 0 if done is None else len(done.receipt.conversations)
        said = "nothing has expired" if done is None else f"{count} conversations forgotten, receipt {done.path.name}"
    return (Stage(name="retention", said=said, seconds=round(time.monotonic() - started, 1)),)
