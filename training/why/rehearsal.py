"""A turn played again with one thing changed: `decide` is asked step by step, nothing outside is called.

What the outside gave in the log is given again: passages for the same query, what a custom action brought, the
ranking's answer in the same situation. Where the log knows no answer, the rehearsal stops and says what would have been
asked; helpers that only check (`validate_...`) are taken to have found nothing wrong, and that is said too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation, evolve
from bot.core.dialogue import choose, situation
from bot.core.errors import IllegalHistory
from bot.core.policy import decide
from bot.core.program import Program
from bot.core.protocols import Situation
from bot.core.script import REQUESTED
from training.why.chain import Turn, states

Rank = Callable[[Conversation, st.Rank], ev.Predicted]
"""Asks the learned ranking."""
Search = Callable[[str], ev.Retrieved]
"""Asks the knowledge base."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What may be asked where the log knows no answer; None is not there."""

    rank: Rank | None = None
    search: Search | None = None


NOBODY = Outside()
_HELPERS = ("validate_", "action_validate_slot_mappings", "action_session_start", "action_ask_")


@dataclass(frozen=True, slots=True)
class Scene:
    """A turn to be played again. `start` is the conversation right before the message was understood.

    `brought` are the facts that followed each run of an action, by its name; `ranked` the ranking's choices with the
    situation that they were made in.
    """

    start: Conversation
    understood: ev.Understood
    program: Program
    retrieved: ev.Retrieved | None
    brought: Mapping[str, tuple[tuple[ev.Event, ...], ...]]
    ranked: tuple[tuple[Situation, ev.Predicted], ...]
    logged: tuple[str, ...]
    outside: Outside = NOBODY


