"""The sections of a Rasa 3.x domain: intents, entities, slots and actions.

A domain may be spread over files: sections of the same name add up. A slot or a response written twice is an error, as
nobody can tell which one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import JsonValue

from bot.core.filling import coerce
from bot.core.program import EntityType, Intent, MappingCondition, Slot, SlotMapping, Variation
from bot.hints import listed
from bot.project.fields import Fields
from bot.project.forms import ScriptSections
from bot.project.problems import Problems
from bot.project.responses import read_responses
from bot.yaml import Node, describe

_SLOT_TYPES = ("text", "bool", "float", "list", "categorical", "any")
_MAPPINGS = ("from_entity", "from_intent", "from_trigger_intent", "from_text", "controlled", "custom", "from_llm")
_SCRIPT = ("forms", "e2e_actions", "session_config", "config")
_UNFEATURIZED = "unfeaturized"
_SLOT_NAME = re.compile(r"""[^\s{}()\[\]"'`]+""")

Where = dict[str, str]
"""Places by name."""


class DomainReader:
    """Gathers the domain sections of a project's files. The `..._at` maps hold the places of names."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.intents: dict[str, Intent] = {}
        self.ignored: dict[str, tuple[str, ...]] = {}
        self.entities: dict[str, EntityType] = {}
        self.slots: dict[str, Slot] = {}
        self.responses: dict[str, tuple[Variation, ...]] = {}
        self.actions: dict[str, None] = {}
        self.script = ScriptSections(problems)
        self.send_domain: set[str] = set()
        self.unfelt: set[str] = set()
        self.auto_filled: set[str] = set()
        self.intents_at: Where = {}
        self.slots_at: Where = {}
        self.responses_at: Where = {}
        self.actions_at: Where = {}
        self.custom_types: Where = {}

    def read(self, key: str, section: Node) -> None:
        """Read the section called `key`."""
        if key in _SCRIPT:
            self.script.read(key, section)
        else:
            getattr(self, f"read_{key}")(section)

    def read_intents(self, section: Node) -> None:
        for name, node, body in self._named(section, "intent"):
            self.intents_at.setdefault(name, node.where)
            with Fields(body, self.problems, f"intent {name!r}") as fields:
                used = _entity_names(fields, "use_entities")
                self.ignored[name] = _entity_names(fields, "ignore_entities") or ()
                if fields.get("triggers"):
                    message = f"{fields.what}: `triggers` is of Rasa 2 and has no effect; write a rule"
                    self.problems.warn(message, fields.where("triggers"))
                retrieval = fields.flag("is_retrieval", False) or fields.flag("is_retrieval_intent", False)
            self.intents[name] = Intent(name=name, label="", retrieval=retrieval, entities=used)

    def read_entities(self, section: Node) -> None:
        for name, _, body in self._named(section, "entity"):
            with Fields(body, self.problems, f"entity {name!r}") as fields:
                roles, groups = fields.texts("roles"), fields.words("groups")
                if not fields.flag("influence_conversation", True):
                    self.unfelt.add(name)
            self.entities[name] = EntityType(name=name, roles=roles, groups=groups)

    def read_actions(self, section: Node) -> None:
        for name, node, body in self._named(section, "action"):
            with Fields(body, self.problems, f"action {name!r}") as fields:
                if fields.flag("send_domain", False):
                    self.send_domain.add(name)
            self.actions[name] = None
            self.actions_at.setdefault(name, node.where)

    def read_responses(self, section: Node) -> None:
        for name, (variations, where) in read_responses(section, self.problems).items():
            if self.responses.get(name, variations) != variations:
                self.problems.error(f"response {name!r} is written in {self.responses_at[name]} already", where)
            self.responses[name], self.responses_at[name] = variations, where

    def read_slots(self, section: Node) -> None:
        if not isinstance(section.value, dict):
            self.problems.error(f"`slots` must be a map of names, found {describe(section)}", section.where)
        for name, node in section.map.items():
            where = section.where_key(name)
            slot = self._slot(name, node)
            if self.slots.get(name, slot) != slot:
                self.problems.error(f"slot {name!r} is written in {self.slots_at[name]} already", where)
            if not _SLOT_NAME.fullmatch(name):
                self.problems.error(f"slot {name!r}: a name has only letters, digits and _, as in order_id", where)
            self.slots_at[name] = where
            self.slots[name] = slot

    def fill_automatically(self) -> None:
        """As in Rasa 2: a slot without mappings takes the entity of its own name."""
        for name in self.auto_filled & self.entities.keys():
            mapping = SlotMapping(kind="from_entity", entity=name)
            self.slots[name] = self.slots[name].model_copy(update={"mappings": (mapping,)})

    def _slot(self, name: str, node: Node) -> Slot:
        with Fields(node, self.problems, f"slot {name!r}") as fields:
            values: dict[str, Any] = {
                "name": name,
                "type": self._slot_type(fields),
                "values": self._categories(fields),
                "minimum": fields.number("min_value"),
                "maximum": fields.number("max_value"),
                "influences": fields.flag("influence_conversation", True) and not _unfeaturized(fields),
                "mappings": tuple(m for item in fields.items("mappings") for m in self._mapping(name, item)),
            }
            if fields.flag("auto_fill", True) and "mappings" not in node.map:
                self.auto_filled.add(name)
            fields.known("value_reset_delay", "validation", "shared_for_coexistence")
            slot = Slot(**values)
            return slot.model_copy(update={"initial": self._initial(slot, fields)})

    def _slot_type(self, fields: Fields) -> str:
        if "type" not in fields.node.map and fields.node.map:
            fields.error(f"{fields.what}: `type` is missing; expected one of {', '.join(_SLOT_TYPES)}")
        given = fields.text("type", "text")
        if "." in given:
            self.custom_types[given] = fields.where("type")
            fields.known(*fields.node.map)
            return "any"
        if given == _UNFEATURIZED:
            message = f"{fields.what}: type {given!r} is of Rasa 1; it is read as `any` that influences nothing"
            self.problems.warn(message, fields.where("type"))
            return "any"
        return fields.choice("type", _SLOT_TYPES, "text")

    def _categories(self, fields: Fields) -> tuple[str, ...]:
        items = fields.items("values")
        for item in items:
            if isinstance(item.value, list | dict) or item.value is None:
                fields.error(f"{fields.what}: a value must be a text, found {describe(item)}", item.where)
        if fields.node.map.get("type", fields.node).value == "categorical" and not items:
            fields.error(f"{fields.what}: a categorical slot needs `values: [one, other]`", fields.where("type"))
        return tuple(_word(item.value) for item in items)

    def _initial(self, slot: Slot, fields: Fields) -> JsonValue:
        value = fields.json("initial_value")
        if value is not None and coerce(slot, value) is None:
            expected = f"one of {listed(slot.values)}" if slot.values else f"a value for type {slot.type}"
            kept = value if slot.values else None
            message = f"{fields.what}: `initial_value` {value!r} is not {expected}; the slot begins with {kept!r}"
            self.problems.warn(message, fields.where("initial_value"))
            return kept
        return coerce(slot, value)

    def _mapping(self, slot: str, node: Node) -> Iterator[SlotMapping]:
        with Fields(node, self.problems, f"a mapping of slot {slot!r}") as fields:
            if not fields.required("type"):
                fields.known(*node.map)
                return
            kind = fields.choice("type", _MAPPINGS, "controlled")
            values: dict[str, Any] = {key: fields.text(key) or None for key in ("entity", "role", "group", "action")}
            values.update(intents=fields.texts("intent"), not_intents=fields.texts("not_intent"))
            values["value"] = fields.json("value")
            values["conditions"] = tuple(_condition(item, self.problems) for item in fields.items("conditions"))
            fields.known("allow_nlu_correction", "run_action_every_turn", "coexistence_system")
            if kind == "from_entity" and values["entity"] is None:
                fields.error(f"{fields.what}: `from_entity` needs `entity: name`")
            if kind in ("from_intent", "from_trigger_intent") and "value" not in node.map:
                fields.error(f"{fields.what}: `{kind}` needs `value:`, what the slot becomes")
        if kind != "from_llm":
            values["kind"] = "controlled" if kind == "custom" else kind
            yield SlotMapping(**values)

    def _named(self, section: Node, what: str) -> Iterator[tuple[str, Node, Node]]:
        """The items of a list of names, each with its node and its details: `- greet` or `- greet: {...}`."""
        if not isinstance(section.value, list):
            self.problems.error(f"expected a list of {what} names, found {describe(section)}", section.where)
        for item in section.items:
            name, body = item.value, Node({}, item.file, item.line)
            if isinstance(name, dict) and len(name) == 1:
                name, given = next(iter(name.items()))
                body = body if given.value is None else given
            if not isinstance(name, str) or not name.strip():
                self.problems.error(f"expected the name of an {what}, found {describe(item)}", item.where)
            else:
                if any(letter.isspace() for letter in name):
                    message = (
                        f"{what} {name!r}: no payload such as `/name` can name what has spaces; use _ between words"
                    )
                    self.problems.warn(message, item.where)
                yield name, item, body


def _unfeaturized(fields: Fields) -> bool:
    return fields.text("type") == _UNFEATURIZED


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _condition(node: Node, problems: Problems) -> MappingCondition:
    with Fields(node, problems, "a condition of a mapping") as fields:
        named = "active_loop" in node.map
        loop = fields.text("active_loop") if named and node.map["active_loop"].value is not None else ""
        fields.known("active_loop")
        return MappingCondition(loop=loop if named else None, requested=fields.text("requested_slot") or None)


def _entity_names(fields: Fields, key: str) -> tuple[str, ...] | None:
    """Names in a list such as `[city, {date: {roles: [from]}}]`; None when absent or `true`."""
    node = fields.get(key)
    if node is None or node.value is True:
        return None
    if not isinstance(node.value, list):
        fields.wrong(key, "a list of entity names")
        return None
    names = [next(iter(item.map), "") if item.map else item.value for item in node.items]
    if not all(isinstance(name, str) and name for name in names):
        fields.wrong(key, "a list of entity names")
    return tuple(str(name) for name in names)
