"""Our facts as Rasa's events, in the order in which Rasa would have logged them.

Rasa writes an action before what it brought, ours may come after it; Rasa begins a session before the message that
caused it, ours after; and what is pending has not happened yet. So facts are told turn by turn, and an action is told
when it ran. Bots without a script have no sessions and no featurization; their responses are told as actions.

`Foreign` facts come out as they came in; one without a name adds fields to the event before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import AwareDatetime, TypeAdapter

from bot.core import events as ev
from bot.core.events import Recorded
from bot.core.messages import Card, Choice, Choices, Custom, File, Image, Message, Part, Text
from bot.core.program import Program
from bot.core.rasa.parse import EXTERNAL, Wire, rasa_entity, rasa_parse
from bot.core.script import LISTEN

SESSION_START = "action_session_start"
IMPORTED = "import"
"""The reason of a `Predicted` that another system made: nothing is added to its turn."""
BY_HAND = "External"
"""The policy of an action that no policy chose; Rasa has none for it."""
IDS = ("model_id", "assistant_id")
"""What the metadata of every event names."""
BOT_DATA = ("elements", "quick_replies", "buttons", "attachment", "image", "custom")
_INSTANT: TypeAdapter[Any] = TypeAdapter(AwareDatetime)


def rasa_events(history: Iterable[Recorded], program: Program, model: str = "") -> list[Wire]:
    """The events of a history. `model` is the model id of events before the first that was understood."""
    facts = list(history)
    parsed = {fact.turn: fact.event for fact in facts if isinstance(fact.event, ev.Understood)}
    known = (event.bundle for event in parsed.values() if event.bundle)
    named = (_assistant(fact.event) for fact in facts if isinstance(fact.event, ev.Received))
    teller = _Teller(program, metadata(program, model or next(known, "")))
    teller.ids["assistant_id"] = next(filter(None, named), "") or teller.ids["assistant_id"]
    for group in _turns(facts):
        teller.tell(group, parsed.get(group[0].turn))
    return teller.out


def _assistant(event: ev.Received) -> str:
    """The assistant that another system names in a message's metadata."""
    return str(event.metadata.get("assistant_id") or "")


def fresh_session(at: float, program: Program, model: str = "") -> list[Wire]:
    """What Rasa logs for a conversation in which nothing has happened yet."""
    teller = _Teller(program, metadata(program, model))
    teller.begin_session(at)
    teller.act(LISTEN, at, None, None)
    return teller.out


def metadata(program: Program, model: str) -> Wire:
    """What every event says about the bot that was there."""
    return {"model_id": model, "assistant_id": program.assistant or program.id}


def _turns(history: Sequence[Recorded]) -> Iterator[list[Recorded]]:
    """The facts of each turn, and those between turns; messages that wait are told when their turn begins."""
    group: list[Recorded] = []
    waiting: list[Recorded] = []
    in_turn = False
    for fact in history:
        if isinstance(fact.event, ev.Received) and in_turn:
            waiting.append(fact)
            continue
        if isinstance(fact.event, ev.Received):
            if group:
                yield group
            group, in_turn = [], True
        group.append(fact)
        if isinstance(fact.event, ev.Settled | ev.Erased) and in_turn:
            yield group
            group, in_turn = waiting[:1], bool(waiting)
            del waiting[:1]
    if group:
        yield group


def _session_first(turn: Sequence[Recorded]) -> tuple[Sequence[Recorded], Sequence[Recorded]]:
    """The facts of the session that began with this turn's message, and the turn itself."""
    kinds = [fact.event for fact in turn]
    if not isinstance(kinds[0], ev.Received):
        return (), turn
    end = next((i for i, event in enumerate(kinds) if _decisive(event)), len(turn))
    if not any(isinstance(event, ev.SessionStarted) for event in kinds[:end]):
        return (), turn
    early = (ev.Received, ev.Transcribed, ev.Understood, ev.Foreign)
    session = [fact for fact in turn[:end] if not isinstance(fact.event, early)]
    return session, [fact for fact in turn[:end] if isinstance(fact.event, early)] + list(turn[end:])


def _decisive(event: ev.Event) -> bool:
    """Whether the turn itself has begun: the message was looked at, or something was chosen because of it."""
    if isinstance(event, ev.Predicted):
        return event.action not in (SESSION_START, LISTEN)
    return isinstance(event, ev.Extracted | ev.Settled)


class _Pending:
    """An action that was chosen and has not run; `brought` is what has come of it."""

    def __init__(self, event: ev.Predicted, at: float) -> None:
        self.event, self.at = event, at
        self.brought: list[Wire] = []
        self.more: Wire = {}


