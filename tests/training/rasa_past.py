"""Makes what a Rasa bot leaves behind: conversations with all that a tracker store can hold, and the truth of them.

The events have the shape that Rasa 3.6 writes. `truth` is what Rasa's tracker would say at the end: slots, last action,
active form.
"""

from __future__ import annotations

import json
import random
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY,
    sender_id VARCHAR(255) NOT NULL,
    type_name VARCHAR(255) NOT NULL,
    timestamp FLOAT,
    intent_name VARCHAR(255),
    action_name VARCHAR(255),
    data TEXT
);
CREATE INDEX ix_events_sender_id ON events (sender_id);
"""
"""The table as Rasa's SQLTrackerStore makes it on SQLite."""
MODEL, ASSISTANT = "f3b1c0de", "office"
INTENTS = ("report", "inform", "affirm", "deny", "thank")
Wire = dict[str, Any]


@dataclass
class Truth:
    """What a tracker knows at the end."""

    slots: dict[str, Any] = field(default_factory=dict)
    action: str | None = None
    loop: str | None = None


class Talk:
    """One conversation being made up."""

    def __init__(self, sender: str, seed: int, at: float = 1_760_000_000.0) -> None:
        self.sender, self.at = sender, at
        self.random = random.Random(seed)
        self.events: list[Wire] = []
        self.truth = Truth()
        self.number = 0

    def put(self, kind: str, **fields: Any) -> None:
        self.at += self.random.choice((0.001, 0.02, 1.5))
        own = fields.pop("metadata", {})
        ids = {"model_id": MODEL, "assistant_id": ASSISTANT}
        self.events.append({"event": kind, "timestamp": self.at, "metadata": {**own, **ids}, **fields})

    def act(self, name: str, policy: str | None = "RulePolicy", confidence: float | None = 1.0) -> None:
        fields = {"name": name, "policy": policy, "confidence": confidence}
        self.put("action", **fields, action_text=None, hide_rule_turn=self.random.random() < 0.2)
        self.truth.action = name

    def listen(self) -> None:
        self.act("action_listen", self.random.choice(("RulePolicy", "MemoizationPolicy", None)))

    def slot(self, name: str, value: Any) -> None:
        self.put("slot", name=name, value=value)
        self.truth.slots[name] = value

    def loop(self, name: str | None) -> None:
        self.put("active_loop", name=name)
        self.truth.loop = name

    def say(self, text: str | None, **data: Any) -> None:
        names = ("elements", "quick_replies", "buttons", "attachment", "image", "custom")
        held = {name: data.get(name) for name in names}
        self.put("bot", text=text, data=held, metadata={"utter_action": "utter_" + str(self.number)})

    def session(self) -> None:
        self.act("action_session_start", None, None)
        self.put("session_started")
        self.truth = Truth(action=self.truth.action)
        if self.random.random() < 0.5:
            self.slot("session_started_metadata", {"page": "home"})
        self.act("action_listen", None, None)

    def user(self, intent: str, text: str = "", entities: tuple[Wire, ...] = (), channel: str = "rest") -> None:
        self.number += 1
        score = round(self.random.uniform(0.6, 1.0), 6)
        ranking: list[Wire] = [{"name": intent, "confidence": score}]
        ranking += [{"name": name, "confidence": round((1 - score) / 9, 6)} for name in INTENTS if name != intent]
        said = text or f"{intent} number {self.number}"
        parsed: Wire = {
            "intent": {"name": intent, "confidence": score}, "entities": list(entities), "text": said,
            "message_id": f"{self.sender}-{self.number}", "metadata": {}, "text_tokens": [[0, len(said)]],
            "intent_ranking": ranking, "response_selector": {"all_retrieval_intents": []},
        }  # fmt: skip
        fields = {"text": said, "parse_data": parsed, "input_channel": channel}
        self.put("user", **fields, message_id=f"{self.sender}-{self.number}")

    def heard(self) -> None:
        self.put("user_featurization", use_text_for_featurization=False)

    def form(self) -> None:
        """A form with a corrected slot, an unhappy path and a rejected run."""
        self.user("report", "my [laptop] broke", (_entity("device", "laptop", 4, 10),))
        self.slot("device", "laptop")
        self.heard()
        self.act("problem_form")
        self.loop("problem_form")
        self.slot("requested_slot", "tag")
        self.say("Which tag?", buttons=[{"title": "Skip", "payload": "/deny"}])
        self.listen()
        self.user("thank")
        self.heard()
        self.put("action_execution_rejected", name="problem_form", policy="RulePolicy", confidence=1.0)
        self.act("utter_welcome", "MemoizationPolicy", 0.93)
        self.say("You are welcome.")
        self.act("problem_form")
        self.slot("requested_slot", "tag")
        self.listen()
        self.user("inform", "LT-2041", (_entity("tag", "LT-2041", 0, 7),))
        self.slot("tag", "LT-2041")
        self.heard()
        self.act("problem_form")
        self.slot("tag", self.random.choice(("LT-2041", None, 17, ["a", "b"], {"deep": [1, None]})))
        if self.random.random() < 0.5:
            self.slot("requested_slot", None)
            self.loop(None)
            self.act("action_open_ticket", "RulePolicy")
            self.slot("ticket", f"HD-{self.random.randint(1000, 9999)}")
            self.say(None, image="https://example.com/done.png")
        self.listen()

    def remind(self) -> None:
        """A reminder that comes due, and one that is taken back."""
        self.user("affirm", "/affirm")
        self.heard()
        self.act("action_set_reminder")
        name, due = f"look-{self.number}", "2026-03-01T09:00:00.123456+01:00"
        reminder = {"intent": "EXTERNAL_check", "date_time": due, "entities": None, "name": name}
        self.put("reminder", **reminder, kill_on_user_msg=False)
        self.put("cancel_reminder", name=name, intent=None, entities=None)
        self.listen()
        self.external("EXTERNAL_check")

    def external(self, intent: str) -> None:
        self.number += 1
        parsed: Wire = {"intent": {"name": intent}, "entities": [], "text": f"EXTERNAL: {intent}", "metadata": {}}
        id_ = f"{self.sender}-{self.number}"
        parsed |= {"message_id": id_, "intent_ranking": [{"name": intent, "confidence": 1.0}]}
        fields = {"text": f"EXTERNAL: {intent}", "parse_data": parsed, "input_channel": "rest", "message_id": id_}
        self.put("user", **fields, metadata={"is_external": True})
        self.heard()
        self.act("action_ask_if_solved")
        self.say("Is it solved?", custom={"type": "rating"})
        self.listen()

    def reset(self) -> None:
        """All slots are emptied, and the bot is asked for what comes next."""
        self.user("deny")
        self.heard()
        self.act("action_forget")
        self.put("reset_slots")
        self.truth.slots = {}
        self.put("followup", name="utter_forgot")
        self.act("utter_forgot", "RulePolicy")
        self.say("Forgotten.", quick_replies=[{"content_type": "text", "title": "ok", "payload": "/affirm"}])
        self.listen()

    def restart(self) -> None:
        self.user("thank", "/restart")
        self.heard()
        self.act("action_restart")
        self.put("restart")
        self.truth = Truth(action=None)
        self.session()

    def odd(self) -> None:
        """Things that a store of some bots holds."""
        self.user("inform")
        self.heard()
        self.act("action_odd", "TEDPolicy", 0.41)
        self.put("agent", text="a person speaks", data={"by": "desk"})
        self.put("pause")
        self.put("resume")
        self.put("a_plugin_event", payload={"any": ["thing", 1.5, None]})
        self.say('Text with an emoji 🦉 and a "quote"\nand a second line', elements=[{"title": "Card"}])
        self.listen()