@dataclass(frozen=True, slots=True)
class Change:
    """What is different. `slots` are values that slots have instead of those in the log."""

    understood: ev.Understood | None = None
    slots: Mapping[str, JsonValue] = field(default_factory=dict)
    floor: float | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What the bot does. `assumed` is what had to be taken for granted; `whole`: the turn was played to its end."""

    does: tuple[str, ...]
    assumed: tuple[str, ...] = ()
    whole: bool = True


def scene(turn: Turn, program: Program, outside: Outside = NOBODY) -> Scene | None:
    """The turn as it can be played again; None where it was not understood by a bot of ours, or the log is too old."""
    found = turn.understood
    if found is None or turn.imported:
        return None
    before = list(states(turn))
    start = next(state for state, event in before if event is found)
    if start.current is None or start.current.number != turn.number:
        return None
    retrieved = [event for event in turn.facts if isinstance(event, ev.Retrieved)]
    ranked = [
        (situation(state, program), event)
        for state, event in before
        if isinstance(event, ev.Predicted) and event.policy in ("RankingPolicy", "Fallback")
        if isinstance(choose(state, program), st.Rank)
    ]
    return Scene(
        start=start,
        understood=found,
        program=program,
        retrieved=retrieved[-1] if retrieved else None,
        brought=_brought(turn),
        ranked=tuple(ranked) if program.script is not None else (),
        logged=tuple(_told(turn.facts)),
        outside=outside,
    )


def _brought(turn: Turn) -> dict[str, tuple[tuple[ev.Event, ...], ...]]:
    """What each custom action of the turn brought: the facts up to the next choice or the next action."""
    found: dict[str, list[tuple[ev.Event, ...]]] = {}
    current: list[ev.Event] | None = None
    name = ""
    facts = turn.facts
    for event, following in zip(facts, (*facts[1:], None), strict=True):
        if isinstance(event, ev.ActionRan) and (event.key or event.error):
            if current is not None:
                found.setdefault(name, []).append(tuple(current))
            current, name = [event], event.action
        elif current is not None and _of_action(event, current[0], following):
            current.append(event)
        elif current is not None:
            found.setdefault(name, []).append(tuple(current))
            current = None
    return {action: tuple(runs) for action, runs in found.items()}


def _of_action(event: ev.Event, ran: ev.Event, following: ev.Event | None) -> bool:
    """Whether an action brought a fact: what a later step of a flow says, or a form asks, is not its doing."""
    assert isinstance(ran, ev.ActionRan)
    if isinstance(event, ev.SlotSet):
        return event.source == "action"
    if isinstance(event, ev.Replied):
        asks = isinstance(following, ev.SlotSet) and following.name == REQUESTED and following.source == "flow"
        return event.step == ran.step and not asks
    return isinstance(event, ev.FollowUp | ev.ReminderSet | ev.ReminderCancelled | ev.Paused)


# Telling what is done -----------------------------------------------------------------------------------------------


def _told(events: Iterator[ev.Event] | tuple[ev.Event, ...]) -> Iterator[str]:
    """What facts amount to for the user, in words; what is said twice in a row is told once."""
    last = ""
    for event in events:
        told = _effect(event)
        if told and told != last:
            yield told
            last = told


def _effect(event: ev.Event) -> str:
    match event:
        case ev.Predicted(policy=""):
            return _ROUTES.get(event.action, "").format(event.argument or "")
        case ev.Replied(message=message) if message.sources:
            return f"answers from {message.sources[0].title!r}"
        case ev.Replied(message=message):
            return f"says {message.name or repr(message.text)}"
        case ev.Asked(slot=slot):
            return f"asks for {slot}"
        case ev.SlotSet(name=name, value=value) if name == REQUESTED and value is not None:
            return f"asks for {value}"
        case ev.ActionRan(key=key, error=error, action=action) if key or error:
            return "" if _helps(action) else f"runs {action}{', which fails' if error else ''}"
        case ev.HandedOff(reason=reason):
            return f"calls a person ({reason})"
        case ev.LoopChanged(loop=loop):
            return f"begins form {loop}" if loop else "ends the form"
        case _:
            return ""


_ROUTES = {
    "start_flow": "begins flow {}",
    "continue_flow": "goes on with {}",
    "cancel_flow": "stops flow {}",
    "correct_slot": "corrects an earlier answer",
    "knowledge": "looks in the knowledge base",
}


def _helps(action: str) -> bool:
    return action.startswith(_HELPERS)


# Playing ------------------------------------------------------------------------------------------------------------


def play(scene: Scene, change: Change) -> Played:
    """The turn with a change, as far as it can be known."""
    return _Rehearsal(scene, change).run()


class _Rehearsal:
    """One run."""

    def __init__(self, scene: Scene, change: Change) -> None:
        self.scene, self.change = scene, change
        kept = {**scene.start.slots, **change.slots} if change.slots else scene.start.slots
        self.state = scene.start._replace(slots=kept)
        self.facts: list[ev.Event] = []
        self.assumed: list[str] = []
        self.runs: dict[str, int] = {}
        self.ending = ""

    def run(self) -> Played:
        try:
            self.note(self.change.understood or self.scene.understood)
            for _ in range(self.scene.program.behaviour.max_steps):
                if not self.step(decide(self.state, self.scene.program)):
                    break
            else:
                self.ending = "goes round in circles"
        except IllegalHistory:
            self.ending = "cannot be told: the facts of the log do not fit this change"
        does = (*_told(tuple(self.facts)), *([self.ending] if self.ending else []))
        return Played(does, tuple(dict.fromkeys(self.assumed)), not self.ending)

    def note(self, *events: ev.Event) -> None:
        for event in events:
            event = self.with_slots(event)
            recorded = ev.Recorded(
                conversation=self.state.id,
                seq=self.state.seq + 1,
                turn=self.state.turn if self.state.current is None else self.state.current.number,
                at=self.state.at,
                event=event,
            )
            self.state = evolve(self.state, recorded)
            self.facts.append(event)

    def with_slots(self, event: ev.Event) -> ev.Event:
        """A slot that is changed keeps its new value, whoever sets it."""
        if isinstance(event, ev.SlotSet) and event.name in self.change.slots and event.source != "reset":
            return event.model_copy(update={"value": self.change.slots[event.name]})
        return event

    def step(self, step: st.Step) -> bool:
        """Do a step; whether there is more to do."""
        match step:
            case st.Record(events=events):
                self.note(*events)
            case st.Say():
                for number, message in enumerate(step.messages, 1):
                    named = message.model_copy(update={"id": f"again-{self.state.seq}-{number}"})
                    self.note(ev.Replied(message=named, step=step.step))
                self.note(*step.events)
            case st.Retrieve(query=query):
                return self.look_up(query)
            case st.Generate():
                # What is said may be worded anew each time; whence it comes is what counts here.
                self.note(ev.Generated(model="", fallback="rehearsed"))
            case st.Rank():
                return self.ask_ranking(step)
            case st.Run():
                return self.act(step)
            case _:
                return False
        return True

    def look_up(self, query: str) -> bool:
        found, search = self.scene.retrieved, self.scene.outside.search
        if (found is None or found.query != query) and search is not None:
            found = search(query)
        if found is None or found.query != query:
            self.ending = "and answers with what it finds there"
            return False
        changed = {} if self.change.floor is None else {"floor": self.change.floor}
        self.note(found.model_copy(update=changed))
        return True

    def ask_ranking(self, step: st.Rank) -> bool:
        now = situation(self.state, self.scene.program)
        known = next((choice for seen, choice in self.scene.ranked if seen == now), None)
        if known is None and self.scene.outside.rank is not None:
            known = self.scene.outside.rank(self.state, step)
        if known is None:
            self.ending = "asks the learned ranking, which is not here"
            return False
        self.note(known)
        return True

    def act(self, step: st.Run) -> bool:
        past, number = self.scene.brought.get(step.action, ()), self.runs.get(step.action, 0)
        self.runs[step.action] = number + 1
        if number < len(past):
            first, *rest = past[number]
            assert isinstance(first, ev.ActionRan)
            self.note(first.model_copy(update={"step": step.step}))
            self.note(*(_in_step(event, step.step) for event in rest))
        elif _helps(step.action):
            self.assumed.append(f"{step.action} finds nothing to change")
            self.note(ev.ActionRan(action=step.action, key="again", step=step.step))
        else:
            self.ending = f"runs {step.action}"
            return False
        return True


def _in_step(event: ev.Event, step: str | None) -> ev.Event:
    return event.model_copy(update={"step": step}) if isinstance(event, ev.SlotSet | ev.Replied) else event
