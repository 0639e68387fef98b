"""The customers of `benchmarks.year`: they talk to the bot through its gateway and show in passing what they meant.

Every conversation is one wish, in the words of a row of a public data set. What a customer does next depends on whether
the bot understood, with the probabilities in `Habits`; some of them are mistakes on purpose. Said again, a wish is said
in the words of another row of the same intent, the most similar one that was not used yet.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.core import events as ev
from bot.core.messages import Address, Choice, Inbound, Message, Text
from bot.manager import Manager
from bot.store import SqlStore
from training.examples import IntentExample
from training.sides import fraction

PERSON, NONE = "/talk_to_person", "/none_of_these"
ANSWERS = ("2417", "9035", "1188", "5660")
"""What customers say when a flow asks them something."""
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Habits:
    """How often customers do what. The rest of each group says nothing and leaves.

    "did you mean": `right_button` if it is there, else `nearest_button` or `no_button`; `slips` press another one.
    Understood: `goes_through` a flow that asks something, `thumb_up`, `closes` as resolved; `grumbles` all the same.
    Misunderstood: `goes_along` with the wrong flow, `rephrases`, `calls` a person, `thumb_down`, or even `likes` it.
    A person who took over `notes` what it was, rightly with `noted_right`, else the most similar intent.
    """

    right_button: float = 0.80
    slips: float = 0.05
    nearest_button: float = 0.12
    no_button: float = 0.50
    goes_through: float = 0.75
    thumb_up: float = 0.04
    grumbles: float = 0.01
    closes: float = 0.50
    goes_along: float = 0.06
    likes: float = 0.005
    thumb_down: float = 0.10
    rephrases: float = 0.40
    calls: float = 0.30
    notes: float = 0.75
    noted_right: float = 0.90


@dataclass
class Counts:
    """What happened in some conversations."""

    talks: int = 0
    turns: int = 0
    asked: int = 0
    refused: int = 0
    wrong: int = 0
    handed_off: int = 0


@dataclass
class World:
    """Customers of one month. `rows` are what they want to say; `vectors` tells how alike texts are."""

    rows: Sequence[IntentExample]
    similar: Mapping[str, str]
    vectors: Callable[[Sequence[str]], npt.NDArray[np.float32]]
    habits: Habits
    begin: float
    seed: str
    truth: dict[tuple[str, int], str] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        """Nothing was said yet."""
        self._said: set[int] = set()
        self._by_intent: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(self.rows):
            self._by_intent[row.intent].append(number)
        self._vectors = self.vectors([row.text for row in self.rows])

    def first(self, number: int) -> bool:
        """Whether the row is still to be said."""
        return number not in self._said

    def take(self, number: int) -> IntentExample:
        """Say a row."""
        self._said.add(number)
        return self.rows[number]

    def again(self, number: int) -> IntentExample | None:
        """The same wish in other words, if there are any."""
        left = [n for n in self._by_intent[self.rows[number].intent] if n not in self._said]
        if not left:
            return None
        return self.take(left[int((self._vectors[left] @ self._vectors[number]).argmax())])


class Customers:
    """Lets the customers of a month talk, one after the other; the clock is theirs."""

    def __init__(self, world: World, manager: Manager, store: SqlStore, clock: Clock) -> None:
        self.world, self.manager, self.store, self.clock = world, manager, store, clock

    async def talk(self, after: Callable[[], object] | None = None) -> None:
        """All conversations of the month, spread over 28 days."""
        world = self.world
        for number in range(len(world.rows)):
            if world.first(number):
                self.clock.now = world.begin + 28 * DAY * (number + 0.5) / len(world.rows)
                await _Talk(self, number).run()
                if after is not None:
                    await after()  # type: ignore[misc]


class Clock:
    """Seconds since 1970 that pass only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the bot made of a message: buttons of a "did you mean", the intent it acted on, what it asked."""

    turn: int
    guesses: tuple[Choice, ...]
    intent: str
    asks: bool
    message: str


class _Talk:
    """One conversation."""

    def __init__(self, customers: Customers, number: int) -> None:
        world = customers.world
        self.all, self.world, self.habits, self.number = customers, world, world.habits, number
        self.wish = world.rows[number].intent
        self.name = f"{world.seed}-{number:05d}"
        self.random = random.Random(self.name)
        self.turn = 0
        self.rated: list[ev.Event] = []

    async def run(self) -> None:
        self.world.counts.talks += 1
        await self.speak()
        if self.rated:
            await self.add(*self.rated)

    async def speak(self) -> None:
        seen = await self.say(self.world.take(self.number).text)
        for attempt in range(2):
            seen = await self.choose(seen) if seen.guesses else seen
            if seen.intent == self.wish:
                return await self.satisfied(seen)
            again = self.world.again(self.number) if self.lot("rephrases") and attempt == 0 else None
            if again is None:
                break
            self.rate(seen, self.habits.thumb_down / 2, -1)
            seen = await self.say(again.text)
        await self.unhappy(seen)

    def lot(self, habit: str) -> bool:
        return self.random.random() < float(getattr(self.habits, habit))

    async def choose(self, seen: _Seen) -> _Seen:
        """Press a button of "did you mean", or not."""
        habits, lot = self.habits, self.random.random()
        guesses = [choice for choice in seen.guesses if choice.payload != NONE]
        right = [choice for choice in guesses if choice.payload == f"/{self.wish}"]
        none = [choice for choice in seen.guesses if choice.payload == NONE]
        if right:
            if lot < habits.right_button:
                return await self.press(right[0])
            others = [choice for choice in guesses if choice not in right]
            return await self.press(others[0]) if lot < habits.right_button + habits.slips else seen
        if lot < habits.nearest_button:
            return await self.press(guesses[0])
        return await self.press(none[0]) if lot < habits.nearest_button + habits.no_button else seen

    async def satisfied(self, seen: _Seen) -> None:
        """The bot does the right thing."""
        if seen.asks and self.lot("goes_through"):
            await self.say(self.random.choice(ANSWERS), wish="")
        lot = self.random.random()
        if lot < self.habits.thumb_up + self.habits.grumbles:
            self.rated.append(ev.Rated(message=seen.message, score=1 if lot < self.habits.thumb_up else -1))
        if self.lot("closes"):
            await self.add(ev.Ended(reason="resolved"))

    async def unhappy(self, seen: _Seen) -> None:
        """The bot did not understand, or did something else."""
        self.world.counts.refused += not seen.intent and not seen.guesses
        self.world.counts.wrong += bool(seen.intent)
        if seen.intent and seen.asks and self.lot("goes_along"):
            await self.say(self.random.choice(ANSWERS), wish="")
            return await self.close(seen)
        if self.lot("calls"):
            return await self.person()
        self.rate(seen, self.habits.thumb_down, -1)
        await self.close(seen)

    async def close(self, seen: _Seen) -> None:
        if seen.intent and self.lot("likes"):
            self.rated.append(ev.Rated(message=seen.message, score=1))
            await self.add(ev.Ended(reason="resolved"))
        elif self.random.random() < 0.1:
            await self.add(ev.Ended(reason="resolved"))

    def rate(self, seen: _Seen, chance: float, score: float) -> None:
        if seen.message and self.random.random() < chance:
            self.rated.append(ev.Rated(message=seen.message, score=score))

    async def person(self) -> None:
        """A person takes over, answers, and may note what it was about."""
        self.world.counts.handed_off += 1
        await self.say(PERSON, wish="")
        answer = Message(id=f"{self.name}-person", parts=(Text(text="I have looked into it and settled it."),))
        facts: list[ev.Event] = [ev.Replied(message=answer)]
        if self.lot("notes"):
            noted = self.wish if self.lot("noted_right") else self.world.similar[self.wish]
            facts.append(ev.Corrected(target=self.turn, intent=noted, source="agent", by="desk"))
        await self.add(*facts, ev.Resumed(by="desk"), ev.Ended(reason="resolved"))

    async def press(self, choice: Choice) -> _Seen:
        return await self.say(choice.title, wish="", payload=choice.payload)

    async def say(self, words: str, wish: str | None = None, payload: str = "") -> _Seen:
        """Send a message and see what becomes of it."""
        self.turn += 1
        self.all.clock.now += 15
        key = f"{self.name}-{self.turn}"
        text = payload or words
        address = Address(channel="web", conversation=self.name, sender=self.name)
        message = Message(id=key, parts=(Text(text=text),))
        pressed = text.startswith("/")
        receipt = await self.all.manager.submit(Inbound(address=address, message=message, key=key, payloads=pressed))
        await receipt.settled()
        if wish is None:
            self.world.truth[self.name, self.turn] = self.wish
            self.world.counts.turns += 1
        facts = [fact.event for fact in await self.all.store.read(self.name) if fact.turn == self.turn]
        return self._seen(facts)

    def _seen(self, facts: Sequence[ev.Event]) -> _Seen:
        route = next((e for e in facts if isinstance(e, ev.Predicted) and not e.policy), None)
        understood = next((e for e in facts if isinstance(e, ev.Understood)), None)
        replies = [e.message for e in facts if isinstance(e, ev.Replied)]
        clarifies = route is not None and route.action == "clarify"
        offers = tuple(choice for message in replies for choice in message.offers) if clarifies else ()
        acted = route is not None and route.action == "start_flow" and understood is not None
        self.world.counts.asked += clarifies
        asks = any(isinstance(e, ev.Asked) for e in facts)
        intent = understood.intents[0].name if acted and understood is not None and understood.intents else ""
        return _Seen(self.turn, offers, intent, asks, replies[-1].id if replies else "")

    async def add(self, *events: ev.Event) -> None:
        """Facts that come about outside a turn."""
        last = (await self.all.store.read(self.name))[-1]
        facts = [
            ev.Recorded(conversation=self.name, seq=last.seq + n, turn=last.turn, at=self.all.clock.now, event=event)
            for n, event in enumerate(events, 1)
        ]
        await self.all.store.append(self.name, last.seq, facts)


def write_project(root: Path, intents: Sequence[str], examples: Sequence[IntentExample]) -> None:
    """A bot that answers each intent; half of them ask the customer something first."""
    titles = {name: name.replace("_", " ").capitalize() for name in intents}
    person = [{"title": "Talk to a person", "payload": PERSON}]
    responses: dict[str, object] = {f"utter_{name}": [{"text": f"About: {titles[name]}."}] for name in intents}
    responses |= {
        f"utter_ask_{name}_which": [{"text": "Please tell me the last four digits of the number.", "buttons": person}]
        for name in intents
    }
    flows = {name: _flow(name, titles[name]) for name in intents}
    slots = {f"{name}_which": {"type": "text", "mappings": [{"type": "from_text"}]} for name in intents}
    nlu = [
        {"intent": name, "examples": "".join(f"- {_plain(row.text)}\n" for row in examples if row.intent == name)}
        for name in intents
    ]
    domain = {"version": "3.1", "intents": [*intents, "talk_to_person"], "slots": slots}
    files = {
        "domain.yml": domain | {"responses": responses},
        "data/flows.yml": {"flows": flows},
        "data/nlu.yml": {"nlu": nlu},
        "bot.yml": {"name": "A year", "languages": ["en"], "behaviour": {"clarify_margin": 0.25}},
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(content), encoding="utf-8")


def _flow(name: str, title: str) -> dict[str, object]:
    steps: list[dict[str, object]] = [{"action": f"utter_{name}"}]
    if fraction(name, "asks") < 0.5:
        wrong = {"if": f'not (slots.{name}_which matches "^[0-9]{{4}}$")', "utter": f"utter_ask_{name}_which"}
        asks = {"collect": f"{name}_which", "reset_after_flow_ends": True, "ask_before_filling": True}
        steps.insert(0, asks | {"rejections": [wrong]})
    trigger = [{"intent": name}]
    return {"name": title, "description": title, "nlu_trigger": trigger, "steps": steps}


def _plain(text: str) -> str:
    """Without the brackets that mark entities in training data."""
    return " ".join(text.replace("[", "(").replace("]", ")").split())
