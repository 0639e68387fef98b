"""Rasa's events as our facts: one event, or a list of them as a history that can follow what is there.

Nothing is lost. What means nothing to us is a `Foreign` fact; what an event says beyond its facts is a `Foreign` fact
without a name behind them, and `rasa_events` puts both back. A list need not be complete: a turn that Rasa did not
close ends as "unanswered".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import AwareDatetime, NaiveDatetime, TypeAdapter, ValidationError

from bot.core import events as ev
from bot.core.conversation import Conversation, evolve
from bot.core.errors import InputError
from bot.core.messages import Card, Choice, Choices, Custom, Image, Message, Part, Text
from bot.core.program import Program
from bot.core.rasa.events import BY_HAND, IDS, IMPORTED, SESSION_START, rasa_events
from bot.core.rasa.parse import EXTERNAL, Wire, read_entities, read_ranking
from bot.core.script import LISTEN, NLU_FALLBACK

KNOWN = frozenset(
    {"user", "bot", "slot", "restart", "session_started", "session_ended", "rewind", "reset_slots", "reminder"}
    | {"cancel_reminder", "undo", "export", "followup", "pause", "resume", "action", "agent", "active_loop", "form"}
    | {"loop_interrupted", "form_validation", "action_execution_rejected", "entities", "user_featurization", "stack"}
    | {"flow_started", "flow_interrupted", "flow_resumed", "flow_completed", "flow_cancelled"}
)
"""The types of Rasa's events."""
KEY = "rasa"
"""The key of actions that ran elsewhere."""
_WHEN: TypeAdapter[Any] = TypeAdapter(AwareDatetime | NaiveDatetime)
Extract = Callable[[Conversation], Iterable[ev.Event]]
_PLAIN: Mapping[str, ev.Event] = {
    "restart": ev.Restarted(),
    "session_started": ev.SessionStarted(),
    "session_ended": ev.Ended(),
    "rewind": ev.Reverted(what="message"),
    "undo": ev.Reverted(what="action"),
    "reset_slots": ev.SlotsReset(),
    "pause": ev.Paused(),
    "resume": ev.Paused(paused=False),
}


def facts(event: Mapping[str, Any]) -> tuple[ev.Event, ...]:
    """The facts of one event; the timestamp is the caller's.

    Raises:
        InputError: it is no event, or a field that gives it its meaning is missing or wrong.
    """
    kind = event.get("event")
    if not isinstance(kind, str) or not kind:
        raise InputError("an event of Rasa is an object with its type in 'event'")
    try:
        found = _facts(kind, event)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the {kind!r} event cannot be read: {_reason(error)}") from None
    more = _beyond(event, found)
    return (*found, ev.Foreign(name="", data=more)) if more else found


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)


def _facts(kind: str, event: Mapping[str, Any]) -> tuple[ev.Event, ...]:
    match kind:
        case "user":
            return _user(event)
        case "bot":
            return (ev.Replied(message=_message(event)),)
        case "action" if event.get("name") and event["name"] != SESSION_START:
            return _action(event)
        case "slot":
            return (ev.SlotSet(name=event["name"], value=event.get("value"), source="import"),)
        case "active_loop" | "form":
            return (ev.LoopChanged(loop=event.get("name")),)
        case "loop_interrupted":
            return (ev.LoopInterrupted(interrupted=bool(event.get("is_interrupted"))),)
        case "form_validation":
            return (ev.LoopInterrupted(interrupted=not event.get("validate", True)),)
        case "action_execution_rejected":
            return (ev.ActionRejected(action=event["name"]),)
        case "followup" if event.get("name"):
            return (ev.FollowUp(action=event["name"]),)
        case "reminder" | "cancel_reminder":
            return (_reminder(kind, event),)
        case _:
            rest = {name: value for name, value in event.items() if name != "event"}
            return (_PLAIN[kind] if kind in _PLAIN else ev.Foreign(name=kind, data=rest),)


def _beyond(event: Mapping[str, Any], found: tuple[ev.Event, ...]) -> Wire:
    """What the event says and its facts do not."""
    if isinstance(found[0], ev.Foreign):
        return {}
    alone = [ev.Recorded(conversation="", seq=n, turn=1, at=0.0, event=fact) for n, fact in enumerate(found, 1)]
    told = rasa_events(alone, Program())
    same = next(each for each in told if each["event"] == _ALIAS.get(event["event"], event["event"]))
    return _difference({name: value for name, value in event.items() if name not in ("event", "timestamp")}, same)


_ALIAS = {"form": "active_loop", "form_validation": "loop_interrupted"}


def _difference(wanted: Mapping[str, Any], told: Mapping[str, Any]) -> Wire:
    more: Wire = {}
    for name, value in wanted.items():
        inner = told.get(name)
        if isinstance(value, dict) and isinstance(inner, dict):
            known = IDS if name == "metadata" else ()
            changed = {
                key: item
                for key, item in value.items()
                if key not in known and (key not in inner or inner[key] != item)
            }
            more |= {name: changed} if changed else {}
        elif value is not None and (name not in told or inner != value):
            more[name] = value
    return more


