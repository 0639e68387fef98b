"""Rules and stories as tables: which action a conversation's states call for.

Rules are partial: a rule fits when the latest states of the conversation meet its own. Stories are exact: what they
remember are whole states. Both follow Rasa 3's RulePolicy and AugmentedMemoizationPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from bot.core.features import Features, slot_feature
from bot.core.program import Program
from bot.core.script import LISTEN, Did, Heard, LoopIs, Script, SlotWas, Story, StoryStep, Uttered

GAP = "..."
NOT, ANY = "", "*"
"""What a rule may want of a slot besides a value: to be empty, to be set at all."""


class Wanted(NamedTuple):
    """What a rule wants of one state; empty fields want nothing, `loop` "" wants no form to be active.

    A `start` is the beginning of a conversation and wants nothing else.
    """

    start: bool
    action: str
    intent: str
    text: str
    entities: frozenset[str]
    slots: tuple[tuple[str, str], ...]
    loop: str | None


class Point(NamedTuple):
    """A place in a rule or story: in these states (oldest first), this action comes next.

    `wanted` are the same states as a rule wants them. `free` marks actions that nothing before them calls for.
    """

    states: tuple[Features, ...]
    wanted: tuple[Wanted, ...]
    action: str
    free: bool


class Rule(NamedTuple):
    """States, oldest first, and the action that follows."""

    name: str
    where: str
    states: tuple[Wanted, ...]
    action: str


class Unhappy(NamedTuple):
    """A state inside a form that some rule or story has something to say about.

    `interrupted`: the form goes on after other talk. Otherwise the form must not go on by itself here.
    """

    states: tuple[Wanted, ...]
    interrupted: bool


class Contradiction(NamedTuple):
    """A rule predicts another action than a rule or story has."""

    rule: str
    rule_where: str
    predicted: str
    story: str
    story_where: str
    action: str


class Book(NamedTuple):
    """Everything the rules and stories of a program say.

    `memory` gives action and story by states. `hidden` are the rules (and `loop NAME` of forms) that no story follows:
    what they did is left out of what stories remember. `private_slots` and `private_loops` occur in rules only and are
    left out likewise. `texts` are the messages that stories know word by word. `reach` is how many states the longest
    rule looks at. `follows` are all (cause, active form, action) that occur; see `cause`.
    """

    rules: tuple[Rule, ...]
    reach: int
    unhappy: tuple[Unhappy, ...]
    memory: Mapping[tuple[Features, ...], tuple[str, str]]
    texts: frozenset[str]
    hidden: frozenset[str]
    private_slots: frozenset[str]
    private_loops: frozenset[str]
    actions: tuple[str, ...]
    follows: frozenset[tuple[str, str, str]]


# Following a story --------------------------------------------------------------------------------------------------


class _Walk:
    """A story followed step by step."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.now = Features()
        self.empty: frozenset[str] = frozenset()
        self.no_loop = False
        self.points: list[Point] = []

    def step(self, step: StoryStep) -> None:
        match step:
            case Heard():
                self.hear(step)
            case Did():
                self.act(step.action)
            case Uttered():
                self.act(step.text)
            case SlotWas():
                self.slot(step)
            case LoopIs():
                self.no_loop = step.loop is None
                self.now = self.now._replace(loop=step.loop or "")
            case _:
                self.act(GAP)

    def hear(self, step: Heard) -> None:
        if self.now.action != LISTEN:
            self.act(LISTEN)
        text = "" if step.intent else step.text or ""
        self.now = self.now._replace(intent=step.intent or "", text=text, entities=_named(step, self.program))

    def act(self, action: str) -> None:
        before = self.points[-1] if self.points else None
        states = (*before.states, self.now) if before else (self.now,)
        wanted = (*before.wanted, self.wanted()) if before else (self.wanted(),)
        self.points.append(Point(states, wanted, action, free=before is None or GAP in (action, before.action)))
        self.now = self.now._replace(action=action)

    def wanted(self) -> Wanted:
        now = self.now
        slots = (*sorted(now.slots), *((name, NOT) for name in sorted(self.empty)))
        loop = "" if self.no_loop else now.loop or None
        return Wanted(not now.action, now.action, now.intent, now.text, now.entities, slots, loop)

    def slot(self, step: SlotWas) -> None:
        slot = self.program.slots.get(step.name)
        if slot is None or not slot.influences:
            return
        feature = slot_feature(slot, step.value)
        if step.any:
            feature = "set" if slot.type in ("text", "list") else ANY
        kept = [(name, value) for name, value in self.now.slots if name != step.name]
        self.now = self.now._replace(slots=frozenset([*kept, (step.name, feature)] if feature else kept))
        self.empty = self.empty - {step.name} if feature else self.empty | {step.name}


