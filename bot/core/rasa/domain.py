"""A program as Rasa's domain: what action servers are sent and `/domain` shows."""

from __future__ import annotations

from typing import Any

from bot.core.program import EntityType, Intent, Program, Slot, SlotMapping
from bot.core.rasa.parse import Wire, rasa_response
from bot.core.rasa.tracker import all_slots
from bot.core.script import REQUESTED, Session

VERSION = "3.1"
"""Of the format."""


def rasa_domain(program: Program) -> Wire:
    """The domain, in Rasa's order of keys."""
    script = program.script
    session = script.session if script else Session()
    forms = script.forms.values() if script else ()
    return {
        "version": VERSION,
        "intents": _intents(program),
        "entities": [_entity_type(entity) for entity in program.entities.values()],
        "slots": _slots(program),
        "forms": {form.name: _form(form.required, form.ignored_intents) for form in forms},
        "responses": {name: [rasa_response(item) for item in found] for name, found in program.responses.items()},
        "actions": list(program.actions),
        "session_config": {
            "session_expiration_time": _whole(session.expires),
            "carry_over_slots_to_new_session": session.carry_over,
        },
    }


def _whole(number: float) -> float | int:
    return int(number) if number.is_integer() else number


def _intents(program: Program) -> list[str | Wire]:
    """Each intent once; a retrieval intent by its name before the slash."""
    named: dict[str, Intent] = {}
    for intent in program.intents.values():
        named.setdefault(intent.name.partition("/")[0] if intent.retrieval else intent.name, intent)
    return [_intent(name, intent, program) for name, intent in named.items()]


def _intent(name: str, intent: Intent, program: Program) -> str | Wire:
    if intent.entities is None and not intent.retrieval:
        return name
    used = [entity for entity in program.entities.values() if intent.entities is None or entity.name in intent.entities]
    told: Wire = {"is_retrieval_intent": True} if intent.retrieval else {}
    return {name: told | {"used_entities": [label for entity in used for label in _labels(entity)]}}


def _labels(entity: EntityType) -> list[str]:
    """The type with its roles and groups, as `city#from`."""
    return [entity.name, *(f"{entity.name}#{name}" for name in (*entity.roles, *entity.groups))]


def _entity_type(entity: EntityType) -> str | Wire:
    told = {name: list(values) for name, values in (("roles", entity.roles), ("groups", entity.groups)) if values}
    return {entity.name: told} if told else entity.name


def _form(required: tuple[str, ...], ignored: tuple[str, ...]) -> Wire:
    told: Wire = {"required_slots": list(required)}
    return told | ({"ignored_intents": list(ignored)} if ignored else {})


def _slots(program: Program) -> Wire:
    own = {slot.name: _slot(slot) for slot in program.slots.values()}
    for name in all_slots(program):
        own.setdefault(name, _slot(Slot(name=name, type="text" if name == REQUESTED else "any", influences=False)))
    return own


def _slot(slot: Slot) -> Wire:
    told: Wire = {
        "type": slot.type,
        "initial_value": slot.initial,
        "influence_conversation": slot.influences and slot.type != "any",
        "mappings": [_mapping(mapping) for mapping in slot.mappings] or [{"type": "custom"}],
    }
    if slot.type == "categorical":
        told["values"] = list(slot.values)
    if slot.type == "float":
        bounds = (("min_value", slot.minimum), ("max_value", slot.maximum))
        told |= {name: value for name, value in bounds if value is not None}
    return told


def _mapping(mapping: SlotMapping) -> Wire:
    told: Wire = {"type": "custom" if mapping.kind == "controlled" else mapping.kind}
    plain: dict[str, Any] = {name: getattr(mapping, name) for name in ("entity", "role", "group", "value", "action")}
    plain |= {"intent": list(mapping.intents), "not_intent": list(mapping.not_intents)}
    told |= {name: value for name, value in plain.items() if value not in (None, [])}
    conditions = []
    for condition in mapping.conditions:
        where: Wire = {} if condition.loop is None else {"active_loop": condition.loop or None}
        conditions.append(where | ({"requested_slot": condition.requested} if condition.requested else {}))
    return told | ({"conditions": conditions} if conditions else {})
