"""Slot filling: what a message says about slots.

A slot with mappings takes what they allow, as in Rasa. A slot without mappings that a flow asks for takes the entity of
its own name, or what its type suggests: yes and no for bool, one of the values for categorical, a number for float, the
whole text for text. `from_text` and yes/no only count for the slot that was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from bot.core.events import Entity, Scored, Understood
from bot.core.messages import Choice
from bot.core.program import Program, Slot, SlotMapping

_PAYLOAD = re.compile(r"^/(?P<intent>[^\s{}@()]+)(?:@(?P<score>[\d.]+))?\s*(?P<entities>\{.*\})?\s*$", re.DOTALL)
_SET = re.compile(r"^/SetSlots?\((?P<pairs>.*)\)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Filled:
    """A value for a slot and where it was found. `entity` is the span it came from."""

    slot: str
    value: JsonValue
    source: str
    entity: Entity | None = None


def pressed(text: str, offered: Iterable[Choice], earlier: Sequence[str] = ()) -> Choice | None:
    """The button that a text presses: by its payload, or by its title typed out; an earlier one by its payload only."""
    wanted = text.strip()
    for choice in offered:
        if choice.url is None and (wanted == choice.payload or wanted.casefold() == choice.title.casefold()):
            return choice
    return Choice(title=wanted, payload=wanted) if wanted in earlier else None


def read_payload(choice: Choice) -> Understood | None:
    """What a button of ours means: `/intent@0.9{"entity": "value"}` or `/SetSlots(...)`; None when it is plain words.

    The confidence is 1 unless given. Doubled braces are accepted. A payload that is not well formed counts as the bare
    intent.
    """
    if set_slots(choice.payload):
        return Understood(text=choice.title, language="", in_scope=1.0, source="payload")
    match = _PAYLOAD.match(choice.payload)
    if match is None:
        return None
    entities = tuple(_payload_entities(match["entities"] or "{}", choice.payload))
    return Understood(
        text=choice.title,
        language="",
        intents=(Scored(name=match["intent"], score=_score(match["score"])),),
        in_scope=1.0,
        entities=entities,
        source="payload",
    )


def _score(written: str | None) -> float:
    try:
        return min(float(written or 1), 1.0)
    except ValueError:
        return 1.0


def _payload_entities(raw: str, payload: str) -> Iterable[Entity]:
    if raw.startswith("{{"):
        raw = raw.replace("{{", "{").replace("}}", "}")
    try:
        found = json.loads(raw)
    except ValueError:
        return
    for name, value in found.items():
        for item in value if isinstance(value, list) else [value]:
            start, end = 0, len(payload)
            yield Entity(type=name, value=item, text=str(item), start=start, end=end, extractor="payload")


def set_slots(payload: str) -> dict[str, str]:
    """The slots of a `/SetSlots(a=1, b=two)` payload; empty for any other."""
    match = _SET.match(payload)
    if match is None:
        return {}
    pairs = (pair.partition("=") for pair in match["pairs"].split(","))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals and name.strip()}


def for_asked(slot: Slot, understood: Understood, program: Program) -> Filled | None:
    """The value that the message gives to the slot it was asked for."""
    for mapping in slot.mappings or _default_mappings(slot, program):
        found = _by_mapping(slot, mapping, understood)
        if found is not None:
            return found
    return None


def from_entities(understood: Understood, program: Program, skip: Entity | None = None) -> dict[str, Filled]:
    """All slots that the message fills through their `from_entity` mappings; the span `skip` is used already."""
    left = tuple(entity for entity in understood.entities if entity is not skip)
    if not left:
        return {}
    narrowed = understood.model_copy(update={"entities": left})
    filled: dict[str, Filled] = {}
    for slot in program.slots.values():
        for mapping in slot.mappings:
            found = _by_mapping(slot, mapping, narrowed) if mapping.kind == "from_entity" else None
            if found is not None:
                filled[slot.name] = found
                break
    return filled


def _default_mappings(slot: Slot, program: Program) -> tuple[SlotMapping, ...]:
    behaviour = program.behaviour
    mappings = [SlotMapping(kind="from_entity", entity=slot.name)]
    if slot.type == "bool":
        mappings.append(SlotMapping(kind="from_intent", intents=(behaviour.affirm_intent,), value=True))
        mappings.append(SlotMapping(kind="from_intent", intents=(behaviour.deny_intent,), value=False))
    elif slot.type == "float":
        mappings.append(SlotMapping(kind="from_entity", entity="number"))
    if slot.type in ("text", "categorical", "float", "any"):
        mappings.append(SlotMapping(kind="from_text"))
    return tuple(mappings)


def _by_mapping(slot: Slot, mapping: SlotMapping, understood: Understood) -> Filled | None:
    if not _intent_fits(mapping, understood):
        return None
    if mapping.kind == "from_entity":
        return _by_entity(slot, mapping, understood)
    if mapping.kind == "from_text":
        return _filled(slot, understood.text.strip() or None, "text")
    if mapping.kind in ("from_intent", "from_trigger_intent") and understood.accepted:
        return _filled(slot, mapping.value, "intent")
    return None


def _intent_fits(mapping: SlotMapping, understood: Understood) -> bool:
    best = understood.intents[0].name if understood.accepted else ""
    if mapping.intents and best not in mapping.intents:
        return False
    return best not in mapping.not_intents


def _by_entity(slot: Slot, mapping: SlotMapping, understood: Understood) -> Filled | None:
    fitting = [
        entity
        for entity in understood.entities
        if entity.type == mapping.entity
        and mapping.role in (None, entity.role)
        and mapping.group in (None, entity.group)
    ]
    if not fitting:
        return None
    if slot.type == "list":
        return Filled(slot.name, [entity.value for entity in fitting], "entity", fitting[0])
    return _filled(slot, fitting[-1].value, "entity", fitting[-1])


def _filled(slot: Slot, value: JsonValue, source: str, entity: Entity | None = None) -> Filled | None:
    accepted = coerce(slot, value)
    return None if accepted is None else Filled(slot.name, accepted, source, entity)


def coerce(slot: Slot, value: JsonValue) -> JsonValue:
    """The value in the slot's type, or None when it has none: an unknown category, text that is no number."""
    if value is None or slot.type == "any":
        return value
    if slot.type == "bool":
        return _as_bool(value)
    if slot.type == "float":
        return _as_float(slot, value)
    if slot.type == "categorical":
        return _as_category(slot, value)
    if slot.type == "list":
        return value if isinstance(value, list) else [value]
    return value if isinstance(value, str) else str(value)


_YES, _NO = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def _as_bool(value: JsonValue) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    return True if word in _YES else False if word in _NO else None


def _as_float(slot: Slot, value: JsonValue) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else float(str(value).strip().replace(",", "."))
    except ValueError:
        return None
    low = slot.minimum if slot.minimum is not None else float("-inf")
    high = slot.maximum if slot.maximum is not None else float("inf")
    return number if low <= number <= high else None


def _as_category(slot: Slot, value: JsonValue) -> str | None:
    text = str(value).strip().casefold()
    for option in slot.values:
        if option.casefold() == text:
            return option
    mentioned = [option for option in slot.values if _mentions(text, option.casefold())]
    if len(mentioned) == 1:
        return mentioned[0]
    return "__other__" if "__other__" in slot.values else None


def _mentions(text: str, word: str) -> bool:
    if word.isascii():
        return re.search(rf"\b{re.escape(word)}\b", text) is not None
    return word in text
