"""The `flows:` section, in the notation of Rasa CALM, made flat.

Steps may be nested in the branches of a `next`. Here every step gets an id (`id:`, or its place and kind, such as
`2_collect_size`) and edges to the steps that may follow; the one after it in the list when it says nothing. The last
step of a branch must say where to go on, as in Rasa; `link` and `handoff` leave the flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from bot.core.conditions import parse
from bot.core.errors import ProjectError
from bot.core.program import Act, Call, Collect, Edge, Flow, FlowStep, HandOff, Link, Noop, Rejection, SetSlots
from bot.hints import nearest
from bot.project.fields import Fields
from bot.project.problems import Problems
from bot.yaml import Node, describe

END = "END"
KINDS = ("collect", "action", "set_slots", "link", "call", "handoff", "noop")


@dataclass(frozen=True, slots=True)
class ReadFlow:
    """A flow with the places of its parts, for checks against the rest of the project."""

    flow: Flow
    where: str
    steps_at: dict[str, str]
    triggers_at: dict[str, str]
    conditions: list[tuple[str, str]]
    unused: dict[str, str]


def read_flows(section: Node, problems: Problems) -> dict[str, ReadFlow]:
    """Each flow of one section."""
    if not isinstance(section.value, dict):
        problems.error(f"`flows` must be a map of flow ids, found {describe(section)}", section.where)
    found: dict[str, ReadFlow] = {}
    for name, node in section.map.items():
        read = _FlowReader(name, section.where_key(name), problems).run(node)
        if read is not None:
            found[name] = read
    return found


def pretty(name: str) -> str:
    """A name as a person would write it: `order_status` -> `Order status`."""
    words = " ".join(name.replace("/", " ").replace("_", " ").replace("-", " ").split())
    return words[:1].upper() + words[1:] or name


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an edge of a step leads; checked when all ids are known."""

    step: str
    to: str
    where: str


