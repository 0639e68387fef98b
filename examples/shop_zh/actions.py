"""The one action of the Chinese shop: it looks an order up in `orders.json` and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

from bot.actions import ActionCall, ActionResult, action

ORDERS = Path(__file__).resolve().parent / "orders.json"


@action("action_find_order")
def find_order(call: ActionCall) -> ActionResult:
    """Describe the order in slots; `order_found` tells whether there is one."""
    order = json.loads(ORDERS.read_text(encoding="utf-8")).get(str(call.slots.get("order_id")))
    if order is None:
        return ActionResult(slots={"order_found": False})
    return ActionResult(slots={"order_found": True, "order_state": order["state"], "order_items": order["items"]})
