"""The `rules:` and `stories:` sections: what is written, step by step, with places.

A story becomes parts: pieces between checkpoints. Each place of a part offers one or more ways (`or`), each way is one
or more steps. `bot.project.expand` makes straight stories of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import JsonValue

from bot.core.errors import ProjectError
from bot.core.filling import read_payload
from bot.core.messages import Choice
from bot.core.script import Did, Gap, Heard, LoopIs, Mention, SlotWas, StoryStep, Uttered
from bot.project.fields import Fields
from bot.project.markup import parse_markup
from bot.project.problems import Problems
from bot.yaml import Node, describe

GAP = "..."
START = "STORY_START"
"""The checkpoint that every conversation begins at."""
KINDS = ("intent", "user", "or", "action", "bot", "checkpoint", "slot_was_set", "active_loop", "metadata")
_SHOWN = ("intent", "user", "action", "bot", "slot_was_set", "active_loop", "checkpoint", "or")


class Placed(NamedTuple):
    """A step and where it is written."""

    step: StoryStep
    where: str


Way = tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """A checkpoint that a part begins at, if these slots have these values there."""

    name: str
    slots: tuple[SlotWas, ...]
    where: str


@dataclass(slots=True)
class Part:
    """A piece of a rule or story. `ends` are the checkpoints it leads to, with their places; none: it ends for good."""

    name: str
    rule: bool
    where: str
    starts: list[Start] = field(default_factory=list)
    spots: list[list[Way]] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> Iterator[Placed]:
        """Every step that is written in it."""
        for spot in self.spots:
            for way in spot:
                yield from way


class StoryReader:
    """Gathers the rules and stories of a project's files."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.parts: list[Part] = []

    def read(self, key: str, section: Node) -> None:
        """Read one `rules:` or `stories:` section."""
        if not isinstance(section.value, list):
            self.problems.error(f"`{key}` must be a list of items, found {describe(section)}", section.where)
        kind = "rule" if key == "rules" else "story"
        for item in section.items:
            if isinstance(item.value, dict) and kind not in item.map and ("rule" in item.map or "story" in item.map):
                other = "rules" if kind == "story" else "stories"
                self.problems.error(f"this belongs below `{other}:`, not below `{key}:`", item.where)
            else:
                self.parts += _Item(item, kind, self.problems).read()


