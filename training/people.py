"""A person in the log: which conversations are theirs, what they said there, and all of it as one JSON object."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.errors import NotFound
from bot.core.messages import Audio, File
from training.replay import Replay
from training.seen import Seen
from training.snapshots import SnapshotStore

if TYPE_CHECKING:
    from bot.store import SqlStore


@dataclass(frozen=True, slots=True)
class Person:
    """`who` is a user or a conversation; `talks` are the facts of each of their conversations, in order.

    `expired`: they are nobody in particular, but all whose conversations are too old.
    """

    who: str
    talks: Mapping[str, tuple[ev.Recorded, ...]]
    expired: bool = False

    @property
    def conversations(self) -> tuple[str, ...]:
        """The ids of the conversations."""
        return tuple(self.talks)


def find_person(log: Iterable[ev.Recorded], who: str, replay: Replay | None = None) -> Person:
    """The conversations that `who` is the id or the sender of; also those that only `replay` still knows.

    Raises:
        NotFound: there is none.
    """
    talks: dict[str, list[ev.Recorded]] = {}
    theirs = set[str]()
    for recorded in log:
        talks.setdefault(recorded.conversation, []).append(recorded)
        if isinstance(recorded.event, ev.Started) and recorded.event.sender == who:
            theirs.add(recorded.conversation)
    theirs |= set() if replay is None else set(replay.conversations(who))
    wanted = {who, *theirs}
    found = {name: tuple(talks.get(name, ())) for name in dict.fromkeys((*talks, *sorted(theirs))) if name in wanted}
    if not found:
        raise NotFound(f"the log has no conversation and no user {who!r}; a user is who a channel says has sent it")
    return Person(who, found)


def words_of(talk: Iterable[ev.Recorded]) -> Iterator[str]:
    """What the person said, what was understood of it, and what people, not the bot, told them."""
    with_person = False
    for recorded in talk:
        event = recorded.event
        with_person = event.kind == "handed_off" or (with_person and event.kind != "resumed")
        match event:
            case ev.Received():
                yield event.message.text
            case ev.Replied() if with_person:
                yield event.message.text
            case ev.Transcribed() | ev.Understood():
                yield event.text
            case ev.SlotSet() if event.source not in ("action", "flow"):
                yield from _texts(event.value)
            case ev.Rated():
                yield event.reason
            case ev.Corrected():
                yield event.reply or ""
            case ev.Foreign():
                yield from _texts(event.data)
        if isinstance(event, ev.Received):
            yield from _texts(event.metadata)
        if isinstance(event, ev.Understood | ev.Corrected):
            yield from (text for entity in event.entities or () for text in (entity.text, *_texts(entity.value)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


async def everything(person: Person, store: SqlStore, more: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """All that is kept about a person, as JSON: facts, files (base64), and `more` from beside the log."""
    blobs = sorted({blob for talk in person.talks.values() for blob in _blobs(talk)})
    files: dict[str, JsonValue] = {}
    for blob in blobs:
        files[blob] = base64.b64encode(await store.get_blob(blob)).decode("ascii")
    talks: list[JsonValue] = [
        {"id": name, "events": [recorded.model_dump(mode="json") for recorded in talk]}
        for name, talk in person.talks.items()
    ]
    return {"person": person.who, "conversations": talks, "files": files, **more}


def _blobs(talk: Sequence[ev.Recorded]) -> Iterator[str]:
    for recorded in talk:
        if isinstance(recorded.event, ev.Received | ev.Replied):
            for part in recorded.event.message.parts:
                if isinstance(part, Audio | File) and part.blob:
                    yield part.blob


def beside(person: Person, state: Path, models: Path) -> dict[str, JsonValue]:
    """What is kept about a person beside the log: rows to learn from, and the bundles that have seen them."""
    snapshots = SnapshotStore(state / "snapshots")
    rows: list[JsonValue] = [
        {"snapshot": name, **row.model_dump(mode="json", exclude_defaults=True)}
        for name in snapshots.ids()
        for row in snapshots.open(name).rows
        if row.conversation in person.talks
    ]
    kept: list[JsonValue] = [
        row.model_dump(mode="json", exclude_defaults=True)
        for row in Replay(state, 0).rows()
        if row.conversation in person.talks
    ]
    bundles: list[JsonValue] = [*Seen(models).by(person.conversations)]
    return {"snapshot_rows": rows, "replay_rows": kept, "bundles": bundles}
