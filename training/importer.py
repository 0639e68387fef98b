"""Logged conversations of another system into our log, as the same facts that a live conversation leaves.

The whole file is read and every conversation folded before the first fact is written. A conversation is written in one
transaction or not at all, and one that is in the log already is left alone, so an import can be repeated after a crash.
Nothing is invented: where the old log has no intent, there is no `Understood`; a message that nobody answered is
settled as "unanswered". A person who takes over from the bot is a hand-off. Times that are missing go on from the last
known one by a second, from 1970 if there is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.core import events as ev
from bot.core.conversation import fold
from bot.core.errors import IllegalHistory
from bot.core.messages import Message, Text
from bot.core.protocols import EventStore
from training.data import refuse
from training.import_rows import Correction, Line, Talk, read_talks
from training.progress import Progress, silent

OLD_BOT = "import"
"""Stands as the bundle of what the old bot predicted."""
_TOGETHER = 64
"""Conversations that are written at a time; the store groups them into few commits."""
_SETTLED: dict[bool, ev.Settled] = {True: ev.Settled(outcome="replied"), False: ev.Settled(outcome="unanswered")}


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did. `known` conversations were in the log already; `erased` ones stay erased.

    Turns, ratings and corrections count what was written now.
    """

    written: int
    known: int
    erased: int
    turns: int
    ratings: int
    corrections: int


async def import_file(path: Path, store: EventStore, progress: Progress = silent) -> ImportResult:
    """Bring the conversations of a file into the log; doing it again changes nothing.

    Raises:
        NotFound: there is no such file.
        InputError: rows are wrong, or a conversation is in the log with another content; nothing was written.
        StorageUnavailable: the log cannot be written; repeat the import later.
    """
    progress(0.0, "reading")
    histories = [history_of(talk) for talk in read_talks(path)]
    _check(path, histories)
    progress(0.2, "comparing with the log")
    fresh, known, erased = await _compared(path, store, histories)
    for first in range(0, len(fresh), _TOGETHER):
        progress(0.3 + 0.7 * first / len(fresh), "writing")
        part = fresh[first : first + _TOGETHER]
        await asyncio.gather(*(store.append(history[0].conversation, 0, history) for history in part))
    progress(1.0, "done")
    events = [recorded.event for history in fresh for recorded in history]
    return ImportResult(
        written=len(fresh),
        known=known,
        erased=erased,
        turns=sum(isinstance(event, ev.Received) for event in events),
        ratings=sum(isinstance(event, ev.Rated) for event in events),
        corrections=sum(isinstance(event, ev.Corrected) for event in events),
    )


def history_of(talk: Talk) -> tuple[ev.Recorded, ...]:
    """A conversation as facts, numbered and dated; the same talk always gives the same facts."""
    return tuple(_Scribe(talk).write())


class _Scribe:
    """Writes one conversation down."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.seq, self.turn = talk, 0, 0
        self.at = talk.started_at.timestamp() if talk.started_at else -1.0
        self.spoke: set[str] = set()
        self.open, self.answered, self.with_person = False, False, False
        self.corrections: list[ev.Corrected] = []

    def write(self) -> Iterator[ev.Recorded]:
        self.at = self.at if self.at >= 0 else self._time(self.talk.turns[0])
        yield self._fact(ev.Started(channel=self.talk.channel, sender=self.talk.id))
        for number, line in enumerate(self.talk.turns):
            self.at = self._time(line)
            yield from self._user(number, line) if line.speaker == "user" else self._reply(number, line)
        if self.talk.outcome == "handed_off" and not self.with_person:
            yield self._fact(ev.HandedOff(reason="imported"))
        yield from self._settle()
        if self.talk.outcome is not None:
            yield self._fact(ev.Ended(reason=self.talk.outcome))

    def _time(self, line: Line) -> float:
        return line.at.timestamp() if line.at else self.at + 1.0

    def _fact(self, event: ev.Event) -> ev.Recorded:
        self.seq += 1
        return ev.Recorded(conversation=self.talk.id, seq=self.seq, turn=self.turn, at=self.at, event=event)

    def _user(self, number: int, line: Line) -> Iterator[ev.Recorded]:
        yield from self._settle()
        self.turn, self.open, self.answered = self.turn + 1, True, False
        message = _message(number, line)
        yield self._fact(ev.Received(message=message, key=f"import-{number}", channel=self.talk.channel))
        if line.intent is not None:
            yield self._fact(_understood(line.text, line.intent, self.talk.lang))
        if line.correction is not None:
            self.corrections.append(_corrected(self.turn, line.text, line.correction))

    def _reply(self, number: int, line: Line) -> Iterator[ev.Recorded]:
        if line.speaker == "agent" and "bot" in self.spoke and not self.with_person:
            self.with_person = True
            yield self._fact(ev.HandedOff(reason="imported"))
        elif line.speaker == "bot" and self.with_person:
            self.with_person = False
            yield self._fact(ev.Resumed(by="import"))
        self.spoke.add(line.speaker)
        self.answered = True
        message = _message(number, line)
        yield self._fact(ev.Replied(message=message))
        if line.rating is not None:
            yield self._fact(ev.Rated(message=message.id, score=line.rating, reason=line.reason))

    def _settle(self) -> Iterator[ev.Recorded]:
        if self.open:
            yield self._fact(_SETTLED[self.answered])
        self.open = False
        yield from (self._fact(event) for event in self.corrections)
        self.corrections.clear()


def _message(number: int, line: Line) -> Message:
    return Message(id=f"import-{number}", parts=(Text(text=line.text),))


def _understood(text: str, intent: str, language: str) -> ev.Understood:
    """What the old bot took the text for. It acted on it, and left no score: the intent stands alone, with 1."""
    intents = (ev.Scored(name=intent, score=1.0),)
    return ev.Understood(text=text, language=language, intents=intents, in_scope=1.0, bundle=OLD_BOT)


def _corrected(turn: int, text: str, correction: Correction) -> ev.Corrected:
    entities = None
    if correction.entities is not None:
        entities = tuple(
            ev.Entity(
                type=span.type,
                value=span.value if span.value is not None else text[span.start : span.end],
                text=text[span.start : span.end],
                start=span.start,
                end=span.end,
            )
            for span in correction.entities
        )
    return ev.Corrected(
        target=turn,
        intent=correction.intent,
        entities=entities,
        reply=correction.reply,
        source="import",
        audit=correction.audit,
    )


def _check(path: Path, histories: Sequence[Sequence[ev.Recorded]]) -> None:
    problems = []
    for history in histories:
        try:
            fold(history[0].conversation, history)
        except IllegalHistory as error:
            problems.append(str(error))
    refuse(path, problems)


async def _compared(
    path: Path, store: EventStore, histories: Sequence[tuple[ev.Recorded, ...]]
) -> tuple[list[tuple[ev.Recorded, ...]], int, int]:
    """The histories that are not in the log, and how many are known and erased."""
    fresh, known, erased, problems = [], 0, 0, list[str]()
    for history in histories:
        found = await store.read(history[0].conversation)
        if not found:
            fresh.append(history)
        elif any(isinstance(recorded.event, ev.Erased) for recorded in found):
            erased += 1
        elif _facts(found[: len(history)]) == _facts(history):
            known += 1
        else:
            problems.append(
                f"conversation {history[0].conversation!r} is in the log with another content; give it another id"
            )
    refuse(path, problems)
    return fresh, known, erased


def _facts(history: Sequence[ev.Recorded]) -> list[tuple[int, int, float, ev.Event]]:
    return [(recorded.seq, recorded.turn, recorded.at, recorded.event) for recorded in history]
