"""The review queue of a running bot: the same as in the terminal, a batch for each person.

It lives beside the command line because nothing else may start training code. Reading the log and asking the models
happen in a thread, so conversations go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import JsonValue

from bot.core.errors import NotFound
from bot.core.events import Received, Recorded, Transcribed
from connectors.review import Decided, DecisionView, QueueView, Wanted

if TYPE_CHECKING:
    from bot.app import Bot
    from training.judgements import Place
    from training.review import Batch, Desk
    from training.review_items import Item


@dataclass
class _Sitting:
    """A person's batch and what they have decided of it."""

    batch: Batch
    items: dict[Place, Item]
    decided: dict[Place, None] = field(default_factory=dict)
    kept: int = 0

    def left(self) -> list[Item]:
        return [item for place, item in self.items.items() if place not in self.decided]


class ServedReview:
    """A `ReviewDesk` for a bot."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._sittings: dict[str, _Sitting] = {}
        self._drawing = asyncio.Lock()

    async def queue(self, wanted: Wanted) -> QueueView:
        """See `ReviewDesk.queue`."""
        async with self._drawing:
            sitting = self._sittings.get(wanted.by)
            if sitting is None or not sitting.left():
                sitting = self._sittings[wanted.by] = await self._drawn(wanted)
        left = sitting.left()[: wanted.limit]
        plain: dict[str, JsonValue] = {
            "items": [item.model_dump(mode="json") for item in left],
            "intents": {name: intent.label for name, intent in self._bot.loaded.project.program.intents.items()},
            "open": max(0, sitting.batch.open - len(sitting.decided)),
            "judged": sitting.batch.judged + len(sitting.decided),
        }
        return QueueView.model_validate(plain)

    async def _drawn(self, wanted: Wanted) -> _Sitting:
        from training.judgements import whole_log
        from training.review import queue
        from training.review_desk import readable

        bot = self._bot
        history = readable(await whole_log(bot.store), bot.settings)
        batch = await asyncio.to_thread(lambda: queue(history, self._desk(history), wanted.by, wanted.budget))
        return _Sitting(batch, {item.where: item for item in batch.items})

    def _desk(self, history: Sequence[Recorded]) -> Desk:
        from bot.app import model_store
        from training.review_desk import Workplace

        bot = self._bot
        state = bot.settings.state_folder(bot.root)
        place = Workplace(bot.loaded.project, model_store(bot.settings, bot.root), state, bot.encoder)
        return place.desk(history)

    async def decide(self, by: str, decisions: Sequence[DecisionView]) -> Decided:
        """See `ReviewDesk.decide`. A turn that is not in the person's batch was chosen by themselves."""
        from training.judgements import Decision, fact

        sitting, stored = self._sittings.get(by), list[dict[str, JsonValue]]()
        for view in decisions:
            decision = Decision.model_validate(view.model_dump())
            item = sitting.items.get(decision.place) if sitting else None
            if decision.verdict == "accept" and decision.intent is None and item is not None:
                decision = decision.model_copy(update={"intent": item.accepts})
            text = await self._text(decision.place)
            told: dict[str, JsonValue] = item.metadata() if item else {"reason": "chosen"}
            recorded = await self._bot.manager.record(decision.conversation, fact(decision, text, by, told))
            stored.append({"conversation": decision.conversation, "turn": decision.turn, "seq": recorded.seq})
            if sitting is not None and item is not None:
                await self._advance(sitting, decision.place, by, undone=decision.verdict == "undo")
        return Decided(stored=stored, left=len(sitting.left()) if sitting else 0)

    async def _advance(self, sitting: _Sitting, place: Place, by: str, *, undone: bool) -> None:
        if undone:
            sitting.decided.pop(place, None)
            return
        sitting.decided[place] = None
        kept = sitting.batch.kept
        while sitting.kept < len(kept) and kept[sitting.kept].place <= len(sitting.decided):
            one = kept[sitting.kept]
            sitting.kept += 1
            await self._bot.manager.record(one.conversation, one.fact(by))

    async def _text(self, place: Place) -> str:
        """What the user said in a turn."""
        text = None
        for recorded in await self._bot.manager.read(place[0]):
            if recorded.turn == place[1] and isinstance(recorded.event, Received):
                text = recorded.event.message.text
            elif recorded.turn == place[1] and isinstance(recorded.event, Transcribed):
                text = recorded.event.text
        if text is None:
            raise NotFound(f"conversation {place[0]!r} has no turn {place[1]}")
        return text
