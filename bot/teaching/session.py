"""A conversation in which a person looks over the bot's shoulder.

The turns are performed as always (`bot.turns`); only where facts are noted, what the bot understood and chose is shown
first. What a person changes becomes a fact of its own: `Corrected` beside what the classifiers said, and a `Predicted`
of policy "External" with the candidates that the bot had. A finished turn is rated as right, so that later training
knows what was looked at.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from bot.core import events as ev
from bot.core.extraction import extract
from bot.core.messages import Message, Text
from bot.core.policy import decide
from bot.core.program import Program
from bot.core.protocols import EventStore
from bot.mailbox import Mailbox, committed
from bot.models import Deadlines, Models
from bot.teaching.asking import Asker
from bot.turns import Performer, unobserved

CHANNEL = "interactive"


class _AskedBox(Mailbox):
    """A mailbox that asks before it notes what the bot understood or chose."""

    def __init__(self, store: EventStore, asker: Asker, program: Program) -> None:
        super().__init__(f"{CHANNEL}-{uuid.uuid4().hex}", store, lambda conversation, events: None)
        self.asker, self.program = asker, program

    def note(self, event: ev.Event, at: float, turn: int | None = None) -> ev.Recorded:
        """See `Mailbox.note`."""
        if isinstance(event, ev.Predicted) and event.policy:
            return super().note(self.chosen(event), at, turn)
        recorded = super().note(event, at, turn)
        if isinstance(event, ev.Understood) and event.source == "model":
            meant = self.asker.understood(event, self.counted(event))
            if meant is not None:
                super().note(_label(meant, event, recorded.turn), at, turn)
                return super().note(meant, at, turn)
        elif isinstance(event, ev.Replied):
            self.asker.show(f"bot  {event.message.text or event.message.name}")
            for number, choice in enumerate(event.message.choices, start=1):
                self.asker.show(f"     {number}) {choice.title}  {choice.payload}")
        return recorded

    def chosen(self, event: ev.Predicted) -> ev.Predicted:
        action = self.asker.predicted(event)
        if action is None:
            return event
        reason = f"instead of {event.action} by {event.policy}"
        return ev.Predicted(action=action, policy="External", reason=reason, candidates=event.candidates)

    def counted(self, found: ev.Understood) -> str:
        """The intent that the message counts as."""
        best = found.intents[0].name if found.intents else ""
        base = next((e.intent for e in extract(self.state, self.program) if isinstance(e, ev.Extracted)), None)
        return best if base is None or best.partition("/")[0] == base else base


def _label(meant: ev.Understood, found: ev.Understood, turn: int) -> ev.Corrected:
    """What training learns from it; `None` where nothing was changed."""
    name = meant.intents[0].name if meant.intents else None
    before = found.intents[0].name if found.accepted else None
    entities = None if meant.entities == found.entities else meant.entities
    return ev.Corrected(target=turn, intent=None if name == before else name, entities=entities, source="reviewer")


class Session:
    """One conversation, looked over."""

    def __init__(self, store: EventStore, models: Models, asker: Asker, deadlines: Deadlines) -> None:
        self._box, self._models = _AskedBox(store, asker, models.program), models
        self._performer = Performer(decide, time.time, unobserved, deadlines)

    async def say(self, text: str) -> None:
        """One turn, from what the person types to its end; a number presses a button of the turn before."""
        box, now = self._box, time.time()
        offered = box.state.offered if box.state.offered_in == box.state.turn else ()
        if text.isdecimal() and 0 < int(text) <= len(offered):
            text = offered[int(text) - 1].payload
        if box.state.status == "new":
            box.note(ev.Started(channel=CHANNEL, sender=CHANNEL, program=self._models.program.id), now)
        message = Message(id=uuid.uuid4().hex, parts=(Text(text=text),))
        received = ev.Received(message=message, key=message.id, channel=CHANNEL, payloads=True, live=True)
        box.book(box.note(received, now, turn=box.state.turn + 1))
        await self._performer.turn(box, self._models)
        await self._approve()

    async def _approve(self) -> None:
        """Everything that was said in the turn has been looked at; it was right, unless something broke."""
        facts = [recorded.event for recorded in await self.history() if recorded.turn == self._box.state.turn]
        said = [fact.message.id for fact in facts if isinstance(fact, ev.Replied)]
        if said and not any(isinstance(fact, ev.Settled) and fact.outcome == "failed" for fact in facts):
            self._box.note(ev.Rated(message=said[-1], score=1.0, by="reviewer"), time.time())
            await committed(self._box.flush())

    async def history(self) -> Sequence[ev.Recorded]:
        """All facts up to now."""
        return await self._box.history()


def patient(deadlines: Deadlines) -> Deadlines:
    """Deadlines for a talk in which a person thinks between the steps."""
    return replace(deadlines, understand=60.0, retrieve=60.0, rank=60.0)
