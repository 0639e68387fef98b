"""A bot in the year of `benchmarks.year`: month for month it is talked to, reviewed and taught."""

from __future__ import annotations

import asyncio
import random
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from benchmarks.year_data import Remembering, Rows, accuracy
from benchmarks.year_world import DAY, Clock, Counts, Customers, Habits, World, write_project
from bot.bundles import BundleStore
from bot.canary import Canary, Candidate
from bot.core import events as ev
from bot.core.protocols import Understanding, Utterance
from bot.manager import Manager
from bot.models import Models
from bot.project import load_project
from bot.rollout import Plan, RolloutFile
from bot.store import SqlStore
from skills.intent import IntentHead
from skills.language import LanguageIdentification
from skills.understanding import INTENT, Understander
from training.examples import OOS, IntentExample
from training.gate.verdict import Integrity
from training.gather import Sources, read_log
from training.judgements import Decision, fact, judged, note
from training.loop import Learned, LearnRequest, learn
from training.reproduce import Prediction, compared, predictions
from training.review import queue, turn_place, usable
from training.review_desk import Workplace, readable
from training.signals import turns
from training.snapshots import SnapshotStore
from training.split import SplitOptions
from training.standard import StandardWorkshop
from training.train import TrainRequest, train_project
from training.workshop import FitOptions

FIRST = 5
"""Examples that an author writes for an intent."""
BEGIN = 1_762_000_000.0
FLOOD = 1000
"""Turns that the broken import labels."""
REVIEWER = 0.97
"""How often the reviewer is right."""
SPLIT = SplitOptions(share=0.1)
FIT = FitOptions(intent="frozen")
PLAN = Plan(shares=(0.2, 0.5), conversations=(100, 200))


class Workshop(StandardWorkshop):
    """Reproduces predictions in this process: a new one costs five seconds of a processor each month."""

    def reproduce(self, folder: Path, texts: Sequence[str], expected: Sequence[Prediction]) -> Integrity:
        """See `training.workshop.Workshop`."""
        return compared(expected, predictions(Understander.load(folder, self.encoder), texts))


@dataclass(frozen=True, slots=True)
class Setting:
    """One year. `by` is how corrections are drawn: "queue" or "random". `start`: the share of intents known at first.

    `poisoned` is the month (from 0) whose import is broken, `tried` the one in which the bundle that the gate refused
    for it gets a canary all the same; -1 for neither.
    """

    name: str
    corrections: int
    by: str = "queue"
    seed: int = 0
    months: int = 12
    start: float = 0.43
    poisoned: int = 6
    tried: int = 7
    habits: Habits = field(default_factory=Habits)


@dataclass
class Month:
    """What a month brought."""

    accuracy: float = 0.0
    by_intent: dict[str, float] = field(default_factory=dict)
    forgotten: float = 0.0
    spent: int = 0
    signs: int = 0
    signs_right: float = 0.0
    human: int = 0
    verdict: str = ""
    why: str = ""
    counts: Counts = field(default_factory=Counts)
    canary: str = ""
    cpu: float = 0.0

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Month:
        """A month that was written down."""
        return cls(**{**plain, "counts": Counts(**plain["counts"])})


