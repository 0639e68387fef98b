"""Test stories played against the real core: at each step the story says what is right, the bot what it would do.

The user's words go through the trained classifiers and are compared with the story's intent and entities; the talk then
goes on as the story has it. At each action the policies choose, and what they choose is compared. Actions are not run:
what they did is what the story says after them. A form that is chosen where the story has something else is taken to
have refused the message, and the policies choose again. This is how Rasa tests stories.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bot.core import events as ev
from bot.core.conversation import Conversation, evolve
from bot.core.defaults import DEFAULT_ACTIONS, run_default
from bot.core.dialogue import choose, situation
from bot.core.extraction import extract
from bot.core.filling import read_payload
from bot.core.messages import Choice, Message, Text
from bot.core.program import Program
from bot.core.protocols import Ranked, Situation, Understanding
from bot.core.rasa.stories import Line, annotate
from bot.core.script import LISTEN, Did, Heard, LoopIs, SlotWas, Uttered
from bot.core.steps import Rank, Record, Say
from bot.project.names import DEFAULT_INTENTS
from bot.ranked import chosen
from bot.testing.reading import GoldStep, GoldStory

UNKNOWN = "the project has none of this name"
MOST_ACTIONS = 10
"""How many actions in a row policies may choose; more of them count as going round in circles."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison. `kind` is intent, entities, action or listen; `policy` chose the action, with `confidence`.

    `said` is the user's text of an intent or entities check; `gold` and `found` are its entities. `hint` says what may
    be wrong with the test itself.
    """

    kind: str
    expected: str
    got: str
    where: str
    policy: str = ""
    confidence: float = 1.0
    said: str = ""
    gold: tuple[ev.Entity, ...] = ()
    found: tuple[ev.Entity, ...] = ()
    hint: str = ""

    @property
    def right(self) -> bool:
        """Whether they are the same."""
        return self.expected == self.got


class Judged(NamedTuple):
    """A step with what was compared at it. Steps without checks (slots, forms, words without meaning) are no steps."""

    step: GoldStep
    checks: tuple[Check, ...] = ()

    @property
    def right(self) -> bool:
        """Whether all that was compared was right."""
        return all(check.right for check in self.checks)


class Compared(NamedTuple):
    """A story after it was played."""

    story: GoldStory
    steps: tuple[Judged, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """All comparisons in order."""
        return tuple(check for judged in self.steps for check in judged.checks)

    @property
    def counted(self) -> tuple[Judged, ...]:
        """The steps at which something was compared."""
        return tuple(judged for judged in self.steps if judged.checks)

    @property
    def passed(self) -> bool:
        """Whether every comparison was right."""
        return all(check.right for check in self.checks)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tested. Without `rank` the learned ranking is never sure."""

    program: Program
    understand: Callable[[str], Awaitable[Understanding]]
    rank: Callable[[Situation], Awaitable[Ranked]] | None = None


async def play_stories(
    stories: Sequence[GoldStory], subject: Subject, advance: Callable[[str, float], None] = lambda stage, done: None
) -> list[Compared]:
    """Play all stories; `advance` is told a stage's name and how much of it is done."""
    understood = await _understand(stories, subject, lambda done: advance("understanding", done))
    tested = []
    for number, story in enumerate(stories, start=1):
        tested.append(await _Player(subject, understood).play(story))
        advance("stories", number / len(stories))
    return tested


async def _understand(
    stories: Sequence[GoldStory], subject: Subject, advance: Callable[[float], None]
) -> dict[str, Understanding]:
    """What the classifiers make of every text, each once."""
    texts = list(dict.fromkeys(step.line.text for story in stories for step in story.steps if _classified(step.line)))
    found: dict[str, Understanding] = {}
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        found |= zip(batch, await asyncio.gather(*(subject.understand(text) for text in batch)), strict=True)
        advance(len(found) / len(texts))
    return found


_BATCH = 32


def _classified(line: Line) -> bool:
    """Whether the step has words that the classifiers must understand."""
    return isinstance(line.step, Heard) and bool(line.text) and _payload(line.text) is None


def _payload(text: str) -> ev.Understood | None:
    return read_payload(Choice(title=text, payload=text)) if text.startswith("/") else None


