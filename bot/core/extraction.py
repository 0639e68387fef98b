"""Slot mappings as Rasa applies them: which slots the turn's message fills, whatever is being talked about.

Values are kept as they were found; Rasa's custom actions expect them so. `from_trigger_intent` counts only when a form
begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.conversation import Conversation, Turn
from bot.core.program import Program, Slot, SlotMapping
from bot.core.responses import slot_values
from bot.core.script import NLU_FALLBACK, REQUESTED, Form, Script


class _Message(NamedTuple):
    """What the mappings look at."""

    intent: str
    full_intent: str
    text: str
    entities: tuple[ev.Entity, ...]
    form: Form | None
    loop: str
    requested: JsonValue


def extract(conversation: Conversation, program: Program) -> tuple[ev.Event, ...]:
    """`Extracted` and a `SlotSet` for every slot that the turn's message fills."""
    turn, script = conversation.current, program.script
    if turn is None or turn.understood is None or script is None:
        return ()
    message = _message(conversation, turn, turn.understood, program, script)
    filled = [(slot.name, *found) for slot in program.slots.values() if (found := _filled(slot, message, program))]
    facts = (ev.SlotSet(name=name, value=value, source=source) for name, value, source in filled)
    return (ev.Extracted(intent=message.intent, slots=tuple(name for name, _, _ in filled)), *facts)


def extracting(conversation: Conversation, program: Program) -> tuple[str, ...]:
    """The custom actions that slot mappings name (`type: custom` with `action:`) and that may look at this message."""
    turn, script = conversation.current, program.script
    named = [(s, m, m.action) for s in program.slots.values() for m in s.mappings if m.action in program.actions]
    if not named or turn is None or turn.understood is None or script is None:
        return ()
    message = _message(conversation, turn, turn.understood, program, script)
    return tuple(dict.fromkeys(name or "" for slot, mapping, name in named if _counts(slot, mapping, message)))


def triggered(form: Form, conversation: Conversation, program: Program) -> tuple[ev.Event, ...]:
    """The slots of a form that the intent which started it fills."""
    said = conversation.track.said
    intent = said.intent if said else ""
    facts = []
    for name in form.required:
        slot = program.slots.get(name)
        for mapping in slot.mappings if slot else ():
            if mapping.kind == "from_trigger_intent" and intent in mapping.intents:
                facts.append(ev.SlotSet(name=name, value=mapping.value, source="intent"))
                break
    return tuple(facts)


def _message(
    conversation: Conversation, turn: Turn, found: ev.Understood, program: Program, script: Script
) -> _Message:
    best = found.intents[0].name if found.intents else ""
    if not found.accepted and (script.nlu_fallback or not best):
        best = NLU_FALLBACK
    loop = conversation.track.loop.name if conversation.track.loop else ""
    requested = slot_values(conversation, program).get(REQUESTED)
    intent = best.partition("/")[0]
    return _Message(intent, best, turn.text, found.entities, script.forms.get(loop), loop, requested)


def _filled(slot: Slot, message: _Message, program: Program) -> tuple[JsonValue, ev.SlotSource] | None:
    for mapping in slot.mappings:
        if _counts(slot, mapping, message):
            found = _value(slot, mapping, message, program)
            if found is not None:
                return found
    return None


def _counts(slot: Slot, mapping: SlotMapping, message: _Message) -> bool:
    refused = mapping.not_intents
    if message.form is not None and slot.name in message.form.required:
        refused = (*refused, *message.form.ignored_intents)
    names = (message.intent, message.full_intent)
    if any(name in refused for name in names):
        return False
    if mapping.intents and not any(name in mapping.intents for name in names):
        return False
    return not mapping.conditions or any(
        condition.loop in (None, message.loop) and condition.requested in (None, message.requested)
        for condition in mapping.conditions
    )


def _value(
    slot: Slot, mapping: SlotMapping, message: _Message, program: Program
) -> tuple[JsonValue, ev.SlotSource] | None:
    match mapping.kind:
        case "from_text" if message.text:
            return message.text, "text"
        case "from_intent":
            return mapping.value, "intent"
        case "from_entity" if _is_for(slot, mapping, message, program):
            values = [entity.value for entity in message.entities if _fits(entity, mapping)]
            if values:
                return (values if slot.type == "list" else values[-1]), "entity"
            return None
        case _:
            return None


def _fits(entity: ev.Entity, mapping: SlotMapping) -> bool:
    """A mapping without a role takes entities without one only; groups likewise."""
    return (entity.type, entity.role, entity.group) == (mapping.entity, mapping.role, mapping.group)


def _is_for(slot: Slot, mapping: SlotMapping, message: _Message, program: Program) -> bool:
    """Inside a form, an entity that two of its slots could take goes to the slot that was asked for."""
    form = message.form
    if form is None or slot.name == message.requested or slot.name not in form.required:
        return True
    return sum(_same(mapping, other) for other in _mappings(form, program)) == 1


def _same(one: SlotMapping, other: SlotMapping) -> bool:
    return (one.entity, one.role, one.group) == (other.entity, other.role, other.group)


def _mappings(form: Form, program: Program) -> Iterator[SlotMapping]:
    """The entity mappings of a form's slots, one of a kind for each slot."""
    for name in form.required:
        seen: list[SlotMapping] = []
        slot = program.slots.get(name)
        for mapping in slot.mappings if slot else ():
            if mapping.kind == "from_entity" and not any(_same(mapping, other) for other in seen):
                seen.append(mapping)
        yield from seen