class _Item:
    """One rule or story."""

    def __init__(self, node: Node, kind: str, problems: Problems) -> None:
        self.node, self.kind, self.problems = node, kind, problems
        self.rule = kind == "rule"
        self.parts: list[Part] = []

    def read(self) -> list[Part]:
        with Fields(self.node, self.problems, f"a {self.kind}") as fields:
            name = self.name(fields)
            steps, conditions = fields.items("steps"), fields.items("condition") if self.rule else []
            at_start = fields.flag("conversation_start", False) if self.rule else False
            waits = fields.flag("wait_for_user_input", True) if self.rule else True
            fields.known("metadata")
        if not steps:
            if isinstance(self.node.value, dict) and name:
                self.problems.warn(f"{self.kind} {name!r} has no steps; it is left out", self.node.where)
            return []
        self.what = f"{self.kind} {name!r}"
        self.parts = [Part(name, self.rule, self.node.where)]
        for condition in conditions:
            self.condition(condition)
        if self.rule and not at_start:
            self.add(Gap(), self.node.where)
        for step in steps:
            self.step(step)
        if not waits:
            self.add(Gap(), fields.where("wait_for_user_input"))
        return self.parts

    def name(self, fields: Fields) -> str:
        node = fields.get(self.kind)
        if node is not None and not isinstance(node.value, dict | list):
            return str(node.value)
        return fields.required(self.kind)

    def add(self, step: StoryStep, where: str) -> None:
        self.spot([(Placed(step, where),)])

    def spot(self, ways: list[Way]) -> None:
        """Add a place; after a checkpoint it begins a new part."""
        part = self.parts[-1]
        if part.ends:
            starts = [Start(name, (), where) for name, where in part.ends.items()]
            part = Part(part.name, self.rule, part.where, starts)
            self.parts.append(part)
        part.spots.append(ways)

    def condition(self, node: Node) -> None:
        with Fields(node, self.problems, f"{self.what}: a condition") as fields:
            known = "slot_was_set" in node.map or "active_loop" in node.map
            for step in (*self.slots(fields), *self.loop(fields)):
                self.spot([(step,)])
            if isinstance(node.value, dict) and not known:
                fields.known(*node.map)
                fields.error(f"{fields.what} is `slot_was_set:` or `active_loop:`, found {_keys(node)}")

    def step(self, node: Node) -> None:
        if node.value == GAP:
            self.gap(node)
            return
        kind = next((kind for kind in KINDS if kind in node.map), None)
        if kind is None:
            self.problems.error(f"{self.what}: {_unknown(node)}", node.where)
            return
        with Fields(node, self.problems, f"{self.what}: a step") as fields:
            fields.known("metadata")
            match kind:
                case "intent" | "user":
                    self.spot([(Placed(self.heard(fields), node.where),)])
                case "or":
                    self.either(fields)
                case "action":
                    self.action(fields)
                case "bot":
                    self.add(Uttered(text=fields.required("bot")), node.where)
                case "checkpoint":
                    self.checkpoint(fields)
                case "slot_was_set":
                    for slot in self.slots(fields):
                        self.spot([(slot,)])
                case "active_loop":
                    for loop in self.loop(fields):
                        self.spot([(loop,)])

    def gap(self, node: Node) -> None:
        if self.rule:
            self.add(Gap(), node.where)
        else:
            message = f"{self.what}: `...` is for rules only; remove it, or use a checkpoint"
            self.problems.error(message, node.where)

    def action(self, fields: Fields) -> None:
        name = fields.required("action").strip()
        if name == GAP:
            self.gap(fields.node)
        elif name:
            self.add(Did(action=name), fields.node.where)

    def heard(self, fields: Fields) -> Heard:
        """An intent with its entities, or a text; of both, the text tells the entities."""
        intent = fields.required("intent").strip().removeprefix("/") if "intent" in fields.node.map else ""
        text = fields.required("user").strip() if "user" in fields.node.map else ""
        mentions = tuple(self.mentions(fields))
        if text.startswith("/"):
            said = read_payload(Choice(title=text, payload=text))
            if said is not None and said.intents:
                found = tuple(_mention(e.type, e.value, e.role, e.group) for e in said.entities)
                return Heard(intent=_base(intent or said.intents[0].name), mentions=found)
        if not text:
            return Heard(intent=_base(intent), mentions=mentions)
        try:
            marked = parse_markup(text)
        except ProjectError as error:
            self.problems.error(str(error), fields.where("user"))
            return Heard(intent=_base(intent))
        found = tuple(_mention(e.type, e.value, e.role, e.group) for e in marked.entities)
        return Heard(intent=_base(intent), mentions=found) if intent else Heard(text=marked.text, mentions=found)

    def mentions(self, fields: Fields) -> Iterator[Mention]:
        node = fields.get("entities")
        for item in _listed(node):
            if isinstance(item.value, str) and item.value:
                yield Mention(type=item.value)
            elif isinstance(item.value, dict) and (mention := _written(item)) is not None:
                yield mention
            else:
                expected = "expected an entity such as `- city` or `- city: Rome`"
                fields.error(f"{fields.what}: {expected}, found {describe(item)}", item.where)

    def either(self, fields: Fields) -> None:
        ways: list[Way] = []
        for node in fields.items("or"):
            with Fields(node, self.problems, f"{self.what}: a way of `or`") as inner:
                if "intent" in node.map or "user" in node.map:
                    ways.append((Placed(self.heard(inner), node.where),))
                elif "slot_was_set" in node.map:
                    ways += [(slot,) for slot in self.slots(inner)]
                elif isinstance(node.value, dict):
                    inner.known(*node.map)
                    inner.error(f"{inner.what} is `intent:`, `user:` or `slot_was_set:`, found {_keys(node)}")
        if ways:
            self.spot(ways)
        elif not fields.items("or"):
            fields.error(f"{fields.what}: `or` is empty; list at least one way, such as `- intent: affirm`")

    def checkpoint(self, fields: Fields) -> None:
        name, slots = fields.required("checkpoint").strip(), tuple(slot for slot, _ in self.slots(fields))
        if not name:
            return
        part = self.parts[-1]
        if not part.spots and not part.ends:
            if name == START and not slots:
                return
            kept = tuple(slot for slot in slots if isinstance(slot, SlotWas))
            part.starts.append(Start(name, kept, fields.node.where))
            return
        if slots:
            message = f"{self.what}: conditions count where a story begins with checkpoint {name!r}, not where it ends"
            self.problems.warn(message, fields.where("slot_was_set"))
        part.ends.setdefault(name, fields.node.where)

    def slots(self, fields: Fields) -> Iterator[Placed]:
        node = fields.get("slot_was_set")
        if node is None and "slot_was_set" in fields.node.map:
            fields.error(f"{fields.what}: `slot_was_set` is empty; name a slot, such as `- city: Rome`")
        for item in _listed(node):
            if isinstance(item.value, str) and item.value:
                yield Placed(SlotWas(name=item.value, any=True), item.where)
            elif isinstance(item.value, dict) and item.value:
                for name, value in item.map.items():
                    yield Placed(SlotWas(name=name, value=value.plain()), item.where_key(name))
            else:
                expected = "expected a slot such as `- city` or `- city: Rome`"
                fields.error(f"{fields.what}: {expected}, found {describe(item)}", item.where)

    def loop(self, fields: Fields) -> Iterator[Placed]:
        if "active_loop" in fields.node.map:
            yield Placed(LoopIs(loop=fields.text("active_loop").strip() or None), fields.where("active_loop"))
        fields.known("active_loop")


def _base(intent: str) -> str | None:
    """The name that counts in stories: of `faq/hours`, `faq`."""
    return intent.split("/")[0] or None


def _listed(node: Node | None) -> list[Node]:
    """The items of a list; anything else counts as a list of one."""
    if node is None:
        return []
    return node.items if isinstance(node.value, list) else [node]


def _written(node: Node) -> Mention | None:
    """`city: Rome`, with `role` and `group` beside it; or `entity: city` with `value`."""
    given = {key: value.plain() for key, value in node.map.items()}
    role, group = given.pop("role", None), given.pop("group", None)
    named = given.get("entity")
    if isinstance(named, str) and set(given) <= {"entity", "value"}:
        return _mention(named, given.get("value"), role, group)
    if len(given) != 1:
        return None
    ((name, value),) = given.items()
    return _mention(name, value, role, group)


def _mention(name: str, value: JsonValue, role: JsonValue, group: JsonValue) -> Mention:
    words = [None if word in (None, "") else str(word) for word in (role, group)]
    return Mention(type=name, role=words[0], group=words[1], value=None if value == "" else value)


def _keys(node: Node) -> str:
    return f"`{'`, `'.join(node.map)}`" if node.map else describe(node)


def _unknown(node: Node) -> str:
    if "form" in node.map:
        return "`form:` is written `active_loop:` since Rasa 2"
    return f"expected a step with one of {', '.join(_SHOWN)}, found {_keys(node)}"
