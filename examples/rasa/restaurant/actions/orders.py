"""Reads an order out of its entities: the group says which number belongs to which dish."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.types import DomainDict


def summary(entities: list[dict[str, Any]]) -> str:
    """What was ordered, as in "two pizzas, one salad"; a dish without a number counts once."""
    groups: dict[str, dict[str, str]] = {}
    for entity in entities:
        if entity.get("entity") in ("dish", "count"):
            groups.setdefault(entity.get("group") or "1", {})[entity["entity"]] = str(entity["value"])
    items = (f"{found.get('count', 'one')} {found['dish']}" for _, found in sorted(groups.items()) if "dish" in found)
    return ", ".join(items)


class TakeOrder(Action):
    """Writes an order down."""

    def name(self) -> str:
        return "action_take_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: DomainDict) -> list[dict[str, Any]]:
        """Set the summary of the order."""
        entities = (tracker.latest_message or {}).get("entities") or []
        return [SlotSet("order_summary", summary(entities) or "nothing yet")]
