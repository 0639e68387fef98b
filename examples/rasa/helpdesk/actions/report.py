"""The report of a problem: a form whose questions depend on what is broken."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.forms import FormValidationAction
from rasa_sdk.types import DomainDict

from actions.service import Away, call

TAG = re.compile(r"[A-Za-z]{2}-\d{4}")


class ValidateProblemForm(FormValidationAction):
    """A device has a tag; a program has none."""

    def name(self) -> str:
        return "validate_problem_form"

    async def required_slots(
        self, domain_slots: list[str], dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> list[str]:
        """A program has no tag, and a device is no program."""
        needless = "app" if tracker.get_slot("device") and not tracker.get_slot("app") else "tag"
        return [slot for slot in domain_slots if slot != needless]

    def validate_tag(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> dict[str, Any]:
        """Two letters, a hyphen, four digits."""
        if TAG.fullmatch(str(value)):
            return {"tag": str(value).upper()}
        dispatcher.utter_message(response="utter_bad_tag", tag=str(value))
        return {"tag": None}


class AskDetail(Action):
    """Asks what is wrong, with the name of what is broken."""

    def name(self) -> str:
        return "action_ask_detail"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Ask."""
        broken = tracker.get_slot("app") or tracker.get_slot("device") or "it"
        dispatcher.utter_message(text=f"What is wrong with {broken}? One sentence will do.")
        return []


class OpenTicket(Action):
    """Opens a ticket at the service."""

    def name(self) -> str:
        return "action_open_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Set the ticket's number; when the service is away, say so and keep what was told."""
        body = {
            "about": tracker.get_slot("app") or tracker.get_slot("device"),
            "detail": tracker.get_slot("detail"),
            "urgency": tracker.get_slot("urgency"),
            "tag": tracker.get_slot("tag"),
        }
        try:
            made = await call("POST", "/tickets", body) or {}
        except Away:
            dispatcher.utter_message(response="utter_service_away")
            return [FollowupAction("action_listen")]
        done = [SlotSet(name, None) for name in ("device", "app", "tag", "urgency", "detail")]
        return [SlotSet("ticket", made.get("ticket")), *done]