class _Teller:
    """Tells turns, one after another."""

    def __init__(self, program: Program, ids: Wire) -> None:
        self.program, self.ids = program, ids
        self.out: list[Wire] = []
        self.pending: _Pending | None = None
        self.understood: ev.Understood | None = None
        self.in_turn = self.scripted = self.featurized = self.listening = False
        self.step: str | None = None
        self.at: float | None = None

    def tell(self, group: Sequence[Recorded], understood: ev.Understood | None) -> None:
        """One turn with what its message was understood as last, or what happened between turns."""
        self._enter(group, understood)
        session, turn = _session_first(group)
        if session:
            self.at = group[0].at
            for fact in session:
                self._fact(fact)
            self._flush()
            self.act(LISTEN, group[0].at, None, None)
            self.at, self.listening = None, False
        for fact in turn:
            self._fact(fact)
        self._flush()

    def _enter(self, group: Sequence[Recorded], understood: ev.Understood | None) -> None:
        events = [fact.event for fact in group]
        self.in_turn = isinstance(events[0], ev.Received)
        self.understood = understood
        if understood is not None and understood.bundle:
            self.ids["model_id"] = understood.bundle
        self.scripted = any(isinstance(event, ev.Extracted) or _chosen(event) for event in events)
        self.featurized, self.listening, self.step = not self.in_turn, False, None

    # What is written

    def put(self, kind: str, at: float, fields: Wire) -> None:
        """Add an event; it waits while an action is pending."""
        into = self.out if self.pending is None else self.pending.brought
        into.append(self._event(kind, at, fields))

    def _event(self, kind: str, at: float, fields: Wire) -> Wire:
        own = fields.get("metadata", {})
        at = at if self.at is None else self.at
        return {"event": kind, "timestamp": at, **fields, "metadata": {**self.ids, **own}}

    def act(self, name: str, at: float, policy: str | None, confidence: float | None) -> None:
        """Add an action."""
        self.put("action", at, _action(name, policy, confidence))
        self.listening = name == LISTEN

    def begin_session(self, at: float) -> None:
        """A session and, unless it is under way, the action that begins it."""
        if self.pending is None or self.pending.event.action != SESSION_START:
            self.act(SESSION_START, at, None, 1.0)
        self.put("session_started", at, {})

    def _flush(self) -> None:
        """What is still pending did not run; what it brought stays."""
        pending, self.pending = self.pending, None
        self.out += pending.brought if pending else []

    def _ran(self, pending: _Pending) -> None:
        self.pending = None
        event = pending.event
        fields = _action(event.action, _policy(event), _confidence(event)) | pending.more
        self.out += [self._event("action", pending.at, fields), *pending.brought]

    # Facts

    def _fact(self, fact: Recorded) -> None:
        event, at = fact.event, fact.at
        match event:
            case ev.Received():
                self._user(event, at)
            case ev.Predicted() if event.policy:
                self._predicted(event, at)
            case ev.ActionRan():
                self._action_ran(event, at)
            case ev.ActionRejected():
                self._rejected(event, at)
            case ev.Replied():
                self._replied(event, at)
            case ev.SessionStarted() if self.in_turn:
                self.begin_session(at)
            case ev.Settled() if event.outcome != "unanswered":
                self._flush()
                if not self.listening:
                    self.act(LISTEN, at, None, 1.0)
            case ev.Foreign():
                self._foreign(event, at)
            case _:
                for name, fields in plain(event):
                    self.put(name, at, fields)

    def _user(self, event: ev.Received, at: float) -> None:
        outside = bool(event.metadata.get("is_external"))
        understood, text = self.understood, event.message.text or None
        if outside and not text and understood is not None and understood.intents:
            text = EXTERNAL + understood.intents[0].name
        told: Wire = {"intent": {}, "entities": [], "text": text, "message_id": event.key, "metadata": event.metadata}
        if understood is not None:
            found = rasa_parse(understood, self.program)
            told |= {"intent": found["intent"], "entities": found["entities"]} if outside else found | {"text": text}
        fields = {"text": text, "parse_data": told, "input_channel": event.channel, "message_id": event.key}
        self.put("user", at, {**fields, "metadata": event.metadata})

    def _predicted(self, event: ev.Predicted, at: float) -> None:
        self._flush()
        if not self.featurized and event.action != SESSION_START:
            self.featurized = True
            if event.reason != IMPORTED:
                self.put("user_featurization", at, {"use_text_for_featurization": False})
        self.pending = _Pending(event, at)
        self.listening = event.action == LISTEN
        if self.listening:
            self._ran(self.pending)

    def _action_ran(self, event: ev.ActionRan, at: float) -> None:
        self.step = event.step
        if self.pending is not None and self.pending.event.action == event.action:
            self._ran(self.pending)
        elif not self.scripted:
            self.act(event.action, at, None, 1.0)

    def _rejected(self, event: ev.ActionRejected, at: float) -> None:
        chosen = self.pending.event if self.pending and self.pending.event.action == event.action else None
        self._flush()
        policy, confidence = (_policy(chosen), _confidence(chosen)) if chosen else (None, None)
        self.put("action_execution_rejected", at, {"name": event.action, "policy": policy, "confidence": confidence})

    def _replied(self, event: ev.Replied, at: float) -> None:
        name = event.message.name
        of_action = event.step is not None and event.step == self.step
        if name and not self.scripted and self.in_turn and not of_action:
            self.act(name, at, None, 1.0)
        own = {"utter_action": name} if name else {}
        for text, data in bot_data(event.message):
            self.put("bot", at, {"text": text, "data": data, "metadata": own})

    def _foreign(self, event: ev.Foreign, at: float) -> None:
        if event.name:
            self.featurized = self.featurized or event.name == "user_featurization"
            told: Wire = {**event.data, "metadata": event.data.get("metadata") or {}}
            self.put(event.name, told.pop("timestamp", None) or at, told)
            return
        if self.pending is not None and not self.pending.brought:
            self.pending.more |= event.data
        elif told_before := (self.pending.brought if self.pending else self.out):
            _merge(told_before[-1], event.data)


