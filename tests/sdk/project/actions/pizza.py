"""The form's own actions."""

from typing import Any

from rasa_sdk import Action, FormValidationAction, Tracker, ValidationAction
from rasa_sdk.executor import CollectingDispatcher


class ValidateMappings(ValidationAction):
    """Global validation: sizes in small letters, wherever they are said."""

    def validate_size(self, value: Any, dispatcher: Any, tracker: Tracker, domain: dict[str, Any]) -> dict[str, Any]:
        return {"size": str(value).lower()}


class ValidatePizza(FormValidationAction):
    def name(self) -> str:
        return "validate_pizza_form"

    def validate_size(self, value: Any, dispatcher: Any, tracker: Tracker, domain: dict[str, Any]) -> dict[str, Any]:
        if value not in ("small", "large"):
            dispatcher.utter_message(text=f"There is no size {value}.")
            return {"size": None}
        return {"size": value}

    def validate_amount(self, value: Any, dispatcher: Any, tracker: Tracker, domain: dict[str, Any]) -> dict[str, Any]:
        amount = float(value)
        if amount > 10:
            dispatcher.utter_message(text="That is too many.")
            return {"amount": None}
        return {"amount": amount}


class AskAmount(Action):
    def name(self) -> str:
        return "action_ask_pizza_form_amount"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[dict[str, Any]]:
        dispatcher.utter_message(text=f"How many {tracker.get_slot('size')} ones?")
        return []
