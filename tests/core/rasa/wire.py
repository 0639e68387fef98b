"""Rasa's events by hand, and histories of ours, for the tests of both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core import events as ev
from bot.core.messages import Message, Part, Text
from bot.core.program import Program, Slot
from bot.core.script import Form, Script

IDS = {"model_id": "m1", "assistant_id": "a1"}
DATA = dict.fromkeys(("elements", "quick_replies", "buttons", "attachment", "image", "custom"))
SCRIPTED = Program(
    id="p",
    assistant="a1",
    slots={"size": Slot(name="size", initial="M")},
    script=Script(forms={"order_form": Form(name="order_form", required=("size",))}),
)
PLAIN = Program(id="p", assistant="a1")


def event(kind: str, at: float, **fields: Any) -> dict[str, Any]:
    return {"event": kind, "timestamp": at, **fields, "metadata": {**IDS, **fields.get("metadata", {})}}


def action(name: str, at: float, policy: str | None = "RulePolicy", confidence: float | None = 1.0) -> dict[str, Any]:
    rest = {"action_text": None, "hide_rule_turn": False}
    return event("action", at, name=name, policy=policy, confidence=confidence, **rest)


def user(text: str, at: float, intent: str, entities: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    parsed = {
        "intent": {"name": intent, "confidence": 0.9},
        "entities": list(entities),
        "text": text,
        "message_id": f"k{at}",
        "metadata": {},
        "text_tokens": [],
        "intent_ranking": [{"name": intent, "confidence": 0.9}],
        "response_selector": {"all_retrieval_intents": []},
    }
    return event("user", at, text=text, parse_data=parsed | more, input_channel="rest", message_id=f"k{at}")


def bot(text: str | None, at: float, name: str | None = None, **data: Any) -> dict[str, Any]:
    return event("bot", at, text=text, data=DATA | data, metadata={"utter_action": name} if name else {})


def featurized(at: float) -> dict[str, Any]:
    return event("user_featurization", at, use_text_for_featurization=False)


def history(*events: ev.Event) -> list[ev.Recorded]:
    """Facts one second apart; a received message begins a turn."""
    turn, told = 0, []
    for seq, fact in enumerate(events, start=1):
        turn += isinstance(fact, ev.Received)
        told.append(ev.Recorded(conversation="c", seq=seq, turn=turn, at=float(seq), event=fact))
    return told


def received(text: str = "hi", key: str = "k", **metadata: Any) -> ev.Received:
    parts = (Text(text=text),) if text else ()
    return ev.Received(message=Message(id=key, parts=parts), key=key, channel="rest", metadata=metadata)


def understood(intent: str = "greet", text: str = "hi", **more: Any) -> ev.Understood:
    fields: dict[str, Any] = {"intents": (ev.Scored(name=intent, score=0.9),), "in_scope": 0.9, "bundle": "m1"}
    return ev.Understood(text=text, language="en", **(fields | more))


def chosen(name: str, policy: str = "RulePolicy", **more: Any) -> ev.Predicted:
    return ev.Predicted(action=name, policy=policy, **more)


def ran(name: str, step: str | None = None) -> ev.ActionRan:
    return ev.ActionRan(action=name, key="a", step=step)


def said(*parts: Part, name: str | None = None, step: str | None = None) -> ev.Replied:
    return ev.Replied(message=Message(id="b", parts=parts, name=name), step=step)


LISTENS = (chosen("action_listen"), ev.Settled(outcome="replied"))
