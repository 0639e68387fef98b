"""Understood texts in the shapes of other services, for clients that were written for those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from bot.core.rasa.parse import Wire


def emulate(mode: str | None, parsed: Wire) -> Wire:
    """The parsed text as `mode` (LUIS, WIT or DIALOGFLOW) shows it; in Rasa's shape without one."""
    return parsed if mode is None else _MODES[mode](parsed)


def _luis(parsed: Wire) -> Wire:
    ranking = [{"intent": row["name"], "score": row["confidence"]} for row in parsed["intent_ranking"]]
    instances: dict[str, list[Wire]] = {}
    values: Wire = {}
    for entity in parsed["entities"]:
        name = f"{entity['entity']}.{entity['role']}" if entity.get("role") else entity["entity"]
        values.setdefault(name, []).append(entity["value"])
        instances.setdefault(name, []).append(_luis_entity(entity, parsed["text"]))
    prediction = {
        "normalizedQuery": parsed["text"],
        "topIntent": parsed["intent"]["name"],
        "intents": {row["intent"]: {"score": row["score"]} for row in ranking},
        "entities": {**values, "$instance": instances},
    }
    return {"query": parsed["text"], "prediction": prediction}


def _luis_entity(entity: Mapping[str, Any], text: str) -> Wire:
    start, end = entity["start"], entity["end"]
    return {
        "role": entity.get("role"),
        "type": entity["entity"],
        "text": text[start:end],
        "startIndex": start,
        "length": end - start,
        "score": entity.get("confidence_entity", 1.0),
        "modelType": entity["extractor"],
    }


def _wit(parsed: Wire) -> Wire:
    entities: dict[str, list[Wire]] = {}
    for entity in parsed["entities"]:
        role = entity.get("role") or entity["entity"]
        found = {
            "confidence": entity.get("confidence_entity", 1.0),
            "name": entity["entity"],
            "value": entity["value"],
            "body": entity["value"],
            "start": entity["start"],
            "end": entity["end"],
            "role": role,
            "type": "value",
            "suggested": True,
            "entities": [],
        }
        entities.setdefault(f"{entity['entity']}:{role}", []).append(found)
    return {
        "text": parsed["text"],
        "intents": [{"name": row["name"], "confidence": row["confidence"]} for row in parsed["intent_ranking"]],
        "entities": entities,
        "traits": {},
    }


def _dialogflow(parsed: Wire) -> Wire:
    parameters: dict[str, list[Any]] = {}
    for entity in parsed["entities"]:
        parameters.setdefault(entity["entity"], []).append(entity["value"])
    return {
        "responseId": str(uuid4()),
        "queryResult": {
            "resolvedQuery": parsed["text"],
            "queryText": parsed["text"],
            "action": parsed["intent"]["name"],
            "parameters": parameters,
            "fulfillmentText": "",
            "fulfillmentMessages": [],
            "outputContexts": [],
            "intent": {
                "name": parsed["intent"]["name"],
                "displayName": parsed["intent"]["name"],
                "isFallback": parsed["intent"]["name"] == "nlu_fallback",
            },
            "intentDetectionConfidence": parsed["intent"]["confidence"],
        },
    }


_MODES: Mapping[str, Callable[[Wire], Wire]] = {"LUIS": _luis, "WIT": _wit, "DIALOGFLOW": _dialogflow}
