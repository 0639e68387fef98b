"""What Rasa's HTTP API may do with a running bot: see `connectors.rasa_api.operations.Operations`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from bot.app import Bot, load_models, model_store
from bot.by_hand import check
from bot.core.conversation import fold
from bot.core.defaults import DEFAULT_ACTIONS
from bot.core.dialogue import choose, situation
from bot.core.errors import IllegalHistory, InputError, NotFound, SkillError
from bot.core.events import ActionRan, Failed, Foreign, Predicted, Received, Recorded, Scored, Settled
from bot.core.program import Program
from bot.core.protocols import Understanding, Utterance
from bot.core.rasa.events import BY_HAND, plain
from bot.core.rasa.facts import Extract, records
from bot.core.rasa.parse import Wire
from bot.core.script import LISTEN
from bot.core.steps import Rank
from bot.mailbox import Mailbox
from bot.project import load_project
from bot.ranked import chosen
from bot.rasa_testing import test_intents, test_stories
from bot.rasa_training import Trainer
from bot.testing.playing import Subject
from connectors.rasa_api.operations import Choice, Model, NotNow, Order, Trained

_REMINDERS = ("reminder_set", "reminder_cancelled")
_ENDING = ".tar.gz"


class BotOperations:
    """`Operations` on a running bot."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._trainer = Trainer(bot.root, bot.settings.state_folder(bot.root))

    def program(self) -> Program:
        """See `Operations`."""
        return self._bot.loaded.models.program

    def model(self) -> Model | None:
        """See `Operations`."""
        bundle = self._bot.manager.models.bundle
        return Model(bundle, f"models/{bundle}{_ENDING}") if bundle else None

    def training(self) -> int:
        """See `Operations`."""
        return self._trainer.active

    # Conversations

    async def write(
        self, conversation: str, events: Sequence[Wire], extract: Extract | None = None, *, remind: bool = False
    ) -> None:
        """See `Operations`."""

        def history(box: Mailbox) -> Iterator[Recorded]:
            made = records(events, box.state, time.time(), box.keys, extract=extract)
            return made if remind else map(_noted, made)

        await self._write(conversation, history)

    async def replace(self, conversation: str, events: Sequence[Wire]) -> None:
        """See `Operations`."""
        if await self._bot.manager.read(conversation, limit=1):
            await self._bot.manager.erase(conversation)
        await self.write(conversation, events)

    async def _write(self, conversation: str, history: Callable[[Mailbox], Iterable[Recorded]]) -> None:
        try:
            await self._bot.manager.write(conversation, history)
        except IllegalHistory as error:
            raise InputError(f"these events cannot follow what is there: {error}") from None

    async def act(self, conversation: str, chosen: Predicted) -> Sequence[Recorded]:
        """See `Operations`.

        Raises:
            NotFound: there is no such action.
            SkillError: it failed.
        """
        if chosen.action == LISTEN:
            score = next((scored.score for scored in chosen.candidates), None)
            policy = None if chosen.policy == BY_HAND else chosen.policy
            listens = {"event": "action", "name": LISTEN, "policy": policy, "confidence": score}
            await self.write(conversation, [listens])
            return ()
        check(chosen.action, self.program())
        done = await self._bot.manager.act(conversation, chosen)
        for fact in done:
            event = fact.event
            code = event.error if isinstance(event, ActionRan) else event.code if isinstance(event, Failed) else None
            if code:
                raise SkillError(chosen.action, f"failed ({code}); the log says where")
        return done

    async def predict(self, history: Sequence[Recorded]) -> Choice:
        """See `Operations`. Bots without rules and stories choose no actions one by one: they listen."""
        program, models = self.program(), self._bot.manager.models
        name = history[0].conversation
        if program.script is None:
            return _choice(Predicted(action=LISTEN), program)
        state = fold(name, unanswered(history))
        step = choose(state, program)
        if not isinstance(step, Rank):
            return _choice(step, program)
        if models.rank is None:
            return _choice(chosen(step, (), "no ranking"), program)
        found = await models.rank(situation(state, program))
        return _choice(chosen(step, found.candidates, "unsure"), program, found.candidates)

    # Models

    async def parse(self, text: str) -> Understanding:
        """See `Operations`."""
        if self.model() is None:
            raise NotNow("no model is loaded; load one with PUT /model")
        return await self._bot.parse(text)

    async def train(self, order: Order) -> Trained:
        """See `Operations`."""
        return await self._trainer.train(order)

    async def test_stories(self, text: str) -> Mapping[str, Any]:
        """See `Operations`."""
        return await test_stories(text, Subject(self.program(), self.parse, self._bot.manager.models.rank))

    async def test_intents(self, text: str) -> Mapping[str, Any]:
        """See `Operations`."""
        return await test_intents(text, self.parse, self.program())

    async def load(self, name: str) -> None:
        """See `Operations`. What was trained from a request is a whole project: rules and responses change with it."""
        bot, wanted = self._bot, PurePath(name).name.removesuffix(_ENDING)
        project = await asyncio.to_thread(self._trainer.find, wanted)
        if project is None:
            store = model_store(bot.settings, bot.root)
            try:
                await asyncio.to_thread(store.promote, wanted, "PUT /model")
            except NotFound as error:
                raise NotFound(f"{error}; nor was a model of that name trained by POST /model/train") from None
            project = await asyncio.to_thread(load_project, bot.root)
        await bot.swap(await asyncio.to_thread(load_models, project, bot.encoder, bot.source))

    async def unload(self) -> None:
        """See `Operations`. Messages are still taken; each is told that something went wrong."""

        async def nothing(utterance: Utterance) -> Understanding:
            raise SkillError("understand", "no model is loaded")

        models = self._bot.manager.models
        self._bot.manager.models = replace(models, bundle="", understand=nothing, rank=None)