def _merge(told: Wire, more: Wire) -> None:
    """Add fields; those of objects one by one."""
    for name, value in more.items():
        inner = told.get(name)
        told[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value


def _chosen(event: ev.Event) -> bool:
    return isinstance(event, ev.Predicted) and bool(event.policy)


def _policy(event: ev.Predicted) -> str | None:
    return None if event.policy == BY_HAND else event.policy


def _confidence(event: ev.Predicted) -> float | None:
    found = next((scored.score for scored in event.candidates if scored.name == event.action), None)
    return 1.0 if found is None and event.policy != BY_HAND else found


def _action(name: str, policy: str | None, confidence: float | None) -> Wire:
    told = {"name": name, "policy": policy, "confidence": confidence}
    return {**told, "action_text": None, "hide_rule_turn": False}


def plain(event: ev.Event) -> Iterator[tuple[str, Wire]]:
    """Rasa's events for facts that mean the same wherever they stand: name and fields."""
    match event:
        case ev.SlotSet():
            yield "slot", {"name": event.name, "value": event.value}
        case ev.LoopChanged():
            yield "active_loop", {"name": event.loop}
        case ev.LoopInterrupted():
            yield "loop_interrupted", {"is_interrupted": event.interrupted}
        case ev.FollowUp() if event.action is not None:
            yield "followup", {"name": event.action}
        case ev.Paused():
            yield ("pause" if event.paused else "resume"), {}
        case ev.ReminderSet():
            yield "reminder", _reminder(event)
        case ev.ReminderCancelled():
            entities = [rasa_entity(entity) for entity in event.entities] or None
            yield "cancel_reminder", {"name": event.name, "intent": event.intent, "entities": entities}
        case ev.Ended():
            yield "session_ended", {}
        case _:
            if event.kind in _NAMES:
                yield _NAMES[event.kind], {}
            elif isinstance(event, ev.Reverted):
                yield ("undo" if event.what == "action" else "rewind"), {}


_NAMES = {
    "session_started": "session_started",
    "restarted": "restart",
    "slots_reset": "reset_slots",
    "handed_off": "pause",
    "resumed": "resume",
}


def _reminder(event: ev.ReminderSet) -> Wire:
    return {
        "intent": event.intent,
        "date_time": _INSTANT.validate_python(event.due).isoformat(),
        "entities": [rasa_entity(entity) for entity in event.entities] or None,
        "name": event.name,
        "kill_on_user_msg": event.cancelled_by_message,
    }


def bot_data(message: Message) -> list[tuple[str | None, Wire]]:
    """A message as text and data of `bot` events: one, unless it has two parts of a kind."""
    told: list[tuple[str | None, Wire]] = []
    for part in message.parts:
        name, value = _datum(part)
        if told and name == "elements":
            told[-1][1][name] = [*(told[-1][1][name] or ()), *value]
            continue
        if not told or (told[-1][0] if name == "text" else told[-1][1][name]) is not None:
            told.append((None, dict.fromkeys(BOT_DATA)))
        if name == "text":
            told[-1] = (value, told[-1][1])
        else:
            told[-1][1][name] = value
    return told or [(None, dict.fromkeys(BOT_DATA))]


def _datum(part: Part) -> tuple[str, Any]:
    match part:
        case Text():
            return "text", part.text
        case Image():
            return "image", part.url
        case Choices():
            return "buttons", [_button(option) for option in part.options]
        case Card():
            buttons = [_button(option) for option in part.options]
            card = {"title": part.title, "subtitle": part.subtitle, "image_url": part.image_url, "url": part.url}
            return "elements", [{**{k: v for k, v in card.items() if v}, **({"buttons": buttons} if buttons else {})}]
        case Custom() if set(part.data) == {"attachment"}:
            return "attachment", part.data["attachment"]
        case Custom():
            return "custom", part.data
        case _:
            source = part.url if isinstance(part, File) else None
            title = part.name if isinstance(part, File) else None
            return "attachment", {"type": "file", "payload": {"title": title, "src": source}}


def _button(option: Choice) -> Wire:
    button: Wire = {"title": option.title, "payload": option.payload}
    return button | ({"type": "web_url", "url": option.url} if option.url else {})