class _FlowReader:
    """Reads one flow."""

    def __init__(self, name: str, where: str, problems: Problems) -> None:
        self.name, self.problems = name, problems
        self.where = where
        self.steps_at: dict[str, str] = {}
        self.triggers_at: dict[str, str] = {}
        self.conditions: list[tuple[str, str]] = []
        self.unused: dict[str, str] = {}
        self.steps: list[FlowStep] = []
        self.targets: list[_Target] = []
        self.reserved: dict[str, str] = {}
        self.count = 0

    def run(self, node: Node) -> ReadFlow | None:
        with Fields(node, self.problems, f"flow {self.name!r}") as fields:
            values: dict[str, Any] = {
                "name": fields.text("name").strip() or pretty(self.name),
                "description": fields.text("description"),
                "triggers": tuple(self.trigger(item) for item in fields.items("nlu_trigger")),
                "guard": self.condition(fields, "if"),
                "persisted_slots": fields.texts("persisted_slots"),
            }
            steps = fields.items("steps")
            for key in ("always_include_in_prompt", "run_pattern_completed", "flow_guard", "file_path"):
                if fields.get(key) is not None:
                    self.unused[key] = fields.where(key)
            if not steps and not (node.map.get("steps") and node.map["steps"].value):
                fields.error(f"{fields.what} has no steps; add `steps:` with at least one", self.where)
        self.sequence(steps, 0)
        if not self.steps:
            return None
        self.check_targets()
        triggers = tuple(dict.fromkeys(name for name in values.pop("triggers") if name))
        flow = Flow(id=self.name, steps=tuple(self.steps), triggers=triggers, **values)
        return ReadFlow(flow, self.where, self.steps_at, self.triggers_at, self.conditions, self.unused)

    def error(self, message: str, where: str) -> None:
        self.problems.error(f"flow {self.name!r}: {message}", where)

    def trigger(self, node: Node) -> str:
        """The intent of `intent_name`, `{intent: name}` or `{intent: {name: ..., confidence_threshold: ...}}`."""
        name: object = node.value
        if isinstance(node.value, dict):
            with Fields(node, self.problems, f"flow {self.name!r}: nlu_trigger") as fields:
                inner = fields.get("intent")
                name = inner.value if inner else None
            if inner and isinstance(name, dict):
                with Fields(inner, self.problems, f"flow {self.name!r}: nlu_trigger") as details:
                    name = details.text("name") or None
                    if details.get("confidence_threshold"):
                        self.unused["confidence_threshold"] = details.where("confidence_threshold")
        if not isinstance(name, str):
            self.error(f"a trigger must be `- intent: name`, found {describe(node)}", node.where)
            return ""
        self.triggers_at.setdefault(name, node.where)
        return name

    def condition(self, fields: Fields, key: str) -> str | None:
        """A condition that parses, or None."""
        node = fields.get(key)
        if node is None:
            return None
        text = str(node.value).lower() if isinstance(node.value, bool) else node.value
        if not isinstance(text, str):
            fields.wrong(key, "a condition such as slots.amount > 100")
            return None
        try:
            parse(text)
        except ProjectError as error:
            self.error(str(error), fields.where(key))
            return None
        self.conditions.append((text, fields.where(key)))
        return text

    def sequence(self, nodes: list[Node], depth: int) -> str | None:
        """Add steps in their order; gives the id of the first. `depth` counts the branches they stand in."""
        ids = [self.reserve(node) for node in nodes]
        for index, (node, step) in enumerate(zip(nodes, ids, strict=True)):
            following = ids[index + 1] if index + 1 < len(ids) else None
            self.step(node, step, following, depth)
        return ids[0] if ids else None

    def reserve(self, node: Node) -> str:
        """The id of a step."""
        index, self.count = self.count, self.count + 1
        given = node.map.get("id")
        if given is not None and isinstance(given.value, str) and given.value:
            name = given.value
            if name == END:
                self.error("a step cannot be called END", given.where)
            elif name in self.reserved:
                self.error(f"step id {name!r} is used in {self.reserved[name]} already", given.where)
        else:
            kind = next((kind for kind in KINDS if kind in node.map), "step")
            value = node.map[kind].value if kind in node.map else None
            name = f"{index}_{kind}_{value}" if isinstance(value, str) else f"{index}_{kind}"
        self.reserved[name] = node.where
        return name

    def step(self, node: Node, name: str, following: str | None, depth: int) -> None:
        with Fields(node, self.problems, f"flow {self.name!r}: step {name!r}") as fields:
            fields.known("id", "description", "metadata")
            if "id" in node.map:
                fields.required("id")
            kinds = [kind for kind in KINDS if kind in node.map]
            if len(kinds) != 1:
                fields.known(*node.map)
                found = " and ".join(kinds) if kinds else f"keys {', '.join(node.map) or 'none'}"
                hint = next((near for key in node.map if key != "next" and (near := nearest(key, KINDS))), "")
                fields.error(f"{fields.what}: expected one of {', '.join(KINDS)}, found {found}{hint}")
                return
            made = getattr(self, f"step_{kinds[0]}")(fields, name)
            position = len(self.steps)
            edges = self.edges(fields, name, following, depth, leaves=isinstance(made, Link | HandOff))
        self.steps_at[name] = node.where
        if made is not None:
            self.steps.insert(position, made.model_copy(update={"next": edges}))

    def step_collect(self, fields: Fields, name: str) -> FlowStep | None:
        slot = fields.required("collect")
        rejections = tuple(r for item in fields.items("rejections") if (r := self.rejection(item, slot)))
        fields.known("force_slot_filling", "silence_timeout", "allow_interruptions")
        made = Collect(
            id=name,
            slot=slot,
            utter=fields.text("utter") or f"utter_ask_{slot}",
            ask_before_filling=fields.flag("ask_before_filling", False),
            reset_after_flow_ends=fields.flag("reset_after_flow_ends", True),
            rejections=rejections,
        )
        return made if slot else None

    def rejection(self, node: Node, slot: str) -> Rejection | None:
        with Fields(node, self.problems, f"flow {self.name!r}: a rejection of {slot!r}") as fields:
            when, utter = self.condition(fields, "if"), fields.text("utter") or None
            if isinstance(node.value, dict) and "if" not in node.map:
                fields.error(f"{fields.what}: `if` is missing; say which answers are refused")
        return Rejection(when=when, utter=utter) if when else None

    def step_action(self, fields: Fields, name: str) -> FlowStep | None:
        action = fields.required("action")
        return Act(id=name, action=action) if action else None

    def step_set_slots(self, fields: Fields, name: str) -> FlowStep | None:
        node = fields.get("set_slots")
        entries = node.items if node and isinstance(node.value, list) else [node] if node else []
        values: dict[str, JsonValue] = {}
        for entry in entries:
            if not isinstance(entry.value, dict):
                fields.error(f"{fields.what}: expected `slot: value`, found {describe(entry)}", entry.where)
            values.update({slot: value.plain() for slot, value in entry.map.items()})
        if not entries:
            fields.error(f"{fields.what}: set_slots is empty; write `- set_slots: [{{slot: value}}]`")
        return SetSlots(id=name, values=values) if values else None

    def step_link(self, fields: Fields, name: str) -> FlowStep | None:
        flow = fields.required("link")
        return Link(id=name, flow=flow) if flow else None

    def step_call(self, fields: Fields, name: str) -> FlowStep | None:
        flow = fields.required("call")
        return Call(id=name, flow=flow) if flow else None

    def step_handoff(self, fields: Fields, name: str) -> FlowStep | None:
        reason = fields.required("handoff")
        return HandOff(id=name, reason=reason) if reason else None

    def step_noop(self, fields: Fields, name: str) -> FlowStep | None:
        fields.flag("noop", True)
        return Noop(id=name)

    def edges(self, fields: Fields, step: str, following: str | None, depth: int, leaves: bool) -> tuple[Edge, ...]:
        node = fields.get("next")
        if node is not None and leaves and node.value != END:
            fields.error(f"{fields.what} leaves the flow; remove its `next`", fields.where("next"))
        if leaves:
            return (Edge(to=None),)
        if node is None:
            if following is None and depth > 0:
                fields.error(f"{fields.what} ends a branch; add `next: END` or `next: id of a step`")
            return (Edge(to=following),)
        if isinstance(node.value, list):
            return self.branches(node, step, depth)
        if not isinstance(node.value, str):
            fields.wrong("next", "the id of a step, END, or a list of if/else")
            return (Edge(to=None),)
        return (self.edge(step, node, None),)

    def edge(self, step: str, target: Node, when: str | None) -> Edge:
        if target.value == END:
            return Edge(to=None, when=when)
        self.targets.append(_Target(step, str(target.value), target.where))
        return Edge(to=str(target.value), when=when)

    def branches(self, node: Node, step: str, depth: int) -> tuple[Edge, ...]:
        edges = [edge for item in node.items if (edge := self.branch(item, step, depth)) is not None]
        kinds = ["else" if "else" in item.map else "if" for item in node.items]
        if "else" not in kinds:
            self.error(f"the branches of step {step!r} need a last one: `- else: END` or another", node.where)
        elif kinds.index("else") != len(kinds) - 1:
            at = node.items[kinds.index("else")].where
            self.error(f"`else` must be the last branch of step {step!r}", at)
        return tuple(edges)

    def branch(self, node: Node, step: str, depth: int) -> Edge | None:
        with Fields(node, self.problems, f"flow {self.name!r}: a branch of {step!r}") as fields:
            otherwise = fields.get("else")
            when = None if otherwise else self.condition(fields, "if")
            target = otherwise or fields.get("then")
            if otherwise is None and isinstance(node.value, dict):
                for key in ("if", "then"):
                    if node.map.get(key) is None or node.map[key].value is None:
                        fields.error(f"{fields.what}: `{key}` is missing; write `- if: condition` and `then: ...`")
                        return None
        if target is None or (otherwise is None and when is None):
            return None
        if not isinstance(target.value, list):
            return self.leaf(target, step, when)
        first = self.sequence(target.items, depth + 1)
        if first is None:
            self.error(f"a branch of {step!r} has no steps; write `then: END` to end the flow", target.where)
            return None
        return Edge(to=first, when=when)

    def leaf(self, target: Node, step: str, when: str | None) -> Edge | None:
        if isinstance(target.value, str):
            return self.edge(step, target, when)
        expected = "expected the id of a step, END, or a list of steps"
        self.error(f"a branch of {step!r}: {expected}, found {describe(target)}", target.where)
        return None

    def check_targets(self) -> None:
        """Report edges to steps that are not there."""
        for target in self.targets:
            if target.to not in self.reserved:
                hint = nearest(target.to, self.reserved) or f"; steps: {', '.join(self.reserved)}, END"
                self.error(f"step {target.step!r} goes on to {target.to!r}, which is no step{hint}", target.where)