def _object(event: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = event.get(name) or {}
    if not isinstance(found, dict):
        raise TypeError(f"{name!r} must be an object")
    return found


def _user(event: Mapping[str, Any]) -> tuple[ev.Event, ...]:
    parsed = _object(event, "parse_data")
    metadata = _object(event, "metadata") or _object(parsed, "metadata")
    text = str(event.get("text") or parsed.get("text") or "")
    outside = bool(metadata.get("is_external")) or text.startswith(EXTERNAL)
    key = str(event.get("message_id") or parsed.get("message_id") or _digest(event))
    said = () if outside or not text else (Text(text=text),)
    received = ev.Received(
        message=Message(id=key, parts=said),
        key=key,
        channel=str(event.get("input_channel") or ""),
        metadata={**metadata, "is_external": True} if outside else metadata,
    )
    return received, *_understood(text, parsed, metadata, outside)


def _understood(text: str, parsed: Mapping[str, Any], metadata: Mapping[str, Any], outside: bool) -> list[ev.Event]:
    intents, in_scope = read_ranking(parsed)
    if not intents and not parsed.get("intent"):
        return []
    fallback = str(_object(parsed, "intent").get("name")) == NLU_FALLBACK
    return [
        ev.Understood(
            text=text,
            language="",
            intents=intents,
            in_scope=max(0.0, min(1.0, in_scope)),
            threshold=1.0 if fallback else min(0.5, in_scope),
            entities=read_entities(parsed.get("entities"), text),
            bundle=str(metadata.get("model_id") or ""),
            source="external" if outside else "payload" if text.startswith("/") else "model",
        )
    ]


def _digest(event: Mapping[str, Any]) -> str:
    """A key for a message that has none, the same whenever it is read."""
    told = json.dumps([event.get("timestamp"), event.get("text")], default=str)
    return f"{KEY}-{hashlib.sha256(told.encode()).hexdigest()[:24]}"


def _action(event: Mapping[str, Any]) -> tuple[ev.Event, ...]:
    name, confidence = str(event["name"]), event.get("confidence")
    chosen = ev.Predicted(
        action=name,
        policy=str(event.get("policy") or BY_HAND),
        reason=IMPORTED,
        candidates=() if confidence is None else (ev.Scored(name=name, score=float(confidence)),),
    )
    return (chosen,) if name == LISTEN else (chosen, ev.ActionRan(action=name, key=KEY))


def _reminder(kind: str, event: Mapping[str, Any]) -> ev.Event:
    entities = read_entities(event.get("entities"))
    if kind == "cancel_reminder":
        return ev.ReminderCancelled(name=event.get("name"), intent=event.get("intent"), entities=entities)
    intent = str(event["intent"])
    return ev.ReminderSet(
        name=str(event.get("name") or _digest({"timestamp": event["date_time"], "text": intent})),
        intent=intent,
        due=_WHEN.validate_python(event["date_time"]).timestamp(),
        entities=entities,
        cancelled_by_message=bool(event.get("kill_on_user_msg", True)),
    )


# Messages -----------------------------------------------------------------------------------------------------------


def _message(event: Mapping[str, Any]) -> Message:
    data = _object(event, "data")
    name = _object(event, "metadata").get("utter_action")
    return Message(id="", name=None if name is None else str(name), parts=read_parts(event.get("text"), data))


def read_parts(text: object, data: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts of a bot message from its text and its data (elements, buttons, image, attachment, custom)."""
    parts: list[Part] = [Text(text=str(text))] if text else []
    if data.get("image"):
        parts.append(Image(url=str(data["image"])))
    parts += [_card(element) for element in _objects(data.get("elements"))]
    attachment = data.get("attachment")
    if attachment and attachment != data.get("image"):
        parts.append(Custom(data={"attachment": attachment}))
    if data.get("custom"):
        custom = data["custom"]
        parts.append(Custom(data=custom if isinstance(custom, dict) else {"data": custom}))
    buttons = [*_objects(data.get("buttons")), *_objects(data.get("quick_replies"))]
    if buttons:
        parts.append(Choices(options=tuple(map(_choice, buttons))))
    return tuple(parts)


def _objects(raw: object) -> list[Mapping[str, Any]]:
    return [item for item in raw if isinstance(item, Mapping)] if isinstance(raw, list | tuple) else []


def _card(element: Mapping[str, Any]) -> Card:
    return Card(
        title=str(element.get("title") or ""),
        subtitle=str(element.get("subtitle") or ""),
        image_url=_text(element.get("image_url")),
        url=_text(element.get("url")),
        options=tuple(map(_choice, _objects(element.get("buttons")))),
    )


def _choice(button: Mapping[str, Any]) -> Choice:
    return Choice(
        title=str(button.get("title") or ""), payload=str(button.get("payload") or ""), url=_text(button.get("url"))
    )


def _text(value: object) -> str | None:
    return str(value) if value else None


# Histories ----------------------------------------------------------------------------------------------------------


def records(
    events: Iterable[Mapping[str, Any]],
    state: Conversation,
    now: float,
    keys: Iterable[str] = (),
    channel: str = "",
    extract: Extract | None = None,
) -> Iterator[ev.Recorded]:
    """Rasa's events as a history that follows `state`; `keys` are message ids used before.

    `channel` is that of a conversation that starts here. An event without a time, or with one before the last, happened
    when the one before it did, or at `now` if it is the first. The last turn is closed: nobody waits for its answer.
    `extract` gives the facts that follow from a message that was understood; else the slots are those of the events.

    Raises:
        InputError: see `facts`; what came before has been given by then.
    """
    writer = _Writer(state, now, set(keys), channel, extract)
    for event in events:
        writer.event(event)
        yield from writer.take()
    writer.close()
    yield from writer.take()


def _intent_only(state: Conversation) -> Iterable[ev.Event]:
    """Policies look at the message from here on."""
    understood = state.current.understood if state.current else None
    accepted = understood is not None and understood.accepted
    yield ev.Extracted(intent=understood.intents[0].name.partition("/")[0] if understood and accepted else NLU_FALLBACK)


class _Writer:
    """Writes one conversation. An action is said to have run when all that it brought has been written."""

    def __init__(self, state: Conversation, now: float, keys: set[str], channel: str, extract: Extract | None) -> None:
        self.state, self.keys, self.channel = state, keys, channel
        self.extract = extract or _intent_only
        self.at, self.now = state.at, now
        self.ran: ev.ActionRan | None = None
        self.done: list[ev.Recorded] = []

    def take(self) -> list[ev.Recorded]:
        done, self.done = self.done, []
        return done

    def event(self, event: Mapping[str, Any]) -> None:
        found = facts(event)
        stamp = event.get("timestamp")
        timed = isinstance(stamp, int | float) and not isinstance(stamp, bool)
        self.at = max(self.at, float(stamp)) if timed and stamp is not None else self.at or self.now
        if self.state.status in ("new", "erased"):
            self.add(ev.Started(channel=self.channel or str(event.get("input_channel") or ""), sender=self.state.id))
        for fact in found:
            self.fact(fact, event)

    def fact(self, fact: ev.Event, event: Mapping[str, Any]) -> None:
        match fact:
            case ev.Received():
                self.close()
                self.add(fact.model_copy(update={"key": self.fresh(fact.key)}), self.state.turn + 1)
            case ev.Predicted():
                self.finish()
                self.predicted(fact, event)
            case ev.ActionRan():
                self.ran = fact
            case ev.Replied():
                named = f"{self.state.turn}.{KEY}{self.state.seq}"
                self.add(fact.model_copy(update={"message": fact.message.model_copy(update={"id": named})}))
            case _:
                self.other(fact)

    def predicted(self, fact: ev.Predicted, event: Mapping[str, Any]) -> None:
        by_hand = self.state.track.begun and self.state.track.action != LISTEN
        if fact.action != LISTEN:
            self.add(fact)
        elif self.state.current is None and by_hand:
            self.add(fact)
            self.add(ev.ActionRan(action=LISTEN, key=KEY))
        elif self.state.current is None:
            self.add(ev.Foreign(name="action", data={key: value for key, value in event.items() if key != "event"}))
        else:
            self.add(fact)
            self.settle()

    def other(self, fact: ev.Event) -> None:
        if isinstance(fact, ev.SessionStarted):
            self.close()
        if isinstance(fact, ev.Restarted | ev.Reverted | ev.ActionRejected):
            self.finish()
        self.add(fact)
        if isinstance(fact, ev.Understood):
            for follows in self.extract(self.state):
                self.add(follows)

    def finish(self) -> None:
        """The action under way has run."""
        ran, self.ran = self.ran, None
        if ran is not None:
            self.add(ran)

    def settle(self) -> None:
        current = self.state.current
        self.add(ev.Settled(outcome="replied" if current and current.replies else "unanswered"))

    def close(self) -> None:
        """Nothing more comes in this turn."""
        self.finish()
        if self.state.current is not None:
            self.add(ev.Settled(outcome="unanswered"))

    def fresh(self, key: str) -> str:
        """A message id that was not used before."""
        unique, number = key, 1
        while unique in self.keys:
            number += 1
            unique = f"{key}.{number}"
        self.keys.add(unique)
        return unique

    def add(self, event: ev.Event, turn: int | None = None) -> None:
        state = self.state
        if turn is None:
            turn = state.turn if state.current is None else state.current.number
        fact = ev.Recorded(conversation=state.id, seq=state.seq + 1, turn=turn, at=self.at, event=event)
        self.state = evolve(state, fact)
        self.done.append(fact)
