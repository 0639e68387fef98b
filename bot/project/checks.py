"""What only shows when the parts of a project are seen together: names that do not exist, and likely mistakes.

Errors are about things that could not work; warnings about things that work, but hardly as meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.core.conditions import slot_names
from bot.core.filling import coerce
from bot.core.program import Act, Call, Collect, Link, SetSlots, Variation
from bot.hints import listed, nearest
from bot.project.domain import DomainReader
from bot.project.flows import ReadFlow
from bot.project.graph import endless, endless_calls, unreachable
from bot.project.problems import Problems


@dataclass(slots=True)
class Parts:
    """The parts that are checked against each other. `responses` and `intents` include those we added."""

    domain: DomainReader
    flows: Mapping[str, ReadFlow]
    intents: frozenset[str]
    responses: Mapping[str, tuple[Variation, ...]]
    actions: frozenset[str]
    problems: Problems
    missing: dict[str, str] = field(default_factory=dict)

    def reference(self, what: str, name: str, known: Iterable[str], where: str, fix: str = "") -> None:
        """Report a name that does not exist, once per name."""
        pool = set(known)
        key = f"{what} {name}"
        if name in pool or key in self.missing:
            return
        self.missing[key] = where
        self.problems.error(f"there is no {what} {name!r}{nearest(name, sorted(pool)) or fix}", where)

    def slot(self, name: str, where: str) -> None:
        """Report a slot that does not exist."""
        self.reference("slot", name, self.domain.slots, where, "; write it under `slots:` in the domain")

    def response(self, name: str, where: str) -> None:
        """Report a response that does not exist."""
        self.reference("response", name, self.responses, where, "; write it under `responses:` in the domain")


def check_references(parts: Parts) -> None:
    """Report everything that names something that is not there."""
    for read in parts.flows.values():
        _check_flow(read, parts)
    _check_triggers(parts)
    for name, variations in parts.domain.responses.items():
        for condition in (condition for variation in variations for condition in variation.conditions):
            if condition.slot:
                parts.slot(condition.slot, parts.domain.responses_at[name])


def check_shapes(parts: Parts) -> None:
    """Report steps that cannot be reached and circles without an end."""
    for read in parts.flows.values():
        lost = unreachable(read.flow)
        if lost:
            message = f"flow {read.flow.id!r}: no path leads to {_steps(lost)}"
            parts.problems.error(f"{message}; name it in a `next`, or remove it", read.steps_at[lost[0]])
        circle = endless(read.flow, parts.responses)
        if circle:
            message = f"flow {read.flow.id!r}: {' -> '.join(circle)} goes round for ever"
            parts.problems.error(f"{message}; add a `collect` or a way out", read.steps_at[circle[0]])
    calls = endless_calls({name: read.flow for name, read in parts.flows.items()})
    if calls:
        message = f"flows start one another without end: {' -> '.join(calls)}"
        parts.problems.error(f"{message}; ask something in between, or remove a link", parts.flows[calls[0]].where)


def _steps(names: tuple[str, ...]) -> str:
    return f"step {names[0]!r}" if len(names) == 1 else f"steps {listed(names)}"


def _check_flow(read: ReadFlow, parts: Parts) -> None:
    for slot in read.flow.persisted_slots:
        parts.slot(slot, read.where)
    for condition, where in read.conditions:
        for slot in slot_names(condition):
            parts.slot(slot, where)
    for step in read.flow.steps:
        where = read.steps_at[step.id]
        match step:
            case Collect():
                _check_collect(step, where, parts)
            case Act():
                _check_action(step.action, where, parts)
            case SetSlots():
                _check_values(step, where, parts)
            case Link() | Call():
                parts.reference("flow", step.flow, parts.flows, where)


def _check_collect(step: Collect, where: str, parts: Parts) -> None:
    parts.slot(step.slot, where)
    parts.response(step.utter, where)
    for rejection in step.rejections:
        if rejection.utter:
            parts.response(rejection.utter, where)


def _check_action(name: str, where: str, parts: Parts) -> None:
    if name.startswith("utter_"):
        parts.response(name, where)
        return
    fix = "; list it under `actions:` in the domain and write it in actions.py"
    parts.reference("action", name, {*parts.actions, *parts.responses}, where, fix)


def _check_values(step: SetSlots, where: str, parts: Parts) -> None:
    for name, value in step.values.items():
        parts.slot(name, where)
        slot = parts.domain.slots.get(name)
        if slot is not None and value is not None and coerce(slot, value) is None:
            expected = f"one of {listed(slot.values)}" if slot.values else f"a value for type {slot.type}"
            parts.problems.error(f"slot {name!r} cannot become {value!r}; expected {expected}", where)


def _check_triggers(parts: Parts) -> None:
    seen: dict[str, str] = {}
    for read in parts.flows.values():
        for intent, where in read.triggers_at.items():
            fix = "; list it under `intents:` in the domain and give it examples"
            parts.reference("intent", intent, parts.intents, where, fix)
            if intent in seen:
                message = f"intent {intent!r} starts a flow in {seen[intent]} already"
                parts.problems.error(f"{message}; an intent starts one flow", where)
            seen.setdefault(intent, where)