class _Player:
    """One story under way: the conversation as the story has it."""

    def __init__(self, subject: Subject, understood: Mapping[str, Understanding]) -> None:
        self.subject, self.program, self.understood = subject, subject.program, understood
        forms = subject.program.script.forms if subject.program.script else {}
        named = (*subject.program.actions, *subject.program.responses, *forms, *subject.program.intents)
        self.names = {*named, *(name.partition("/")[0] for name in named), *DEFAULT_ACTIONS, *DEFAULT_INTENTS, LISTEN}
        self.state = Conversation(id="test")
        self.clock = time.time()
        self.turn = 0
        self.acting: ev.Predicted | None = None
        self.actions = 0
        self.judged: list[Judged] = []

    def note(self, *events: ev.Event) -> None:
        for event in events:
            self.clock += 0.001
            recorded = ev.Recorded(
                conversation="test", seq=self.state.seq + 1, turn=self.turn, at=self.clock, event=event
            )
            self.state = evolve(self.state, recorded)

    async def play(self, story: GoldStory) -> Compared:
        self.note(ev.Started(channel="test", sender="test"))
        for step in story.steps:
            match step.line.step:
                case Heard():
                    await self.hear(step)
                case Did(action="action_listen"):
                    await self.listen()
                    self.judged.append(Judged(step))
                case Did(action="action_session_start"):
                    self.judged.append(Judged(step))
                case Did(action=action):
                    await self.act(step, action)
                case Uttered(text=text):
                    await self.act(step, text)
                case _:
                    self.effect(step)
        await self.listen()
        return Compared(story, tuple(self.judged))

    async def hear(self, step: GoldStep) -> None:
        await self.listen()
        message = Message(id=str(self.turn + 1), parts=(Text(text=step.line.text),))
        self.turn, self.actions = self.turn + 1, 0
        self.note(ev.Received(message=message, key=message.id, channel="test"))
        before = self.state
        found = self.found(step.line)
        said = self.said(step.line, found)
        checks = () if found is None else self.compared(step, said, before, found)
        self.note(said)
        self.begin()
        self.note(*extract(self.state, self.program))
        self.judged.append(Judged(step, checks))

    def begin(self) -> None:
        if not self.state.track.begun:
            self.note(ev.SessionStarted())

    def found(self, line: Line) -> ev.Understood | None:
        """What the classifiers, or the payload, say; None where there are no words."""
        pressed = _payload(line.text)
        if pressed is not None or line.text not in self.understood:
            return pressed
        got = self.understood[line.text]
        known = tuple(entity for entity in got.entities if entity.type in self.program.entities)
        return ev.Understood(
            text=got.text, language=got.language, supported=got.supported, intents=got.intents, in_scope=got.in_scope,
            threshold=got.threshold, entities=known, bundle=got.bundle,
        )  # fmt: skip

    def said(self, line: Line, found: ev.Understood | None) -> ev.Understood:
        """What the story says the message means; where it does not say, what was found."""
        step = line.step
        assert isinstance(step, Heard)
        if step.intent is None and found is not None:
            return found
        intents = (ev.Scored(name=step.intent, score=1.0),) if step.intent and step.intent != "nlu_fallback" else ()
        return ev.Understood(
            text=line.text, language="", intents=intents, in_scope=1.0 if intents else 0.0, entities=line.entities
        )

    def compared(
        self, step: GoldStep, said: ev.Understood, before: Conversation, found: ev.Understood
    ) -> tuple[Check, ...]:
        gold = step.line.step
        assert isinstance(gold, Heard)
        if gold.intent is None:
            return ()
        text = step.line.text
        got = _counted(before, found, self.program)
        short = got.partition("/")[0]
        sure = found.intents[0].score if found.intents else 0.0
        stale = "" if gold.intent in self.names else UNKNOWN
        named = short if gold.intent == short else got
        intent = Check("intent", gold.intent, named, step.where, "", sure, text, hint=stale)
        wanted, marked = _marked(text, said.entities), _marked(text, found.entities)
        if not said.entities and not found.entities:
            return (intent,)
        left_out = _left_out(said.entities, found.entities)
        entities = Check("entities", wanted, marked, step.where, "", 1.0, text, said.entities, found.entities, left_out)
        return intent, entities

    async def act(self, step: GoldStep, action: str) -> None:
        self.done()
        self.open()
        self.actions += 1
        if self.actions > MOST_ACTIONS:
            got, best = "circuit breaker tripped", None
        else:
            best = await self.chosen(action)
            got = best.action
        right = best is not None and got == action
        policy, sure = (best.policy, _confidence(best)) if best else ("", 0.0)
        stale = UNKNOWN if isinstance(step.line.step, Did) and action not in self.names else ""
        self.judged.append(Judged(step, (Check("action", action, got, step.where, policy, sure, hint=stale),)))
        # When it is wrong, the talk goes on as if it had been right.
        self.acting = best if best is not None and right else ev.Predicted(action=action, policy="Test")
        self.note(self.acting)

    def open(self) -> None:
        """A story that begins with an action answers a message that nobody wrote."""
        if self.state.current is None:
            self.turn, self.actions = self.turn + 1, 0
            self.note(ev.Received(message=Message(id=str(self.turn), parts=()), key=str(self.turn), channel="test"))
            self.begin()
            self.note(ev.Extracted())

    async def chosen(self, wanted: str) -> ev.Predicted:
        """What the policies choose; a form that is not wanted is taken to refuse the message."""
        best = await self.predicted()
        loop = self.state.track.loop
        forms = self.program.script.forms if self.program.script else {}
        if loop is not None and best.action == loop.name and best.action != wanted and loop.name in forms:
            self.note(ev.ActionRejected(action=loop.name))
            best = await self.predicted()
        return best

    async def predicted(self) -> ev.Predicted:
        step = choose(self.state, self.program)
        if not isinstance(step, Rank):
            return step
        if self.subject.rank is None:
            return chosen(step, (), "no ranking")
        ranked = await self.subject.rank(situation(self.state, self.program))
        return chosen(step, ranked.candidates, "unsure")

    def effect(self, step: GoldStep) -> None:
        """What the story says that the message, or the action before, did."""
        match step.line.step:
            case SlotWas(name=name, any=True):
                if self.state.slots.get(name) is None:
                    self.note_slot(name, name)
            case SlotWas(name=name, value=value):
                self.note_slot(name, value)
            case LoopIs(loop=loop):
                self.open()
                self.note(ev.LoopChanged(loop=loop))
            case _:
                pass
        self.judged.append(Judged(step))

    def note_slot(self, name: str, value: object) -> None:
        self.open()
        self.note(ev.SlotSet.model_validate({"name": name, "value": value, "source": "action"}))

    def done(self) -> None:
        """The action under way is over, with all its effects; those of default actions are known."""
        acting, self.acting = self.acting, None
        if acting is None:
            return
        script, turn = self.program.script, self.state.current
        if script is None or turn is None or acting.action not in DEFAULT_ACTIONS - {*self.program.actions}:
            self.note(ev.ActionRan(action=acting.action, key=""))
            return
        while self.state.track.pending is not None:
            step = run_default(acting.action, self.state, turn, script, self.program)
            assert isinstance(step, Record | Say)
            self.note(*step.events)

    async def listen(self) -> None:
        """End the turn: nothing more may be done in it."""
        if self.state.current is None:
            return
        self.done()
        if self.state.track.closed:
            self.note(ev.Settled(outcome="unanswered"))
            return
        best = await self.chosen(LISTEN)
        last = next((number for number in reversed(range(len(self.judged))) if self.judged[number].checks), None)
        if last is not None:
            step, checks = self.judged[last]
            check = Check("listen", LISTEN, best.action, step.where, best.policy, _confidence(best))
            self.judged[last] = Judged(step, (*checks, check))
        right = best.action == LISTEN
        self.note(best if right else ev.Predicted(action=LISTEN, policy="Test"), ev.Settled(outcome="unanswered"))