def _named(heard: Heard, program: Program) -> frozenset[str]:
    """The entities of a message by name, without those that its intent does not use."""
    intent = program.intents.get(heard.intent or "")
    allowed = intent.entities if intent else None
    mentions = [mention for mention in heard.mentions if allowed is None or mention.type in allowed]
    names = {mention.type for mention in mentions}
    names |= {f"{mention.type}#{mention.role}" for mention in mentions if mention.role}
    return frozenset(names | {f"{mention.type}.{mention.group}" for mention in mentions if mention.group})


def points(story: Story, program: Program) -> tuple[Point, ...]:
    """The places of a rule or story where an action comes next, in order, `action_listen` included."""
    walk = _Walk(program)
    for step in story.steps:
        walk.step(step)
    return tuple(walk.points)


# The tables ---------------------------------------------------------------------------------------------------------


class _Key:
    """A program as a cache key: two are the same when their content is."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __hash__(self) -> int:
        return hash(self.program.id)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, _Key) and (self.program is other.program or self.program.id == other.program.id != "")
        return bool(same)


def book(program: Program) -> Book:
    """The tables of a program, made once."""
    return _book(_Key(program))


@lru_cache(maxsize=8)
def _book(key: _Key) -> Book:
    program, script = key.program, key.program.script or Script()
    rules = [(rule, point) for rule in script.rules for point in points(rule, program)]
    stories = [(story, point) for story in script.stories for point in points(story, program)]
    private_slots = _slots(script.rules) - _slots(script.stories)
    private_loops = _loops(script.rules) - _loops(script.stories)
    table = _without_pauses(tuple(_rules(rules)), stories)
    steps = [step for story in (*script.rules, *script.stories) for step in story.steps]
    return Book(
        rules=table,
        reach=max((len(rule.states) for rule in table), default=0) + 2,
        unhappy=tuple(_unhappy(point for _, point in (*rules, *stories))),
        memory=_memory(stories, script.history),
        texts=frozenset(step.text for step in steps if isinstance(step, Heard) and step.text and not step.intent),
        hidden=_names(script) - _used(stories, table, script),
        private_slots=private_slots,
        private_loops=private_loops,
        actions=tuple(dict.fromkeys(point.action for _, point in stories)),
        follows=frozenset(
            (cause(point.states[-1]), point.states[-1].loop, point.action) for _, point in (*rules, *stories)
        ),
    )


def cause(state: Features) -> str:
    """What an action answers in a state: the message's intent right after it came, else the action before."""
    return state.intent if state.action == LISTEN else state.action


def _slots(stories: Iterable[Story]) -> frozenset[str]:
    return frozenset(step.name for story in stories for step in story.steps if isinstance(step, SlotWas))


def _loops(stories: Iterable[Story]) -> frozenset[str]:
    return frozenset(step.loop for s in stories for step in s.steps if isinstance(step, LoopIs) and step.loop)


def _names(script: Script) -> frozenset[str]:
    return frozenset([*(rule.name for rule in script.rules), *(f"loop {name}" for name in script.forms)])


def _used(stories: Iterable[tuple[Story, Point]], table: Sequence[Rule], script: Script) -> frozenset[str]:
    """The rules that predict what some story does, and the forms that some story has."""
    used = {f"loop {name}" for name in script.forms if any(Did(action=name) in s.steps for s in script.stories)}
    for _, point in stories:
        if not point.free:
            rule = matching(table, point.states)
            if rule is not None and rule.action == point.action:
                used.add(rule.name)
    return frozenset(used)


def _since_gap(states: Sequence[Wanted]) -> tuple[Wanted, ...]:
    """The states after the last gap: all that a rule knows."""
    for back, state in enumerate(reversed(states)):
        if state.action == GAP:
            return tuple(states[len(states) - back :])
    return tuple(states)


def _rules(rules: Iterable[tuple[Story, Point]]) -> Iterator[Rule]:
    for story, point in rules:
        states = _since_gap(point.wanted)
        if states and not point.free and point.action != GAP:
            yield Rule(story.name, story.where, states, point.action)


def _unhappy(all_points: Iterable[Point]) -> Iterator[Unhappy]:
    for point in all_points:
        *_, last = point.wanted
        before = point.wanted[-2:-1]
        if not last.loop or last.action == GAP:
            continue
        states = (*(_only_action(state) for state in before if state.action not in ("", GAP)), last)
        if last.action == LISTEN and point.action == last.loop:
            yield Unhappy(states, interrupted=True)
        elif last.action != LISTEN and point.action != last.loop:
            yield Unhappy(states, interrupted=False)