def _entity(kind: str, value: str, start: int, end: int) -> Wire:
    found = {"entity": kind, "start": start, "end": end, "value": value, "extractor": "DIETClassifier"}
    return {**found, "confidence_entity": 0.98, "processors": ["EntitySynonymMapper"]}


def made_up(number: int, turns: int = 6) -> Talk:
    """A conversation of this many episodes; the same number gives the same one."""
    talk = Talk(f"user/{number}" if number % 7 == 0 else f"user-{number}", number, 1_760_000_000.0 + 60 * number)
    talk.session()
    for _ in range(turns):
        talk.random.choice((talk.form, talk.form, talk.remind, talk.reset, talk.restart, talk.odd, talk.session))()
    return talk


def store(path: Path, talks: list[Talk], collation: str = "BINARY") -> str:
    """Write conversations into a Rasa SQL store, their rows mixed as they are when many people talk at once."""
    rows = [(event["timestamp"], talk.sender, event) for talk in talks for event in talk.events]
    rows.sort(key=lambda row: row[0])
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA.replace("NOT NULL,", f"NOT NULL COLLATE {collation},", 1))
    connection.executemany(
        "INSERT INTO events (sender_id, type_name, timestamp, intent_name, action_name, data)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (sender, event["event"], event["timestamp"], _intent(event), event.get("name"), json.dumps(event))
            for _, sender, event in rows
        ],
    )
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def _intent(event: Wire) -> str | None:
    name: str | None = (event.get("parse_data") or {}).get("intent", {}).get("name")
    return name
