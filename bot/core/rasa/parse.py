"""What Rasa calls a parsed message: intent, ranking, entities, response selection; and its entities read back.

Below the thresholds the first intent is `nlu_fallback`, as Rasa's fallback classifier puts it. Retrieval intents are
ranked by their name before the slash; which answer is meant stands in `response_selector`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bot.core.findings import Entity, Scored
from bot.core.program import Program, Variation
from bot.core.script import NLU_FALLBACK

Wire = dict[str, Any]
EXTERNAL = "EXTERNAL: "
"""What Rasa writes before the intent of a message that nobody said."""
PAYLOAD_EXTRACTOR = "RegexMessageHandler"
_WORD = re.compile(r"\w+")


class Found(Protocol):
    """What was understood: `Understood` and `Understanding` are both."""

    @property
    def text(self) -> str:
        """The text."""
        ...

    @property
    def intents(self) -> tuple[Scored, ...]:
        """Ranked."""
        ...

    @property
    def entities(self) -> tuple[Entity, ...]:
        """In the order of the text."""
        ...

    @property
    def in_scope(self) -> float:
        """The probability that any intent fits."""
        ...

    @property
    def threshold(self) -> float:
        """What it must reach."""
        ...


def rasa_parse(found: Found, program: Program) -> Wire:
    """One understood text in Rasa's shape, as `/model/parse` gives it."""
    ranking = _ranking(found, program)
    intent = dict(ranking[0])
    if found.intents and _retrieval(found.intents[0].name, program) == intent["name"]:
        intent["full_retrieval_intent_name"] = found.intents[0].name
    return {
        "text": found.text,
        "intent": intent,
        "entities": [rasa_entity(entity) for entity in found.entities],
        "text_tokens": [list(word.span()) for word in _WORD.finditer(found.text)],
        "intent_ranking": ranking,
        "response_selector": _response_selector(found, program),
    }


def _ranking(found: Found, program: Program) -> list[Wire]:
    scores: dict[str, float] = {}
    for scored in found.intents:
        name = _retrieval(scored.name, program) or scored.name
        scores[name] = min(1.0, scores.get(name, 0.0) + scored.score)
    ranking: list[Wire] = [{"name": name, "confidence": score} for name, score in scores.items()]
    doubted = program.script is not None and program.script.doubts(found.intents)
    if not ranking or found.in_scope < found.threshold or doubted:
        ranking.insert(0, {"name": NLU_FALLBACK, "confidence": max(0.0, 1.0 - found.in_scope)})
    return ranking


def _retrieval(name: str, program: Program) -> str | None:
    """The retrieval intent that an answer's full name belongs to."""
    base, slash, _ = name.partition("/")
    known = program.intents.get(base) or program.intents.get(name)
    return base if slash and (known is None or known.retrieval) else None


def _response_selector(found: Found, program: Program) -> Wire:
    """Which answer of each retrieval intent fits best."""
    groups: dict[str, list[Scored]] = {}
    for scored in found.intents:
        base = _retrieval(scored.name, program)
        if base is not None:
            groups.setdefault(base, []).append(scored)
    named = {_retrieval(name, program) or name for name, intent in program.intents.items() if intent.retrieval}
    selected: Wire = {"all_retrieval_intents": sorted(named | set(groups))}
    selected |= {base: _selection(group, program) for base, group in groups.items()}
    return selected


def _selection(group: Sequence[Scored], program: Program) -> Wire:
    best = group[0]
    return {
        "response": {
            "responses": [rasa_response(variation) for variation in program.responses.get(f"utter_{best.name}", ())],
            "confidence": best.score,
            "intent_response_key": best.name,
            "utter_action": f"utter_{best.name}",
        },
        "ranking": [{"confidence": scored.score, "intent_response_key": scored.name} for scored in group],
    }


def rasa_response(variation: Variation) -> Wire:
    """One wording of a response as a domain writes it."""
    plain = {name: getattr(variation, name) for name in ("text", "image", "custom", "attachment", "channel", "id")}
    shown = {name: value for name, value in plain.items() if value is not None}
    for name in ("buttons", "quick_replies"):
        buttons = [{"title": button.title, "payload": button.payload} for button in getattr(variation, name)]
        shown |= {name: buttons} if buttons else {}
    if variation.elements:
        shown["elements"] = [dict(element) for element in variation.elements]
    if variation.conditions:
        wanted = [{"type": "slot", "name": item.slot, "value": item.value} for item in variation.conditions]
        shown["condition"] = wanted
    return shown | ({"metadata": variation.metadata} if variation.metadata else {})


def rasa_entity(entity: Entity) -> Wire:
    """An entity in Rasa's shape; role and group only where there are some."""
    shown: Wire = {"entity": entity.type, "start": entity.start, "end": entity.end, "value": entity.value}
    if entity.extractor != PAYLOAD_EXTRACTOR:
        shown["confidence_entity"] = entity.confidence
    for name in ("role", "group"):
        value = getattr(entity, name)
        shown |= {} if value is None else {name: value, f"confidence_{name}": entity.confidence}
    return shown | {"extractor": entity.extractor}


def read_entities(raw: object, text: str = "") -> tuple[Entity, ...]:
    """Entities as Rasa's events and calls give them: a list of objects, or a map from type to value.

    What is no entity is passed over, as Rasa does.
    """
    if isinstance(raw, Mapping):
        pairs = [
            (name, item) for name, value in raw.items() for item in (value if isinstance(value, list) else [value])
        ]
        return tuple(_entity({"entity": name, "value": value}, text) for name, value in pairs)
    items = raw if isinstance(raw, list | tuple) else ()
    return tuple(_entity(item, text) for item in items if isinstance(item, Mapping) and item.get("entity"))


def _entity(item: Mapping[str, Any], text: str) -> Entity:
    start, end = _offset(item.get("start")), _offset(item.get("end"))
    value = item.get("value")
    return Entity(
        type=str(item["entity"]),
        value=value,
        text=text[start:end] or (str(value) if value is not None else ""),
        start=start,
        end=end,
        role=_name(item.get("role")),
        group=_name(item.get("group")),
        confidence=_number(item.get("confidence_entity", item.get("confidence")), 1.0),
        extractor=str(item.get("extractor") or ""),
    )


def _offset(value: object) -> int:
    return max(0, int(value)) if isinstance(value, int | float) else 0


def _name(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


def read_ranking(parsed: Mapping[str, Any]) -> tuple[tuple[Scored, ...], float]:
    """The ranked intents of a parsed message and how sure it was that one fits at all.

    A full retrieval intent's name stands for its first intent, so that the answer chosen is kept.
    """
    first = parsed.get("intent")
    rows = [row for row in (parsed.get("intent_ranking") or ()) if isinstance(row, Mapping)]
    rows = rows or ([first] if isinstance(first, Mapping) else [])
    found = [(str(row["name"]), _number(row.get("confidence"), 1.0)) for row in rows if row.get("name")]
    full = first.get("full_retrieval_intent_name") if isinstance(first, Mapping) else None
    fallback = next((score for name, score in found if name == NLU_FALLBACK), None)
    kept = [Scored(name=name, score=score) for name, score in found if name != NLU_FALLBACK]
    if full and kept and str(full).partition("/")[0] == kept[0].name:
        kept[0] = Scored(name=str(full), score=kept[0].score)
    sure = 0.0 if not kept else 1.0
    return tuple(kept), sure if fallback is None else 1.0 - fallback
