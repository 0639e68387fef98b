"""Rasa's view of a conversation and of one understood text, for tools that read those.

A tracker holds Rasa's events (user, bot, action, slot), made from ours: a turn is user, its slots and actions, its bot
messages, then `action_listen`. An unknown conversation is an empty tracker, as in Rasa.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bot.core.events import ActionRan, Entity, Received, Recorded, Replied, Settled, SlotSet, Understood
from bot.core.protocols import Gateway, Understanding
from connectors.http import Answer, Call, Route
from connectors.rendering import rasa_messages
from connectors.texts import MessageText, Name


class RasaIntent(BaseModel):
    """A ranked intent."""

    name: str | None
    confidence: float


class RasaEntity(BaseModel):
    """A found entity; `start` and `end` count characters."""

    entity: str
    value: JsonValue
    start: int
    end: int
    confidence_entity: float
    extractor: str
    role: str | None = None
    group: str | None = None


class RasaParse(BaseModel):
    """What `/model/parse` answers. Below the threshold the first intent is `nlu_fallback`, as in Rasa."""

    text: str
    intent: RasaIntent
    entities: list[RasaEntity]
    intent_ranking: list[RasaIntent]
    text_tokens: list[list[int]] = []
    response_selector: dict[str, JsonValue] = {}


class ParseRequest(BaseModel):
    """A text to understand."""

    model_config = ConfigDict(extra="ignore")

    text: MessageText


class Tracker(BaseModel):
    """A conversation."""

    sender_id: str
    slots: dict[str, JsonValue]
    latest_message: dict[str, JsonValue]
    latest_event_time: float | None
    followup_action: str | None = None
    paused: bool = False
    events: list[dict[str, JsonValue]] | None
    latest_input_channel: str | None
    active_loop: dict[str, JsonValue] = {}
    latest_action_name: str | None = None


class Include(BaseModel):
    """Which events to show."""

    include_events: Literal["NONE", "APPLIED", "AFTER_RESTART", "ALL"] = "AFTER_RESTART"
    until: float | None = Field(
        default=None, description="Only events at or before this time (seconds since 1970 UTC)."
    )


class TrackerPath(BaseModel):
    """The path; ids may hold slashes."""

    sender: Name


def tracker_routes(gateway: Gateway) -> Sequence[Route]:
    """`GET /conversations/{sender}/tracker`."""

    async def read(call: Call[None, Include]) -> Answer:
        history = await gateway.read(call.segments.sender)
        until = call.query.until
        shown = [recorded for recorded in history if until is None or recorded.at <= until]
        body = tracker(call.segments.sender, shown)
        if call.query.include_events == "NONE":
            body.events = None
        return Answer(200, body, exclude_none=False)

    path = "/conversations/{sender:.+}/tracker"
    return (
        Route("GET", path, read, "A conversation in Rasa's shape", {200: Tracker}, query=Include,
              segments=TrackerPath, door="operator", errors=(404, 503)),
    )  # fmt: skip


def tracker(sender: str, history: Sequence[Recorded]) -> Tracker:
    """The tracker that a history makes."""
    events = list(_events(history))
    users = [event for event in events if event["event"] == "user"]
    actions = [event["name"] for event in events if event["event"] == "action"]
    slots = {recorded.event.name: recorded.event.value for recorded in history if isinstance(recorded.event, SlotSet)}
    return Tracker(
        sender_id=sender,
        slots=slots,
        latest_message=users[-1]["parse_data"] if users else {},
        latest_event_time=history[-1].at if history else None,
        events=events,
        latest_input_channel=users[-1]["input_channel"] if users else None,
        latest_action_name=actions[-1] if actions else None,
    )


def rasa_parse(found: Understanding | Understood) -> RasaParse:
    """One understood text in Rasa's shape."""
    ranking = [RasaIntent(name=scored.name, confidence=scored.score) for scored in found.intents]
    if not ranking or found.in_scope < found.threshold:
        ranking.insert(0, RasaIntent(name="nlu_fallback", confidence=max(0.0, 1.0 - found.in_scope)))
    return RasaParse(
        text=found.text,
        intent=ranking[0],
        intent_ranking=ranking,
        entities=[_entity(entity) for entity in found.entities],
    )


def _entity(entity: Entity) -> RasaEntity:
    return RasaEntity(
        entity=entity.type,
        value=entity.value,
        start=entity.start,
        end=entity.end,
        confidence_entity=entity.confidence,
        extractor=entity.extractor,
        role=entity.role,
        group=entity.group,
    )


def _events(history: Iterable[Recorded]) -> Iterator[dict[str, Any]]:
    parsed = {r.turn: r.event for r in history if isinstance(r.event, Understood)}
    for recorded in history:
        for fields in _fields(recorded, parsed.get(recorded.turn)):
            yield {**fields, "timestamp": recorded.at, "metadata": fields.get("metadata", {})}


def _fields(recorded: Recorded, understood: Understood | None) -> Iterator[dict[str, Any]]:
    """Rasa's events for one of ours."""
    event = recorded.event
    match event:
        case Received():
            text = event.message.text
            parse = rasa_parse(understood).model_dump(mode="json") if understood else {"text": text}
            yield {"event": "user", "text": text, "parse_data": parse, "input_channel": event.channel,
                   "message_id": event.key, "metadata": event.metadata}  # fmt: skip
        case Replied():
            if event.message.name:
                yield {"event": "action", "name": event.message.name, "policy": None, "confidence": 1.0}
            yield from _bot(event)
        case SlotSet():
            yield {"event": "slot", "name": event.name, "value": event.value}
        case ActionRan():
            yield {"event": "action", "name": event.action, "policy": None, "confidence": 1.0}
        case Settled():
            yield {"event": "action", "name": "action_listen", "policy": None, "confidence": 1.0}


def _bot(event: Replied) -> Iterator[dict[str, Any]]:
    for item in rasa_messages((event.message,), "").root:
        shown = item.model_dump(mode="json", exclude_none=True, exclude={"recipient_id"})
        text = shown.pop("text", None)
        metadata = {"utter_action": event.message.name} if event.message.name else {}
        yield {"event": "bot", "text": text, "data": shown, "metadata": metadata}