def _noted(fact: Recorded) -> Recorded:
    """A reminder as a note: it is shown, but nothing is due."""
    if fact.event.kind not in _REMINDERS:
        return fact
    ((name, data),) = plain(fact.event)
    return fact.model_copy(update={"event": Foreign(name=name, data=data)})


def unanswered(history: Sequence[Recorded]) -> list[Recorded]:
    """The history as if the last message were still to be answered, when nobody has answered it so far."""
    facts = list(history)
    last = max((place for place, fact in enumerate(facts) if isinstance(fact.event, Received | Settled)), default=-1)
    if last < 0 or not isinstance(event := facts[last].event, Settled) or event.outcome != "unanswered":
        return facts
    listened = any(isinstance(fact.event, Foreign) and fact.event.data.get("name") == LISTEN for fact in facts[last:])
    heard = [fact.event for fact in facts if fact.turn == facts[last].turn]
    if listened or any(isinstance(each, Predicted) and each.action == LISTEN for each in heard):
        return facts
    kept = [*facts[:last], *facts[last + 1 :]]
    return [fact.model_copy(update={"seq": seq}) for seq, fact in enumerate(kept, start=facts[0].seq)]


def _choice(predicted: Predicted, program: Program, ranked: Sequence[Scored] = ()) -> Choice:
    forms = program.script.forms if program.script else {}
    names = dict.fromkeys((LISTEN, *sorted(DEFAULT_ACTIONS), *program.responses, *program.actions, *forms))
    scores = dict.fromkeys(names, 0.0) | {scored.name: scored.score for scored in ranked}
    if not ranked or predicted.policy == "Fallback":
        scores[predicted.action] = 1.0 if predicted.policy != "Fallback" else _fallback_score(program)
    return Choice(predicted, [Scored(name=name, score=score) for name, score in scores.items()])


def _fallback_score(program: Program) -> float:
    return program.script.fallback_below if program.script else 0.0