class Year:
    """A year of one bot, in a folder of its own."""

    def __init__(self, setting: Setting, rows: Rows, encoder: Remembering, root: Path) -> None:
        self.setting, self.rows, self.encoder, self.root = setting, rows, encoder, root
        self.random = random.Random(setting.seed)
        self.state = root / ".bot"
        self.log, self.bundles = self.state / "log.db", BundleStore(self.state / "models")
        self.workshop = Workshop(encoder)
        self.language = LanguageIdentification(("en",))
        self.months: list[Month] = []
        self.truth: dict[tuple[str, int], str] = {}
        self.refused = ""
        self.born = self._births()
        self.examples, self.stream = self._dealt()

    def _births(self) -> dict[str, int]:
        """The month in which customers first want it, -1 for intents that are there from the start."""
        names = self.random.sample(self.rows.intents, len(self.rows.intents))
        first = round(self.setting.start * len(names))
        pace = self.setting.months / (len(names) - first)
        return {name: -1 if n < first else int((n - first) * pace) for n, name in enumerate(names)}

    def _dealt(self) -> tuple[list[IntentExample], list[list[IntentExample]]]:
        """Five examples of each intent, and what customers want to say each month."""
        examples: list[IntentExample] = []
        months: list[list[IntentExample]] = [[] for _ in range(self.setting.months)]
        rows = self.random.sample(self.rows.train, len(self.rows.train))
        given: dict[str, int] = {}
        for row in rows:
            if row.intent != OOS and given.get(row.intent, 0) < FIRST:
                given[row.intent] = given.get(row.intent, 0) + 1
                examples.append(row)
            else:
                months[self.random.randrange(max(0, self.born.get(row.intent, 0)), self.setting.months)].append(row)
        return examples, months

    def run(self, told: Callable[[int, Month], None]) -> list[Month]:
        """All months."""
        self._write(0)
        train_project(
            TrainRequest(self.bundles.root, Sources(load_project(self.root)), split=SPLIT, fit=FIT), self.workshop
        )
        for number in range(self.setting.months):
            used = cpu()
            month = Month()
            self.months.append(month)
            asyncio.run(self._talk(number, month))
            month.spent = self._review(number)
            self._write(number + 1)
            self._learn(number, month)
            self._measure(number, month)
            month.cpu = cpu() - used
            told(number, month)
        return self.months

    def known(self, number: int) -> list[str]:
        """Intents that the bot has in a month: those that customers wanted before."""
        return sorted(name for name, born in self.born.items() if born < number)

    def _write(self, number: int) -> None:
        write_project(self.root, self.known(number), self.examples)

    def _reader(self, bundle: str) -> Callable[[Sequence[str]], list[Understanding]]:
        found = Understander.load(self.bundles.open(bundle).path, self.encoder, None, bundle)
        plain = Understander(self.encoder, found.intent, None, self.language, bundle)
        return lambda texts: plain.run([Utterance(text=text, now=0.0) for text in texts])

    def _candidate(self, bundle: str, texts: Sequence[str]) -> Candidate:
        """A bundle as the manager asks it; what the month will say is read at once."""
        read = self._reader(bundle)
        ready = dict(zip(texts, read(texts), strict=True))

        async def understand(utterance: Utterance) -> Understanding:
            return ready.get(utterance.text) or read([utterance.text])[0]

        return Candidate(bundle, understand, None, lambda: None)

    async def _talk(self, number: int, month: Month) -> None:
        rows = self.stream[number]
        begin = BEGIN + number * 30 * DAY
        seed = f"{self.setting.seed}-{number:02d}"
        world = World(rows, self.rows.similar, self.encoder.vectors, self.setting.habits, begin, seed)
        texts = [row.text for row in rows]
        clock = Clock()
        current = self.bundles.pointer() or ""
        async with SqlStore(self.log) as store:
            models = Models(current, load_project(self.root).program, self._candidate(current, texts).understand)
            manager = Manager(store, models, clock=clock)
            customers = Customers(world, manager, store, clock)
            if self.refused and number == self.setting.tried:
                month.canary = await self._canary(customers, texts, begin)
            else:
                await customers.talk()
            await manager.close()
        self.truth |= world.truth
        month.counts = world.counts

    async def _canary(self, customers: Customers, texts: Sequence[str], begin: float) -> str:
        """The month with a canary of the bundle that the gate had refused."""
        file = RolloutFile(self.bundles)
        file.begin(self.refused, begin, PLAN, by="somebody in a hurry")
        load = lambda bundle: self._candidate(bundle, texts)  # noqa: E731
        canary = Canary(customers.manager, customers.store, self.bundles, load, customers.clock)
        await customers.talk(canary.look)
        await canary.stop()
        found = file.read()
        return found.told() if found else ""

    # Review

    def _review(self, number: int) -> int:
        """A person answers this month's part of the budget; how many were answered until now."""
        months, all_ = self.setting.months, self.setting.corrections
        spent = all_ * number // months
        budget = all_ * (number + 1) // months - spent
        project = load_project(self.root)
        history = readable(read_log(self.log), project.settings)
        if self.setting.by == "random":
            facts = self._drawn(history, budget)
        else:
            workplace = Workplace(project, self.bundles, self.state, self.encoder)
            batch = queue(history, workplace.desk(history), "ann", budget)
            facts = [
                (item.conversation, self._answer(item.conversation, item.turn, item.text, item.metadata()))
                for item in batch.items
            ]
            facts += [(kept.conversation, kept.fact("ann")) for kept in batch.kept]
        asyncio.run(self._note(facts))
        return spent + min(budget, len(facts))

    def _drawn(self, history: Sequence[ev.Recorded], budget: int) -> list[tuple[str, ev.Event]]:
        """Turns drawn uniformly at random among those that nobody judged."""
        known = judged(history)
        open_ = [turn for turn in turns(history) if usable(turn) and turn_place(turn) not in known]
        drawn = self.random.sample(open_, min(budget, len(open_)))
        told: dict[str, JsonValue] = {"reason": "audit"}
        return [(turn.conversation, self._answer(turn.conversation, turn.turn, turn.text, told)) for turn in drawn]

    def _answer(self, conversation: str, turn: int, text: str, metadata: dict[str, JsonValue]) -> ev.Corrected:
        right = self.truth[conversation, turn]
        lot = random.Random(f"{self.setting.seed}/{conversation}/{turn}")
        said = right if lot.random() < REVIEWER else self.rows.similar[right]
        decision = Decision(conversation=conversation, turn=turn, verdict="relabel", intent=said)
        return fact(decision, text, "ann", metadata)

    async def _note(self, facts: Sequence[tuple[str, ev.Event]]) -> None:
        async with SqlStore(self.log) as store:
            for conversation, event in facts:
                await note(store, conversation, event)

    # Learning

    def _learn(self, number: int, month: Month) -> None:
        poisoned = self._poison(number) if number == self.setting.poisoned else []
        learned = self._once()
        month.verdict, month.why = learned.lesson.outcome, "; ".join(learned.lesson.reasons[:3])
        if poisoned:
            month.why = _failed(learned)
            if learned.lesson.outcome == "kept back":
                self.refused = learned.lesson.bundle
            withdrawn = {"withdrawn": True, "intent": None}
            taken = [(place[0], event.model_copy(update=withdrawn)) for place, event in poisoned]
            asyncio.run(self._note(taken))
            again = self._once()
            month.verdict += f", then {again.lesson.outcome}"
            learned = again if again.result is not None else learned  # None: nothing had changed
        elif learned.lesson.outcome == "kept back":
            month.why = _failed(learned)
        if learned.result is not None:
            self._count(month, learned)

    def _once(self) -> Learned:
        project = load_project(self.root)
        request = LearnRequest(
            project, self.state, self.log, self.bundles.root, vectors=self.encoder.vectors, split=SPLIT, fit=FIT
        )
        return learn(request, self.workshop)

    def _poison(self, number: int) -> list[tuple[tuple[str, int], ev.Corrected]]:
        """A broken import: its list of intents has slipped by one, so each label names the next intent."""
        names = self.known(number)
        following = dict(zip(names, [*names[1:], names[0]], strict=True))
        places = sorted(place for place, intent in self.truth.items() if place[1] == 1 and intent in following)
        chosen = self.random.sample(places, min(FLOOD, len(places)))
        facts = [
            (place, ev.Corrected(target=place[1], intent=following[self.truth[place]], source="import", by="crm"))
            for place in chosen
        ]
        asyncio.run(self._note([(place[0], event) for place, event in facts]))
        return facts

    def _count(self, month: Month, learned: Learned) -> None:
        """What the labels that taught were worth."""
        rows = SnapshotStore(self.state / "snapshots").open(learned.lesson.snapshot).rows
        logged = [row for row in rows if row.conversation and row.intent and row.side == "train"]
        signs = [row for row in logged if not row.human]
        right = [row.intent == self.truth.get((row.conversation, row.turn)) for row in signs]
        month.signs, month.human = len(signs), len(logged) - len(signs)
        month.signs_right = float(np.mean(right)) if right else 1.0

    def _measure(self, number: int, month: Month) -> None:
        """Accuracy on the dev rows of the intents that the bot has next month, and how far each fell from its best."""
        bundle = self.bundles.open_current()
        assert bundle is not None
        head = IntentHead.load(bundle.path / INTENT)
        known = set(self.known(number + 1))
        month.accuracy, month.by_intent = accuracy(
            head, [row for row in self.rows.dev if row.intent in known], self.encoder
        )
        best = {name: max(m.by_intent.get(name, 0.0) for m in self.months) for name in month.by_intent}
        month.forgotten = float(np.mean([best[name] - found for name, found in month.by_intent.items()]))


def _failed(learned: Learned) -> str:
    verdict = learned.result.verdict if learned.result else None
    if verdict is None:
        return learned.lesson.headline
    named = [check.sentence for check in verdict.checks if check.state == "failed"]
    return "; ".join([*(f"{c.skill} {c.finding}" for c in verdict.comparisons if c.skill == "intent"), *named])


def cpu() -> float:
    """Seconds of the processor that this process and its children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
