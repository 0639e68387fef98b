"""Checks on the shape of flows: every step can be reached, and no walk goes on for ever without the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from bot.core.program import Act, Call, Flow, FlowStep, Link, Noop, SetSlots

Graph = Mapping[str, Iterable[str]]


def unreachable(flow: Flow) -> tuple[str, ...]:
    """The steps that no path from the first step leads to, in order."""
    reached: set[str] = set()
    ahead = [flow.steps[0].id]
    while ahead:
        step = ahead.pop()
        if step in reached or step not in flow.by_id:
            continue
        reached.add(step)
        ahead += [edge.to for edge in flow.by_id[step].next if edge.to is not None]
    return tuple(step.id for step in flow.steps if step.id not in reached)


def endless(flow: Flow, responses: Iterable[str]) -> tuple[str, ...]:
    """A circle of steps in which nothing can ever change: no question, no action that could lead out of it.

    Circles with a condition count when their steps only talk, as then no slot changes either.
    """
    said = set(responses)
    talking = {
        s.id: _targets(s) for s in flow.steps if isinstance(s, Noop) or (isinstance(s, Act) and s.action in said)
    }
    blind = {s.id: _certain(s) for s in flow.steps if isinstance(s, Noop | Act | SetSlots)}
    return _circle(talking) or _circle(blind)


def endless_calls(flows: Mapping[str, Flow]) -> tuple[str, ...]:
    """Flows that start one another in a circle before any of them asks the user something."""
    return _circle({flow.id: tuple(_starts(flow)) for flow in flows.values()})


def _starts(flow: Flow) -> Iterable[str]:
    """The flows that this one starts on its certain way from its first step, before a question."""
    step: FlowStep | None = flow.steps[0]
    for _ in flow.steps:
        if isinstance(step, Link | Call):
            yield step.flow
        if not isinstance(step, Noop | Act | SetSlots):
            return
        certain = _certain(step)
        step = flow.by_id.get(certain[0]) if certain else None


def _targets(step: FlowStep) -> tuple[str, ...]:
    return tuple(edge.to for edge in step.next if edge.to is not None)


def _certain(step: FlowStep) -> tuple[str, ...]:
    """The step that always follows, if one does."""
    first = step.next[0] if step.next else None
    return (first.to,) if first is not None and first.when is None and first.to is not None else ()


def _circle(graph: Graph) -> tuple[str, ...]:
    inside = {node: [to for to in targets if to in graph] for node, targets in graph.items()}
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1]))
    return ()
