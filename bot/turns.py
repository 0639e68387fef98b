"""Performs the steps that `decide` asks for, one turn of one conversation at a time.

Facts are noted as they come about and committed (a) before a custom action runs, (b) when something was said and a slow
step follows, (c) with the turn's outcome; so a simple turn costs one commit besides that of the message itself.
Whatever escapes from a step becomes a `Failed` fact, and the turn goes on to tell the user so.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation, Turn
from bot.core.dialogue import situation
from bot.core.errors import BotError, DeadlineExceeded, Overloaded, Rejected, SkillError
from bot.core.messages import Message, Text
from bot.core.policy import render
from bot.core.program import Program
from bot.core.protocols import (
    ActionCall,
    ActionResult,
    Query,
    Understanding,
    Utterance,
    Worded,
    Wording,
)
from bot.core.responses import with_parts
from bot.mailbox import Mailbox, committed
from bot.models import Deadlines, Models
from bot.ranked import chosen

_log = logging.getLogger(__name__)
Result = TypeVar("Result")
_CONTEXT = 5
"""Messages before the one that is to be understood."""
_LAST_WORDS = "Sorry, something went wrong. Please try again."


class Timing(NamedTuple):
    """How long a stage of a turn took.

    Stages: ack, transcribe, understand, decide, retrieve, generate, rank, action, word or commit. The stage "turn" is
    the whole, from the message to the outcome; only it names the channel and the outcome.
    """

    conversation: str
    turn: int
    stage: str
    seconds: float
    channel: str = ""
    outcome: str = ""


Observer = Callable[[Timing], None]


def unobserved(timing: Timing) -> None:
    """Nobody measures."""


Decide = Callable[[Conversation, Program], st.Step]


def _unseen(conversation: str, turn: int, text: str) -> None:
    """Nobody sees drafts."""


@dataclass(frozen=True, slots=True)
class Performer:
    """What performing needs besides the conversation. `clock` gives seconds since 1970 UTC.

    `draft` shows those who follow a conversation the beginning of an answer, by turn, before it is a fact.
    """

    decide: Decide
    clock: Callable[[], float]
    observe: Observer
    deadlines: Deadlines
    draft: Callable[[str, int, str], None] = _unseen

    async def turn(self, box: Mailbox, models: Models) -> bool:
        """Bring the open turn to its end; whether there may be another one. Never raises for what a step did.

        Raises:
            BotError: the log could not be written; the mailbox is dead.
        """
        run = _Run(self, box, models)
        for mend in (run.fail, run.last_words):
            try:
                return await run.steps()
            except Exception as error:  # the boundary: whatever escapes becomes a fact and a visible answer
                if box.failure is not None:
                    raise box.failure from error
                mend(error)
        await committed(box.flush())
        return box.state.current is not None


class TooManySteps(BotError):
    """The program went round without settling the turn."""

    code = "too_many_steps"


class _Run:
    """One turn under way."""

    def __init__(self, performer: Performer, box: Mailbox, models: Models) -> None:
        self._by, self._box, self._models = performer, box, models
        self._stage = "decide"
        self._understood: Understanding | None = None
        self._acting: ev.ActionRan | None = None

    @property
    def _turn(self) -> Turn | None:
        return self._box.state.current

    def _note(self, event: ev.Event) -> None:
        self._box.note(event, self._by.clock())

    async def steps(self) -> bool:
        """Perform steps until the turn is settled or there is nothing to do."""
        program = self._models.program
        deciding = 0.0
        for _ in range(program.behaviour.max_steps):
            self._stage, started = "decide", time.perf_counter()
            step = self._by.decide(self._box.state, program)
            deciding += time.perf_counter() - started
            if isinstance(step, st.Settle | st.Listen):
                self._observe("decide", deciding)
                return await self._stop(step)
            await self._perform(step)
        raise TooManySteps(f"more than {program.behaviour.max_steps} steps in one turn; does a flow go in circles?")

    async def _stop(self, step: st.Settle | st.Listen) -> bool:
        if isinstance(step, st.Settle):
            outcome = step.outcome
            assert outcome == "replied" or outcome == "failed" or outcome == "handed_off"
            started = time.perf_counter()
            self._note(ev.Settled(outcome=outcome))
            await committed(self._box.flush())
            self._observe("commit", time.perf_counter() - started)
            return self._box.state.current is not None
        await committed(self._box.flush())
        return False

    async def _perform(self, step: st.Step) -> None:
        match step:
            case st.Understand():
                await self._understand(step)
            case st.Retrieve():
                await self._retrieve(step)
            case st.Run():
                await self._act(step)
            case st.Generate():
                await self._generate(step)
            case st.Rank():
                await self._rank(step)
            case st.Record():
                for event in step.events:
                    self._note(event)
            case st.Say():
                await self._utter(step.messages, step.step)
                for event in step.events:
                    self._note(event)
            case st.Transcribe():
                await self._transcribe(step)
            case _:
                raise AssertionError(step)

    def _say(self, messages: tuple[Message, ...], step: str | None) -> None:
        for message in messages:
            turn = self._turn
            seq = self._box.state.seq
            number, said, answers = (turn.number, turn.replies, turn.message.id) if turn else (0, seq, None)
            named = {"id": f"{number}.{said + 1}", "reply_to": message.reply_to or answers}
            self._note(ev.Replied(message=message.model_copy(update=named), step=step))

    async def _understand(self, step: st.Understand) -> None:
        past = tuple(text for _, text in self._box.state.history[-_CONTEXT - 1 : -1])
        utterance = Utterance(text=step.text, now=self._box.state.at, context=past)
        asked = self._models.understand(utterance)
        found = await self._slowly("understand", asked, self._by.deadlines.understand)
        if not all(map(math.isfinite, [found.in_scope, *[item.score for item in found.intents]])):
            raise SkillError("understand", "gave a score that is not a number; train the model again")
        self._understood = found
        self._note(found.as_fact())

    async def _transcribe(self, step: st.Transcribe) -> None:
        self._stage = "transcribe"
        if self._models.transcribe is None:
            raise SkillError("transcriber", "there is no speech recogniser in this bot; send text")
        asked = self._models.transcribe(step.blob)
        found = await self._slowly("transcribe", asked, self._by.deadlines.transcribe)
        self._note(ev.Transcribed(text=found.text, language=found.language, bundle=found.model))

    async def _retrieve(self, step: st.Retrieve) -> None:
        if self._models.retrieve is None:
            self._note(ev.Retrieved(query=step.query, hits=(), floor=1.0, index=""))
            return
        same = self._understood is not None and self._understood.text == step.query
        query = Query(text=step.query, vector=self._understood.vector if same and self._understood else None)
        found = await self._slowly("retrieve", self._models.retrieve(query), self._by.deadlines.retrieve)
        self._note(ev.Retrieved(query=step.query, hits=found.hits, floor=found.floor, index=found.index))

    async def _generate(self, step: st.Generate) -> None:
        """Have an answer worded. It keeps its own deadline and has its own way out: what was approved is said."""
        self._stage, started = "generate", time.perf_counter()
        if self._models.generate is None:
            self._note(ev.Generated(model="", fallback="failed"))
            return
        state, number = self._box.state, self._turn.number if self._turn else 0
        show = partial(self._by.draft, state.id, number)
        self._box.wording = work = asyncio.ensure_future(self._models.generate(step, state, show))
        try:
            self._note(await work)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # the turn itself is broken off
                raise
            self._note(ev.Generated(model="", fallback="interrupted"))
        finally:
            self._box.wording = None
        self._observe("generate", time.perf_counter() - started)

    async def _rank(self, step: st.Rank) -> None:
        """Have the ranking choose the next action. It never fails the turn: there is always something else to do."""
        if self._models.rank is None:
            self._note(chosen(step, (), "no ranking"))
            return
        asked = self._models.rank(situation(self._box.state, self._models.program))
        try:
            found = await self._slowly("rank", asked, self._by.deadlines.rank, show=False)
        except (SkillError, Overloaded) as error:
            self._report(error, error.code)
            self._note(chosen(step, (), error.code))
        else:
            self._note(chosen(step, found.candidates, "unsure"))

    async def _act(self, step: st.Run) -> None:
        turn = self._turn
        number = turn.number if turn else self._box.state.turn
        key = self._box.key(number, step.step or step.action)
        # What led to the action is durable before it has effects outside, so a crash repeats it with the same key.
        await committed(self._box.flush())
        self._acting = ev.ActionRan(action=step.action, key=key, step=step.step)
        started = time.perf_counter()
        try:
            result = await self._slowly("action", self._call(step, key), self._by.deadlines.action)
        except Rejected:
            pending = self._box.state.track.pending
            if pending is None or step.step is not None:  # a flow, or a check of slots: there is nothing else to do
                raise
            self._acting = None
            self._note(ev.ActionRejected(action=pending.action))
            return
        self._note(self._acting.model_copy(update={"seconds": time.perf_counter() - started}))
        self._acting = None
        await self._bring(result, step.step)

    async def _bring(self, result: ActionResult, step: str | None) -> None:
        """What an action brought: slots, messages, then other facts."""
        for name, value in result.slots.items():
            self._note(ev.SlotSet(name=name, value=value, step=step, source="action"))
        for said in result.messages:
            if isinstance(said, Message):
                self._say((said,), step)
            else:
                await self._word(Worded(said) if isinstance(said, str) else said, step)
        for event in result.events:
            if isinstance(event, ev.Replied):
                self._say((event.message,), step)
            else:
                self._note(event.model_copy(update={"step": step}) if isinstance(event, ev.SlotSet) else event)

    async def _call(self, step: st.Run, key: str) -> ActionResult:
        actions = self._models.actions
        if actions is None or step.action not in actions.names:
            raise SkillError("actions", f"there is no custom action {step.action!r}; write it or start its server")
        state = self._box.state
        call = ActionCall(
            name=step.action,
            key=key,
            conversation=state.id,
            sender=state.sender,
            slots={**self._models.program.initial_slots, **state.slots},
            text=state.current.text if state.current else "",
            now=self._by.clock(),
            state=state,
            candidates=step.candidates,
            history=self._box.history,
            memo=self._box.memo,
            say=self._say_early,
        )
        return await actions.run(call)

    def _say_early(self, message: Message) -> None:
        """A running action says something; it belongs to no step, for the step is not done yet."""
        if self._acting is not None and self._box.failure is None:
            self._say((message,), None)
            self._box.flush()

    async def _word(self, worded: Worded, step: str | None) -> None:
        """Say a response that an action named."""
        said = render(worded.name, self._box.state, self._models.program, worded.values)
        if not said and self._models.word is None:
            _log.warning("an action says %r, but the domain has no such response", worded.name)
        await self._utter(said or (Message(id="", name=worded.name, parts=()),), step, worded)

    async def _utter(self, messages: tuple[Message, ...], step: str | None, worded: Worded | None = None) -> None:
        """Say responses: in the words of the server for that, if there is one and it has any, else in our own."""
        for message in messages:
            if self._models.word is not None and message.name and self._turn and self._turn.failed is None:
                message = await self._reworded(message, worded)
            if worded is not None and message.parts:
                message = with_parts(message, worded.parts)
            if message.parts or worded is None:
                self._say((message,), step)

    async def _reworded(self, message: Message, worded: Worded | None) -> Message:
        assert self._models.word is not None and message.name is not None
        state, stage = self._box.state, self._stage
        values = dict(worded.values) if worded else {}
        asked = Wording(message.name, values, state.id, state.channel, self._box.history, self._box.memo)
        try:
            parts = await self._slowly("word", self._models.word(asked), self._by.deadlines.word)
        except SkillError as error:
            _log.warning("response %r is said in the domain's own words: %s", message.name, error)
            parts = None
        if not parts and not message.parts:
            raise SkillError("word", f"nobody has words for response {message.name!r}; write it in the domain")
        self._stage = stage
        return message.model_copy(update={"parts": parts}) if parts else message

    async def _slowly(self, stage: str, work: Awaitable[Result], seconds: float, *, show: bool = True) -> Result:
        """Wait for something outside; what was said before it is shown meanwhile."""
        self._stage = stage
        if show and self._box.something_to_show:
            self._box.flush()
        started = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError as error:
            raise DeadlineExceeded(stage, f"gave no result within {seconds:g} s") from error
        finally:
            self._observe(stage, time.perf_counter() - started)

    def fail(self, error: Exception) -> None:
        """Note what failed, the action or the turn; `decide` then tells the user."""
        acting, self._acting = self._acting, None
        code = error.code if isinstance(error, BotError) else "action_failed" if acting else "internal"
        self._report(error, code)
        if acting is not None:
            self._note(acting.model_copy(update={"error": code}))
        else:
            self._note(ev.Failed(code=code, stage=self._stage, detail=_named(error)))

    def last_words(self, error: Exception) -> None:
        """The program could not even apologise: do it for it."""
        self._report(error, "internal")
        turn = self._turn
        if turn is not None:
            if turn.failed is None:
                self._note(ev.Failed(code="internal", stage=self._stage, detail=_named(error)))
            self._say((Message(id="", name="utter_failed", parts=(Text(text=_LAST_WORDS),)),), None)
            self._note(ev.Settled(outcome="failed"))

    def _report(self, error: Exception, code: str) -> None:
        """Tell operators where, not what: messages of errors may quote the user."""
        place = "".join(traceback.format_tb(error.__traceback__)[-3:])
        _log.error("turn failed: %s at %s, %s\n%s", code, self._stage, _named(error), place)

    def _observe(self, stage: str, seconds: float) -> None:
        state = self._box.state
        number = state.current.number if state.current else state.turn
        self._by.observe(Timing(state.id, number, stage, seconds))


def _named(error: Exception) -> str:
    skill = f" in {error.skill}" if isinstance(error, SkillError) else ""
    cause = f" from {type(error.__cause__).__name__}" if error.__cause__ else ""
    return f"{type(error).__name__}{skill}{cause}"
