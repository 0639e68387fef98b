"""What is drawn: a diagram for each flow, one for the rules, one for the stories.

Stories that begin alike share their beginning, stories that end alike their end; rules share beginnings only, for each
of them is to be read by itself. Messages that lead from the same place to the same place are drawn as one. Every node
knows the places in the files that it stands for.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from bot.core.program import Act, Call, Collect, Edge, Flow, FlowStep, HandOff, Link, SetSlots
from bot.core.script import LISTEN, Did, Gap, Heard, LoopIs, SlotWas, StoryStep, Uttered
from bot.project import Project
from bot.project.expand import ReadStory

MOST_STORIES = 400
"""How many stories are drawn; more of them are nothing one could look at."""


@dataclass(frozen=True, slots=True)
class Node:
    """A box. `kind`: start, end, user, bot, action, form, slot, flow, when (a condition on an arrow) or gap."""

    id: str
    lines: tuple[str, ...]
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Diagram:
    """Nodes and arrows between their ids."""

    title: str
    note: str
    nodes: tuple[Node, ...]
    arrows: tuple[tuple[str, str], ...]


def diagrams(project: Project) -> list[Diagram]:
    """The diagrams of a project; those with nothing in them are left out."""
    rules = [read for read in project.stories if read.story.rule]
    stories = [read for read in project.stories if not read.story.rule]
    simple = [flow for flow in project.program.flows.values() if _is_simple(flow)]
    others = [flow for flow in project.program.flows.values() if not _is_simple(flow)]
    drawn = [_flow(flow, project) for flow in others]
    if simple:
        drawn.append(_answers(simple, project))
    if rules:
        drawn.append(
            _merged(
                "Rules", f"{len(rules)} rules: whenever the left side fits, the right side follows.", rules, project
            )
        )
    if stories:
        note = f"{len(stories)} stories; what they share is drawn once."
        if len(stories) > MOST_STORIES:
            note += f" Only the first {MOST_STORIES} are shown."
        drawn.append(_merged("Stories", note, stories[:MOST_STORIES], project))
    return drawn


def wrapped(text: str, width: int = 30) -> tuple[str, ...]:
    """A text as at most three lines."""
    return tuple(textwrap.wrap(text, width, max_lines=3, placeholder=" ...")) or ("",)


# Flows --------------------------------------------------------------------------------------------------------------


def _is_simple(flow: Flow) -> bool:
    """Whether a flow only says something."""
    return len(flow.steps) == 1 and isinstance(flow.steps[0], Act) and flow.guard is None


class _Drawing:
    """Nodes and arrows as they are found."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.nodes: dict[str, Node] = {}
        self.arrows: dict[tuple[str, str], None] = {}
        self.numbers = count(1)

    def add(self, kind: str, text: str, title: str = "", key: str = "") -> str:
        key = key or f"n{next(self.numbers)}"
        self.nodes[key] = Node(key, wrapped(text), kind, title)
        return key

    def arrow(self, start: str, end: str) -> None:
        self.arrows[start, end] = None

    def place(self, *names: str) -> str:
        return self.project.places.get(" ".join(names), "")

    def diagram(self, title: str, note: str) -> Diagram:
        return Diagram(title, note, tuple(self.nodes.values()), tuple(self.arrows))


def _answers(flows: Iterable[Flow], project: Project) -> Diagram:
    """All flows that only say something."""
    drawing = _Drawing(project)
    for flow in flows:
        end = _box(flow.steps[0], flow, drawing)
        for intent in flow.triggers:
            drawing.arrow(drawing.add("user", intent, drawing.place("flow", flow.id)), end)
    return drawing.diagram("Plain answers", f"{len(drawing.nodes)} messages and answers.")


def _flow(flow: Flow, project: Project) -> Diagram:
    drawing = _Drawing(project)
    keys = {step.id: _box(step, flow, drawing) for step in flow.steps}
    first = keys[flow.steps[0].id]
    if flow.guard is not None:
        guard = drawing.add("when", f"if {flow.guard}", f"if {flow.guard}")
        drawing.arrow(guard, first)
        first = guard
    for intent in flow.triggers:
        drawing.arrow(drawing.add("user", intent, drawing.place("flow", flow.id)), first)
    for step in flow.steps:
        for edge in () if isinstance(step, Link | HandOff) else step.next:
            _lead(keys[step.id], edge, keys, drawing)
    return drawing.diagram(flow.name, flow.description)


def _lead(start: str, edge: Edge, keys: dict[str, str], drawing: _Drawing) -> None:
    """An arrow of a flow, its condition as a node of its own; each way out has an end of its own."""
    if edge.when is not None:
        condition = drawing.add("when", edge.when.replace("slots.", ""), f"if {edge.when}")
        drawing.arrow(start, condition)
        start = condition
    drawing.arrow(start, drawing.add("end", "") if edge.to is None else keys[edge.to])


def _box(step: FlowStep, flow: Flow, drawing: _Drawing) -> str:
    where = drawing.place("step", flow.id, step.id)
    match step:
        case Collect(slot=slot):
            kind, text = "form", f"ask: {slot}"
        case Act(action=action):
            kind, text = _kind(action, drawing.project), action
        case SetSlots(values=values):
            kind, text = "slot", ", ".join(f"{name} = {_value(value)}" for name, value in values.items())
        case Link(flow=other):
            kind, text = "flow", f"go to {other}"
        case Call(flow=other):
            kind, text = "flow", f"run {other}"
        case HandOff(reason=reason):
            kind, text = "action", f"hand off: {reason}"
        case _:
            kind, text = "gap", ""
    return drawing.add(kind, text, where)