def _without_pauses(table: tuple[Rule, ...], stories: Sequence[tuple[Story, Point]]) -> tuple[Rule, ...]:
    """The rules without those that only wait after an action, where a story goes on after it.

    A rule that begins with an action and then hears something says what comes after both; that the bot waits between
    them is no rule of its own.
    """
    begins = {rule.states[0]._replace(slots=()) for rule in table if len(rule.states) > 1}
    pauses = {
        rule
        for rule in table
        if len(rule.states) == 1 and rule.action == LISTEN and rule.states[0]._replace(slots=()) in begins
    }
    after = {rule.states[0].action for rule in pauses}
    goes_on = [p for _, p in stories if p.action != LISTEN and not p.free and p.states[-1].action in after]
    broken = {rule for p in goes_on if (rule := matching(table, p.states)) in pauses}
    return tuple(rule for rule in table if rule not in broken)


def _only_action(state: Wanted) -> Wanted:
    return Wanted(False, state.action, "", "", frozenset(), (), None)


def _memory(stories: Iterable[tuple[Story, Point]], history: int | None) -> dict[tuple[Features, ...], tuple[str, str]]:
    """States and what follows; where stories differ on that, nothing is remembered."""
    found: dict[tuple[Features, ...], tuple[str, str]] = {}
    torn: set[tuple[Features, ...]] = set()
    for story, point in stories:
        key = point.states[-history:] if history else point.states
        if found.setdefault(key, (point.action, story.name))[0] != point.action:
            torn.add(key)
    return {key: said for key, said in found.items() if key not in torn}


# Asking -------------------------------------------------------------------------------------------------------------


def meets(wanted: Sequence[Wanted], states: Sequence[Features]) -> bool:
    """Whether the latest of the states meet all that is wanted."""
    if len(wanted) > len(states):
        return False
    return all(_meets(want, state) for want, state in zip(reversed(wanted), reversed(states), strict=False))


def _meets(want: Wanted, state: Features) -> bool:
    if want.start or not state.action:
        return want.start and not state.action
    if want.action != state.action or (want.loop is not None and want.loop != state.loop):
        return False
    if want.intent not in ("", state.intent) or want.text not in ("", state.text):
        return False
    if want.entities and want.entities != state.entities:
        return False
    return not want.slots or _slots_meet(want.slots, dict(state.slots))


def _slots_meet(wanted: Iterable[tuple[str, str]], slots: Mapping[str, str]) -> bool:
    for name, value in wanted:
        found = slots.get(name, NOT)
        if not found if value == ANY else found != value:
            return False
    return True


def matching(rules: Iterable[Rule], states: Sequence[Features]) -> Rule | None:
    """The rule that fits and says most: the longest, then the one that wants most."""
    fitting = [rule for rule in rules if meets(rule.states, states)]
    return max(fitting, key=_weight) if fitting else None


def _weight(rule: Rule) -> tuple[int, int]:
    wants = sum(
        bool(s.intent) + bool(s.text) + len(s.entities) + len(s.slots) + (s.loop is not None) for s in rule.states
    )
    return len(rule.states), wants


def recall(memory: Book, states: Sequence[Features], history: int | None) -> tuple[str, str] | None:
    """The action that stories remember for these states, and the story.

    When the whole is unknown, the talk is taken to have begun later, at each message in turn, as if what came before
    had not been said.
    """
    for start in (0, *(i for i, state in enumerate(states) if i and state.action == LISTEN)):
        known = tuple(states) if not start else (Features(), *_forgetting(states, start))
        found = memory.memory.get(known[-history:] if history else known)
        if found is not None:
            return found
    return None


def _forgetting(states: Sequence[Features], start: int) -> Iterator[Features]:
    """The states from `start` on, without the slots that had been set before."""
    earlier = states[start - 1].slots
    for state in states[start:]:
        yield state._replace(slots=state.slots - earlier)


def contradictions(program: Program) -> tuple[Contradiction, ...]:
    """Where a rule predicts something else than a rule or story has."""
    script, table = program.script or Script(), book(program).rules
    found: dict[tuple[str, str, str], Contradiction] = {}
    for story in (*script.rules, *script.stories):
        for point in points(story, program):
            rule = None if point.free else matching(table, _seen(point))
            if rule is None or rule.action == point.action:
                continue
            if rule.action == LISTEN and point.states[-1].loop:
                continue  # a general rule listens; inside a form the form goes on
            note = Contradiction(rule.name, rule.where, rule.action, story.name, story.where, point.action)
            found.setdefault((rule.name, story.name, point.action), note)
    return tuple(found.values())


def _seen(point: Point) -> tuple[Features, ...]:
    """The states that can be compared: those after a gap."""
    return point.states[len(point.states) - len(_since_gap(point.wanted)) :]
