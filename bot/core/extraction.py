"""Slot mappings as Rasa applies them: which slots the turn's message fills, whatever is being talked about.

Values are kept as they were found; Rasa's custom actions expect them so. When a form begins, the mappings are applied
once more, now as inside the form: the message that starts a form may answer its questions.
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
    """What the mappings look at. `rejected`: the active form refused the message before, and has not run since."""

    intent: str
    full_intent: str
    text: str
    entities: tuple[ev.Entity, ...]
    form: Form | None
    loop: str
    requested: JsonValue
    rejected: bool


def extract(conversation: Conversation, program: Program) -> tuple[ev.Event, ...]:
    """`Extracted` and a `SlotSet` for every slot that the turn's message fills."""
    turn, script = conversation.current, program.script
    if turn is None or turn.understood is None or script is None:
        return ()
    message = _message(conversation, turn, turn.understood, program, script)
    facts = _fill(message, program)
    return (ev.Extracted(intent=message.intent, slots=tuple(fact.name for fact in facts)), *facts)


def _fill(message: _Message, program: Program) -> tuple[ev.SlotSet, ...]:
    found = ((slot.name, _filled(slot, message, program)) for slot in program.slots.values())
    return tuple(ev.SlotSet(name=name, value=value[0], source=value[1]) for name, value in found if value)


def extracting(conversation: Conversation, program: Program) -> tuple[str, ...]:
    """The custom actions that slot mappings name (`type: custom` with `action:`) and that may look at this message."""
    turn, script = conversation.current, program.script
    named = [(s, m, m.action) for s in program.slots.values() for m in s.mappings if m.action in program.actions]
    if not named or turn is None or turn.understood is None or script is None:
        return ()
    message = _message(conversation, turn, turn.understood, program, script)
    return tuple(dict.fromkeys(name or "" for slot, mapping, name in named if _counts(slot, mapping, message)))


def triggered(form: Form, conversation: Conversation, program: Program) -> tuple[ev.Event, ...]:
    """The slots that the message which starts a form fills inside it, and has not filled before."""
    turn, script = conversation.current, program.script
    if turn is None or turn.understood is None or script is None:
        return ()
    message = _message(conversation, turn, turn.understood, program, script)
    inside = message._replace(form=form, loop=form.name, rejected=False)
    return tuple(fact for fact in _fill(inside, program) if fact.name not in conversation.track.filled)


def _message(
    conversation: Conversation, turn: Turn, found: ev.Understood, program: Program, script: Script
) -> _Message:
    best = found.intents[0].name if found.intents else ""
    doubted = found.source == "model" and script.doubts(found.intents)
    if doubted or (not found.accepted and (script.nlu_fallback or not best)):
        best = NLU_FALLBACK
    loop = conversation.track.loop.name if conversation.track.loop else ""
    requested = slot_values(conversation, program).get(REQUESTED)
    intent = best.partition("/")[0]
    rejected = conversation.track.loop is not None and conversation.track.loop.rejected
    return _Message(intent, best, turn.text, found.entities, script.forms.get(loop), loop, requested, rejected)


def _filled(slot: Slot, message: _Message, program: Program) -> tuple[JsonValue, ev.SlotSource] | None:
    for mapping in slot.mappings:
        if _counts(slot, mapping, message):
            found = _value(slot, mapping, message, program)
            if found is not None:
                return found
    return None


def _counts(slot: Slot, mapping: SlotMapping, message: _Message) -> bool:
    names = (message.intent, message.full_intent)
    if mapping.intents:
        allowed = any(name in mapping.intents for name in names)
    else:
        refused = (*mapping.not_intents, *_ignored(mapping, message))
        allowed = not any(name in refused for name in names)
    if not allowed or not mapping.conditions or mapping.kind == "from_trigger_intent":
        return allowed
    if message.rejected and slot.name == message.requested:
        return False  # it was refused as an answer; only the form, when it runs again, asks anew
    return any(
        condition.loop in (None, message.loop) and condition.requested in (None, message.requested)
        for condition in mapping.conditions
    )


def _ignored(mapping: SlotMapping, message: _Message) -> tuple[str, ...]:
    """The intents that the active form ignores, for mappings that count inside it."""
    elsewhere = mapping.conditions and not any(item.loop == message.loop for item in mapping.conditions)
    return () if message.form is None or elsewhere else message.form.ignored_intents


def _inside(mapping: SlotMapping, message: _Message) -> bool:
    """Whether a form is active, and one that the mapping names if it names any."""
    loops = [condition.loop for condition in mapping.conditions]
    return bool(message.loop) and (not loops or message.loop in loops)


def _value(
    slot: Slot, mapping: SlotMapping, message: _Message, program: Program
) -> tuple[JsonValue, ev.SlotSource] | None:
    match mapping.kind:
        case "from_text" if message.text:
            return ([message.text] if slot.type == "list" else message.text), "text"
        case "from_intent":
            return ([mapping.value] if slot.type == "list" else mapping.value), "intent"
        case "from_trigger_intent" if _inside(mapping, message):
            return ([mapping.value] if slot.type == "list" else mapping.value), "intent"
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