def _kind(action: str, project: Project) -> str:
    script = project.program.script
    if script is not None and action in script.forms:
        return "form"
    return "bot" if action in project.program.responses or action.startswith("utter_") else "action"


def _value(value: object) -> str:
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


# Rules and stories --------------------------------------------------------------------------------------------------


class _Said(NamedTuple):
    """What a node shows; two that show the same may become one."""

    kind: str
    text: str


_Key = tuple[_Said, frozenset[str], frozenset[str]]
"""What makes two nodes the same: what they show, where they lead, and the rules they belong to."""


@dataclass(slots=True)
class _Tree:
    """A beginning that stories share, with the ways in which they go on and the places it stands for."""

    following: dict[_Said, _Tree] = field(default_factory=dict)
    places: dict[str, None] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)


def _merged(title: str, note: str, stories: Sequence[ReadStory], project: Project) -> Diagram:
    """Stories as one graph: equal beginnings are shared, then equal endings."""
    root = _Tree()
    for read in stories:
        tree = root
        for said, where in _shown(read, project):
            tree = tree.following.setdefault(said, _Tree())
            tree.places[f"{where}  {read.story.name}"] = None
            tree.owners |= {read.story.where} if read.story.rule else set()
    drawing = _Drawing(project)
    made: dict[_Key, str] = {}
    places: dict[str, dict[str, None]] = {}
    for said, tree in root.following.items():
        _fold(said, tree, drawing, made, places)
    for key, found in places.items():
        node = drawing.nodes[key]
        drawing.nodes[key] = Node(key, node.lines, node.kind, _titles(list(found)))
    return _joined(drawing.diagram(title, note))


def _titles(places: Sequence[str]) -> str:
    more = f"\n... and {len(places) - 8} more" if len(places) > 8 else ""
    return "\n".join(places[:8]) + more


def _fold(
    said: _Said,
    tree: _Tree,
    drawing: _Drawing,
    made: dict[_Key, str],
    places: dict[str, dict[str, None]],
) -> str:
    """The node of a tree: the same as that of another one that shows the same and goes on in the same way."""
    # Deep stories make deep trees; they are walked with a list instead of calls.
    order: list[tuple[_Said, _Tree]] = []
    waiting = [(said, tree)]
    while waiting:
        order.append(waiting.pop())
        waiting += order[-1][1].following.items()
    keys: dict[int, str] = {}
    for shown, part in reversed(order):
        following = frozenset(keys[id(other)] for other in part.following.values())
        same = shown, following, frozenset(part.owners)
        key = made.get(same)
        if key is None:
            key = made[same] = drawing.add(shown.kind, shown.text)
            for other in part.following.values():
                drawing.arrow(key, keys[id(other)])
        places.setdefault(key, {}).update(part.places)
        keys[id(part)] = key
    return keys[id(tree)]


def _shown(read: ReadStory, project: Project) -> Iterator[tuple[_Said, str]]:
    """The steps of a story as nodes: without what goes without saying."""
    steps = list(zip(read.story.steps, read.places, strict=True))
    before: StoryStep | None = None
    for number, (step, where) in enumerate(steps):
        last = number == len(steps) - 1
        plain = (isinstance(step, Gap) and not last) or step == Did(action=LISTEN)
        begins = isinstance(step, LoopIs) and before == Did(action=step.loop or "")
        if not plain and not begins:
            yield _said(step, project), where
        before = step


def _said(step: StoryStep, project: Project) -> _Said:
    match step:
        case Heard(intent=intent, text=text, mentions=mentions):
            with_them = "".join(f" [{mention.type}]" for mention in mentions)
            return _Said("user", (intent or f'"{text}"') + with_them)
        case Did(action=action):
            return _Said(_kind(action, project), action)
        case Uttered(text=text):
            return _Said("bot", f'"{text}"')
        case SlotWas(name=name, any=True):
            return _Said("slot", f"{name} is set")
        case SlotWas(name=name, value=value):
            return _Said("slot", f"{name} = {_value(value)}")
        case LoopIs(loop=loop):
            return _Said("slot", f"form {loop} is active" if loop else "form ends")
        case Gap():
            return _Said("gap", "...")


def _joined(diagram: Diagram) -> Diagram:
    """Messages that come from the same places and lead to the same places, as one node with a line for each."""
    before: dict[str, set[str]] = {}
    after: dict[str, set[str]] = {}
    for start, end in diagram.arrows:
        after.setdefault(start, set()).add(end)
        before.setdefault(end, set()).add(start)
    groups: dict[tuple[frozenset[str], frozenset[str]], list[Node]] = {}
    for node in diagram.nodes:
        if node.kind == "user" and after.get(node.id):
            around = frozenset(before.get(node.id, ())), frozenset(after[node.id])
            groups.setdefault(around, []).append(node)
    gone: dict[str, str] = {}
    joined: dict[str, Node] = {}
    for several in groups.values():
        first = several[0]
        lines = tuple(line for node in several for line in node.lines)
        title = "\n".join(node.title for node in several)
        joined[first.id] = Node(first.id, lines, "user", title)
        gone |= {node.id: first.id for node in several[1:]}
    nodes = tuple(joined.get(node.id, node) for node in diagram.nodes if node.id not in gone)
    arrows = tuple(pair for pair in diagram.arrows if not {*pair} & gone.keys())
    return Diagram(diagram.title, diagram.note, nodes, arrows)
