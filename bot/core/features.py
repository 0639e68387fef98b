"""What policies compare: a state with its slots, entities and texts made discrete, as Rasa does.

A slot counts only when it influences the conversation: text and lists by being set, a bool by its value, a category by
which one it is, a number by its value within its bounds. An entity counts by its type, role and group.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import JsonValue

from bot.core.findings import Entity
from bot.core.program import Program, Slot
from bot.core.track import Said, State


class Features(NamedTuple):
    """A state in discrete terms, hashable. Entities read `type`, `type#role`, `type.group`."""

    action: str = ""
    intent: str = ""
    text: str = ""
    entities: frozenset[str] = frozenset()
    slots: frozenset[tuple[str, str]] = frozenset()
    loop: str = ""


def features(state: State, program: Program) -> Features:
    """The features of a state; `text` is left to those that know which texts matter."""
    said = state.said
    initial = program.initial_slots
    return Features(
        action=state.action or "",
        intent=said.intent if said else "",
        entities=_entities(said, program) if said else frozenset(),
        slots=frozenset(
            (slot.name, value)
            for slot in (program.telling if state.action else ())
            if (value := slot_feature(slot, state.slots.get(slot.name, initial[slot.name])))
        ),
        loop=state.loop or "",
    )


def _entities(said: Said, program: Program) -> frozenset[str]:
    intent = program.intents.get(said.intent)
    allowed = intent.entities if intent else None
    return frozenset(
        name
        for entity in said.entities
        if entity.type in program.entities and (allowed is None or entity.type in allowed)
        for name in entity_names(entity)
    )


def entity_names(entity: Entity) -> tuple[str, ...]:
    """How an entity is named in features: its type, and with its role and group if it has them."""
    names = [entity.type]
    if entity.role:
        names.append(f"{entity.type}#{entity.role}")
    if entity.group:
        names.append(f"{entity.type}.{entity.group}")
    return tuple(names)


def slot_feature(slot: Slot, value: JsonValue) -> str:
    """What the value of a slot says to policies; "" when nothing."""
    if value is None or not slot.influences or slot.type == "any":
        return ""
    match slot.type:
        case "bool":
            return "true" if value is True or str(value).lower() == "true" else "false"
        case "categorical":
            return _category(slot, value)
        case "float":
            return _number(slot, value)
        case "list":
            return "set" if value else ""
        case _:
            return "set"


def _category(slot: Slot, value: JsonValue) -> str:
    text = str(value).casefold()
    known = {option.casefold() for option in slot.values}
    return text if text in known else "__other__"


def _number(slot: Slot, value: JsonValue) -> str:
    if not isinstance(value, int | float | str):
        return "set"
    try:
        number = float(value)
    except ValueError:
        return "set"
    low = slot.minimum if slot.minimum is not None else 0.0
    high = slot.maximum if slot.maximum is not None else 1.0
    return f"{min(max(number, low), high):.4g}"