def _counted(before: Conversation, found: ev.Understood, program: Program) -> str:
    """The intent that a message counts as, with its full name if it is a retrieval intent."""
    turn = before.current
    assert turn is not None
    facts = extract(before._replace(current=turn._replace(understood=found)), program)
    base = next((fact.intent for fact in facts if isinstance(fact, ev.Extracted)), "")
    best = found.intents[0].name if found.intents else ""
    return best if best.partition("/")[0] == base else base


def _left_out(gold: Sequence[ev.Entity], found: Sequence[ev.Entity]) -> str:
    """A hint where the test leaves out entities that the training data taught; `rasa test` counts them as wrong too."""
    marks, others = ({(e.start, e.end, e.type, str(e.value)) for e in each} for each in (gold, found))
    return "the test leaves some out, which fails in Rasa too" if marks < others else ""


def _marked(text: str, entities: Sequence[ev.Entity]) -> str:
    """The text with its entities, values as texts, without roles and groups: what is compared, as Rasa does."""
    plain = {"role": None, "group": None}
    return annotate(text, [item.model_copy(update={**plain, "value": str(item.value)}) for item in entities])


def _confidence(best: ev.Predicted) -> float:
    return best.candidates[0].score if best.policy == "RankingPolicy" and best.candidates else 1.0
