"""Tickets after they were opened: their state, looking back later, news from outside."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ReminderCancelled, ReminderScheduled, SlotSet
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.interfaces import ActionExecutionRejection
from rasa_sdk.types import DomainDict

from actions.service import Away, call

REMINDER = "look_back"


class FindTicket(Action):
    """Reads a ticket's state."""

    def name(self) -> str:
        return "action_find_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Set the state; `ticket_found` stays empty when the service is away."""
        try:
            found = await call("GET", f"/tickets/{tracker.get_slot('ticket')}")
        except Away:
            return [SlotSet("ticket_found", None)]
        return [SlotSet("state", found["state"] if found else None), SlotSet("ticket_found", found is not None)]


class SetReminder(Action):
    """Asks again later."""

    def name(self) -> str:
        return "action_set_reminder"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Set a reminder; how long it waits is LOOK_BACK_SECONDS, a day if it is not set."""
        due = datetime.now().astimezone() + timedelta(seconds=float(os.environ.get("LOOK_BACK_SECONDS", "86400")))
        return [ReminderScheduled("EXTERNAL_check_back", due, name=REMINDER, kill_on_user_message=False)]


class ForgetReminder(Action):
    """Does not ask again."""

    def name(self) -> str:
        return "action_forget_reminder"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Cancel the reminder."""
        return [ReminderCancelled(name=REMINDER)]


class AskIfSolved(Action):
    """Asks whether the ticket is solved."""

    def name(self) -> str:
        return "action_ask_if_solved"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Ask, if there is a ticket to ask about."""
        if not tracker.get_slot("ticket"):
            raise ActionExecutionRejection(self.name())
        dispatcher.utter_message(response="utter_solved")
        return []


class CloseTicket(Action):
    """Closes the ticket at the service."""

    def name(self) -> str:
        return "action_close_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Close it; say so when the service is away."""
        try:
            closed = await call("POST", f"/tickets/{tracker.get_slot('ticket')}/close")
        except Away:
            dispatcher.utter_message(response="utter_service_away")
            return []
        return [SlotSet("state", closed["state"] if closed else None)]


class WhoIsOnDuty(Action):
    """Reads who is on duty."""

    def name(self) -> str:
        return "action_who_is_on_duty"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Set the team's name."""
        try:
            found = await call("GET", "/duty")
        except Away:
            found = None
        return [SlotSet("on_duty", found["on_duty"] if found else "somebody, I cannot see who")]


class TellChange(Action):
    """Tells what the ticket service reported from outside."""

    def name(self) -> str:
        return "action_tell_change"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Say the news; the ticket and its state came as entities."""
        dispatcher.utter_message(response="utter_changed")
        return []
