"""Conversations of a Rasa bot into our log: every event, in its order, as the facts that it stands for.

A conversation is written in one transaction. One that is in the log already is compared in Rasa's own terms: the same
is left alone, a longer one goes on where the log ends, another one is not touched. So an import can be repeated, after
a crash or while the old bot still runs. What means nothing to us stays as a `Foreign` fact; what cannot be read at all
goes to a file of rejects, with its id and the reason.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core import events as ev
from bot.core.conversation import Conversation, fold
from bot.core.errors import Conflict, IllegalHistory, InputError
from bot.core.program import Program
from bot.core.protocols import EventStore
from bot.core.rasa.events import rasa_events
from bot.core.rasa.facts import records
from training.progress import Progress, silent
from training.rasa_rows import FilePast, Past, Reject, SqlPast, check_sender, rejected_whole

CHANNEL = "rasa"
"""The channel of a conversation in which no message names one."""
_TOGETHER = 64
"""Conversations that are written at a time; the store groups them into few commits."""


@dataclass(frozen=True, slots=True)
class RasaImport:
    """What an import did. `known` conversations were in the log already, `differ` are there with another content.

    `events` counts Rasa's events that are in the log now, `added` those of them that this import brought. Erased
    conversations stay erased.
    """

    conversations: int
    written: int
    extended: int
    known: int
    erased: int
    differ: int
    events: int
    added: int
    turns: int
    foreign: int
    rejects: tuple[Reject, ...]

    def counts(self) -> dict[str, int]:
        """All the numbers by name."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "rejects"}


@dataclass(slots=True)
class _Tally:
    """What happened so far."""

    conversations: int = 0
    written: int = 0
    extended: int = 0
    known: int = 0
    erased: int = 0
    differ: int = 0
    events: int = 0
    added: int = 0
    turns: int = 0
    foreign: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def result(self) -> RasaImport:
        numbers = {name: getattr(self, name) for name in self.__slots__ if name != "rejects"}
        return RasaImport(**numbers, rejects=tuple(self.rejects))


async def import_rasa(source: SqlPast | FilePast, store: EventStore, progress: Progress = silent) -> RasaImport:
    """Bring all conversations of a source into the log; doing it again adds nothing.

    Raises:
        StorageUnavailable: the log cannot be written; repeat the import later.
    """
    tally, done = _Tally(), 0
    batch: list[Past] = []
    for past in source:
        batch.append(past)
        done += past.rows
        if len(batch) == _TOGETHER:
            await _bring(batch, store, tally)
            batch.clear()
        progress(done / max(source.rows, 1), "importing")
    await _bring(batch, store, tally)
    progress(1.0, "done")
    return tally.result()


def write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """Write what was not taken, one JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        {"id": reject.where, "sender_id": reject.sender, "reason": reject.reason, "data": reject.data}
        for reject in rejects
    )
    text = "".join(json.dumps(line, default=str) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


async def _bring(batch: Sequence[Past], store: EventStore, tally: _Tally) -> None:
    await asyncio.gather(*(_one(past, store, tally) for past in batch))


async def _one(past: Past, store: EventStore, tally: _Tally) -> None:
    tally.conversations += 1
    tally.rejects += past.rejects
    why = check_sender(past)
    if why:
        tally.rejects += rejected_whole(past, why)
        return
    if not past.events:
        return
    found = await store.read(past.sender)
    if any(isinstance(recorded.event, ev.Erased) for recorded in found):
        tally.erased += 1
        return
    try:
        await _append(past, found, store, tally)
    except (InputError, IllegalHistory, Conflict) as error:
        tally.rejects += rejected_whole(past, error)


async def _append(past: Past, found: Sequence[ev.Recorded], store: EventStore, tally: _Tally) -> None:
    begun = _known_part(past, found)
    if begun is None:
        tally.differ += 1
        tally.rejects += rejected_whole(past, "the log has this conversation with another content")
        return
    tally.events += len(past.events)
    fresh = _history(past, found, begun)
    if not fresh:
        tally.known += 1
        return
    await store.append(past.sender, len(found), fresh)
    tally.written += not found
    tally.extended += bool(found)
    tally.added += len(past.events) - begun
    tally.turns += sum(isinstance(recorded.event, ev.Received) for recorded in fresh)
    tally.foreign += sum(isinstance(item.event, ev.Foreign) and bool(item.event.name) for item in fresh)


def _known_part(past: Past, found: Sequence[ev.Recorded]) -> int | None:
    """How many of the events are in the log; None when the log tells something else."""
    if not found:
        return 0
    told, wanted = _told(found), _told(_history(past, (), 0))
    shorter = min(len(told), len(wanted))
    return shorter if told[:shorter] == wanted[:shorter] else None


def _told(history: Sequence[ev.Recorded]) -> list[dict[str, Any]]:
    """The history as Rasa tells it, without the metadata: that depends on messages that came later."""
    return [
        {name: value for name, value in event.items() if name != "metadata"}
        for event in rasa_events(history, Program())
    ]


def _history(past: Past, found: Sequence[ev.Recorded], begun: int) -> list[ev.Recorded]:
    """The facts of the events from number `begun` on, as they go on from what was found."""
    rest = past.events[begun:]
    if not rest:
        return []
    state = fold(past.sender, found) if found else Conversation(id=past.sender)
    keys = [recorded.event.key for recorded in found if isinstance(recorded.event, ev.Received)]
    channel = next((str(item["input_channel"]) for item in past.events if item.get("input_channel")), CHANNEL)
    return list(records(rest, state, 0.0, keys, channel))
