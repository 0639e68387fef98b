"""Checks the answers to the table form, and keeps the bookings (in memory: it is an example)."""

from __future__ import annotations

import itertools
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.forms import FormValidationAction
from rasa_sdk.types import DomainDict

KITCHENS = ("italian", "indian", "thai", "mexican")
LONGEST_TABLE = 12
NUMBERS = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 1
    )
}
_numbers = itertools.count(1)


def to_number(value: Any) -> int | None:
    """A number of guests, from digits or from an English word; None when it is neither."""
    text = str(value).strip().lower()
    return int(text) if text.isdecimal() else NUMBERS.get(text)


class ValidateTableForm(FormValidationAction):
    """Accepts only what the restaurant can do."""

    def name(self) -> str:
        return "validate_table_form"

    def validate_cuisine(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> dict[str, Any]:
        """One of the four kitchens."""
        kitchen = str(value).lower()
        if kitchen in KITCHENS:
            return {"cuisine": kitchen}
        dispatcher.utter_message(response="utter_no_such_kitchen", cuisine=str(value).capitalize())
        return {"cuisine": None}

    def validate_guests(
        self, value: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict
    ) -> dict[str, Any]:
        """A number that fits the longest table."""
        number = to_number(value)
        if number is not None and 1 <= number <= LONGEST_TABLE:
            return {"guests": number}
        if number is not None:
            dispatcher.utter_message(response="utter_too_many")
        return {"guests": None}


class BookTable(Action):
    """Writes a booking down and gives it a number."""

    def name(self) -> str:
        return "action_book_table"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Set the booking's number."""
        return [SlotSet("booking_number", f"T{next(_numbers):03d}")]


class ForgetBooking(Action):
    """Forgets what was said for a booking that will not be made."""

    def name(self) -> str:
        return "action_forget_booking"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Empty the slots of the form."""
        return [SlotSet(name, None) for name in ("cuisine", "guests", "outdoors", "wishes")]


class MoveBooking(Action):
    """Moves a booking to another time."""

    def name(self) -> str:
        return "action_move_booking"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Nothing to look up in an example: every time is free."""
        return []
