"""Straight stories from parts: one for each way through `or` and checkpoints.

A story that ends at a checkpoint goes on in every story that begins there and whose slot conditions hold. A circle of
checkpoints is gone through once: after the step back the shortest way to an end is taken, as Rasa cuts circles too.
The shortest ways come first, so that what is beyond the bound is only longer ways through parts already seen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

from bot.core.program import Slot
from bot.core.script import LISTEN, Did, Gap, Heard, SlotWas, Story
from bot.hints import nearest
from bot.project.problems import Problems
from bot.project.stories import Part, Placed, Start, Way

MOST = 10_000
"""Most straight stories that one project's stories, and one story's `or` steps, may stand for."""
_LISTEN = Did(action=LISTEN)


@dataclass(frozen=True, slots=True)
class ReadStory:
    """A straight story with the place of each of its steps."""

    story: Story
    places: tuple[str, ...]


class _Trail(NamedTuple):
    """A way through parts so far. `looped`: it has gone back once."""

    parts: tuple[int, ...]
    steps: Way
    looped: bool


def expand(parts: Sequence[Part], slots: Mapping[str, Slot], implied: bool, problems: Problems) -> list[ReadStory]:
    """All straight rules and stories, in the order of their beginnings.

    `implied`: an entity in a story fills the slots that are mapped from it, as `store_entities_as_slots` says.
    """
    found: list[ReadStory] = []
    for rule in (True, False):
        found += _Expansion([part for part in parts if part.rule is rule], slots, implied, problems).run()
    return found


class _Expansion:
    """The rules, or the stories, of one project."""

    def __init__(self, parts: list[Part], slots: Mapping[str, Slot], implied: bool, problems: Problems) -> None:
        self.parts, self.slots, self.implied, self.problems = parts, slots, implied, problems
        self.opening: dict[str, list[tuple[int, Start]]] = {}
        for number, part in enumerate(parts):
            for start in part.starts:
                self.opening.setdefault(start.name, []).append((number, start))

    def run(self) -> list[ReadStory]:
        self.check_checkpoints()
        found = sorted(self.trails(), key=lambda trail: trail.parts[0])
        return [self.story(trail) for trail in found]

    def check_checkpoints(self) -> None:
        """Warn about checkpoints that nothing leads to or from."""
        ends = {name: where for part in self.parts for name, where in part.ends.items()}
        for name, where in ends.items():
            if name not in self.opening:
                hint = nearest(name, self.opening)
                self.problems.warn(f"no story begins with checkpoint {name!r}{hint}", where)
        for name, starts in self.opening.items():
            if name not in ends:
                message = f"no story leads to checkpoint {name!r}{nearest(name, ends)}; what follows it is left out"
                self.problems.warn(message, starts[0][1].where)

    def trails(self) -> Iterator[_Trail]:
        """Every way from a beginning to an end, the shortest first."""
        first = (number for number, part in enumerate(self.parts) if not part.starts)
        queue = deque(_Trail((number,), way, False) for number in first for way in self.ways(number))
        made = 0
        while queue and made < MOST:
            trail = queue.popleft()
            onward = list(self.onward(trail))
            if not onward:
                made += 1
                yield trail
            elif made + len(queue) + len(onward) <= 2 * MOST:
                queue += onward
        if queue:
            message = f"the checkpoints lead to more than {MOST:,} stories; only the {MOST:,} shortest are used"
            self.problems.warn(f"{message}; make fewer stories begin or end at one checkpoint", self.parts[0].where)

    def onward(self, trail: _Trail) -> Iterator[_Trail]:
        here = trail.parts[-1]
        for number, start in self.following(here):
            back = (here, number) in self.back
            allowed = number == self.homeward.get(here) if trail.looped else True
            if allowed and not (back and trail.looped) and self.holds(start, trail.steps):
                for way in self.ways(number):
                    yield _Trail((*trail.parts, number), (*trail.steps, *way), trail.looped or back)

    def following(self, number: int) -> Iterator[tuple[int, Start]]:
        for name in self.parts[number].ends:
            yield from self.opening.get(name, ())

    def holds(self, start: Start, steps: Way) -> bool:
        """Whether the slots are as the beginning of the next part wants them."""
        for wanted in start.slots:
            slot = self.slots.get(wanted.name)
            held = SlotWas(name=wanted.name, value=slot.initial if slot else None)
            for step, _ in steps:
                if isinstance(step, SlotWas) and step.name == wanted.name:
                    held = step
            if wanted.any:
                if not held.any and held.value is None:
                    return False
            elif held.any or held.value != wanted.value:
                return False
        return True

    def ways(self, number: int) -> list[Way]:
        """The ways through the `or` steps of a part."""
        found = self._ways.get(number)
        if found is None:
            found = self._ways[number] = self._product(self.parts[number])
        return found

    @cached_property
    def _ways(self) -> dict[int, list[Way]]:
        return {}

    def _product(self, part: Part) -> list[Way]:
        count = math.prod(len(spot) for spot in part.spots)
        if count > MOST:
            kind = "rule" if part.rule else "story"
            message = f"{kind} {part.name!r}: its `or` steps stand for {count:,} stories, more than {MOST:,}"
            self.problems.error(f"{message}; split it, or use fewer `or` steps", part.where)
            return []
        spots = [[tuple(s for placed in way for s in self.grown(placed)) for way in spot] for spot in part.spots]
        return [tuple(placed for way in chosen for placed in way) for chosen in product(*spots)]

    def grown(self, placed: Placed) -> Iterator[Placed]:
        """The step, with what it means for slots."""
        step, where = placed
        if isinstance(step, SlotWas) and step.any:
            yield Placed(self.named_only(step, where), where)
            return
        yield placed
        if isinstance(step, Heard) and self.implied:
            for slot in self.slots.values():
                filled = _filled(slot, step)
                if filled is not None:
                    yield Placed(filled, where)

    def named_only(self, step: SlotWas, where: str) -> SlotWas:
        slot = self.slots.get(step.name)
        if slot is None or slot.type in ("text", "list", "any"):
            return step
        if slot.influences:
            message = f"slot {step.name!r} is named without a value; for type {slot.type} that means it is empty"
            self.problems.warn(f"{message}; write `- {step.name}: value`", where)
        return SlotWas(name=step.name)

    @cached_property
    def back(self) -> frozenset[tuple[int, int]]:
        """The steps from part to part that close a circle, found depth first from the beginnings."""
        found: set[tuple[int, int]] = set()
        state: dict[int, bool] = {}
        for root in range(len(self.parts)):
            if self.parts[root].starts or root in state:
                continue
            state[root] = True
            path = [(root, self.following(root))]
            while path:
                number, rest = path[-1]
                onward = next(rest, None)
                if onward is None:
                    state[number] = False
                    path.pop()
                elif state.get(onward[0]):
                    found.add((number, onward[0]))
                elif onward[0] not in state:
                    state[onward[0]] = True
                    path.append((onward[0], self.following(onward[0])))
        return frozenset(found)

    @cached_property
    def homeward(self) -> Mapping[int, int]:
        """For each part, the next one on the shortest way to an end that closes no circle."""
        before: dict[int, list[int]] = {}
        for number in range(len(self.parts)):
            for onward, _ in self.following(number):
                if (number, onward) not in self.back:
                    before.setdefault(onward, []).append(number)
        found: dict[int, int] = {}
        queue = deque(n for n, part in enumerate(self.parts) if not any(True for _ in self.following(n)))
        seen = set(queue)
        while queue:
            number = queue.popleft()
            for earlier in before.get(number, ()):
                if earlier not in seen:
                    seen.add(earlier)
                    found[earlier] = number
                    queue.append(earlier)
        return found

    def story(self, trail: _Trail) -> ReadStory:
        parts = [self.parts[number] for number in trail.parts]
        steps, places = [placed.step for placed in trail.steps], [placed.where for placed in trail.steps]
        if steps and not isinstance(steps[-1], Gap) and steps[-1] != _LISTEN and self.listens(trail):
            steps.append(_LISTEN)
            places.append(places[-1])
        name = " / ".join(dict.fromkeys(part.name for part in parts))
        where = parts[0].where
        return ReadStory(Story(name=name, steps=tuple(steps), rule=parts[0].rule, where=where), tuple(places))

    def listens(self, trail: _Trail) -> bool:
        """Whether the bot waits for the user at the end: also where a circle is cut, unless it goes on by itself."""
        onward = [self.parts[number].spots[:1] for number, _ in self.following(trail.parts[-1])]
        return all(isinstance(way[0].step, Heard) for spots in onward for ways in spots for way in ways)


def _filled(slot: Slot, heard: Heard) -> SlotWas | None:
    """What a message's entities make of a slot; only mappings that hold outside forms count.

    An entity without a value is some text: to a categorical slot that is another value than its own, to a number none.
    """
    values = [
        mention.value
        for mapping in slot.mappings
        if mapping.kind == "from_entity" and not any(condition.loop for condition in mapping.conditions[:1])
        for mention in heard.mentions
        if (mention.type, mention.role, mention.group) == (mapping.entity, mapping.role, mapping.group)
    ]
    if not values:
        return None
    if values[-1] is not None:
        return SlotWas(
            name=slot.name, value=[v for v in values if v is not None] if slot.type == "list" else values[-1]
        )
    if slot.type in ("text", "list"):
        return SlotWas(name=slot.name, any=True)
    return SlotWas(name=slot.name, value="") if slot.type == "categorical" else None
