"""The shop's own actions, on a small SQLite database that `orders.sql` fills on first use.

Rules of this file:
- Orders never change. What a customer does in a chat becomes a row of `requests`, and an order is shown with the
  requests of the same conversation applied. So every visitor and every test finds the same shop.
- A call that writes runs in one short transaction and stores its result under the call's key: when the same call comes
  again after a crash, nothing is done twice and the answer is the same.
- Dates in `orders.sql` are as seen from `REFERENCE`. They are moved by whole weeks to the time of the call.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import JsonValue

from bot.actions import ActionCall, ActionResult, action

HERE = Path(__file__).resolve().parent
DATABASE = HERE / ".bot" / "orders.db"
REFERENCE = date(2026, 11, 20)
RETURN_DAYS = 30
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Slots = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the conversation that asks for it sees it; dates are moved to the present, amounts are euro cents."""

    order_id: str
    placed: date
    state: str
    city: str
    total: int
    items: str
    shipped: date | None
    delivered: date | None
    came_back: date | None
    refunded: date | None
    requested: frozenset[str]


# --- the database ------------------------------------------------------------------------------------------------


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """One transaction on the order database, which is made when it is not there."""
    DATABASE.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(DATABASE, timeout=5.0, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("BEGIN IMMEDIATE")
        _create(db)
        yield db
        db.execute("COMMIT")


def _create(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA user_version").fetchone()[0]:
        return
    for statement in (HERE / "orders.sql").read_text(encoding="utf-8").split(";\n"):
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")


def _once(call: ActionCall, work: Callable[[sqlite3.Connection], Slots]) -> ActionResult:
    """Do `work` and remember its result, or give the remembered result of the same call."""
    with _database() as db:
        row = db.execute("SELECT result FROM done WHERE key = ?", (call.key,)).fetchone()
        if row is None:
            slots = work(db)
            db.execute("INSERT INTO done (key, result) VALUES (?, ?)", (call.key, json.dumps(slots)))
        else:
            slots = json.loads(row["result"])
    return ActionResult(slots=slots)


def _request(db: sqlite3.Connection, call: ActionCall, kind: str, detail: str, order_id: str | None = None) -> int:
    """File a request; its number."""
    cursor = db.execute(
        "INSERT INTO requests (conversation, kind, order_id, detail, at) VALUES (?, ?, ?, ?, ?)",
        (call.conversation, kind, order_id, detail, call.now),
    )
    return int(cursor.lastrowid or 0)


def _find(db: sqlite3.Connection, call: ActionCall, slot: str = "order_id") -> Order | None:
    """The order that a slot names."""
    order_id = _text(call, slot)
    row = db.execute("SELECT * FROM orders WHERE order_id = ?", (order_id,)).fetchone()
    if row is None:
        return None
    lines = db.execute("SELECT product, quantity, price FROM lines WHERE order_id = ?", (order_id,)).fetchall()
    kinds = db.execute(
        "SELECT DISTINCT kind FROM requests WHERE conversation = ? AND order_id = ?", (call.conversation, order_id)
    ).fetchall()
    return _order(row, lines, frozenset(kind["kind"] for kind in kinds), _shift(call.now))


def _order(row: sqlite3.Row, lines: list[sqlite3.Row], requested: frozenset[str], shift: timedelta) -> Order:
    def moved(name: str) -> date | None:
        return date.fromisoformat(row[name]) + shift if row[name] else None

    return Order(
        order_id=row["order_id"],
        placed=date.fromisoformat(row["placed"]) + shift,
        state="cancelled" if "cancel" in requested else row["state"],
        city=row["city"],
        total=row["shipping"] + sum(line["quantity"] * line["price"] for line in lines),
        items="; ".join(f"{line['quantity']} x {line['product']}" for line in lines),
        shipped=moved("shipped"),
        delivered=moved("delivered"),
        came_back=moved("came_back"),
        refunded=moved("refunded"),
        requested=requested,
    )


# --- dates, times, words -----------------------------------------------------------------------------------------


def _today(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()


def _shift(now: float) -> timedelta:
    """Whole weeks from `REFERENCE` to now, so that weekdays stay what they are."""
    return timedelta(weeks=(_today(now) - REFERENCE).days // 7)


def _text(call: ActionCall, slot: str) -> str:
    return str(call.slots.get(slot) or "").strip()


def _said(day: date | None) -> str | None:
    return None if day is None else f"{WEEKDAYS[day.weekday()].capitalize()} {day.day} {day:%B}"


def _money(cents: int) -> str:
    return f"€{cents / 100:.2f}"


def _day(text: str, today: date) -> date | None:
    """The day that an ISO date, "today", "tomorrow" or a weekday means."""
    words = text.lower()
    try:
        return date.fromisoformat(words[:10])
    except ValueError:
        pass
    if "today" in words:
        return today
    if "tomorrow" in words:
        return today + timedelta(days=1)
    for number, name in enumerate(WEEKDAYS):
        if name in words:
            return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)
    return None


_CLOCK = re.compile(r"(?:^|[T\s])(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2})?\s*(am|pm|a\.m\.|p\.m\.)?", re.IGNORECASE)


def _clock(text: str) -> str | None:
    """The half hour "HH:MM" in which a time such as "15:00", "3pm" or an ISO date and time lies."""
    match = _CLOCK.search(text.split("T")[-1])
    if match is None:
        return None
    hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
    if half.startswith("p") and hour < 12:
        hour += 12
    return f"{hour:02d}:{30 if minute >= 30 else 0:02d}" if hour < 24 and minute < 60 else None


# --- looking things up -------------------------------------------------------------------------------------------


def _expected(order: Order, today: date) -> date | None:
    """When a shipped order should arrive: three days after it left, tomorrow at the earliest, never on a Sunday."""
    if order.shipped is None or order.delivered is not None:
        return None
    day = max(order.shipped + timedelta(days=3), today + timedelta(days=1))
    return day + timedelta(days=1) if day.weekday() == 6 else day


def _described(order: Order, now: float) -> Slots:
    return {
        "order_found": True,
        "found_order": order.order_id,
        "order_state": order.state,
        "order_items": order.items,
        "order_city": order.city,
        "order_total": _money(order.total),
        "order_placed": _said(order.placed),
        "order_delivered": _said(order.delivered),
        "order_expected": _said(_expected(order, _today(now))),
        "can_change": order.state in ("placed", "packed"),
        "tracking_url": f"https://kettle.example/track/{order.order_id}",
    }


@action("action_find_order")
def find_order(call: ActionCall) -> ActionResult:
    """Look an order up and describe it in slots; `order_found` tells whether there is one."""
    with _database() as db:
        order = _find(db, call)
    return ActionResult(slots={"order_found": False} if order is None else _described(order, call.now))


def _return_state(order: Order, today: date) -> str:
    if order.state == "returned" or "return" in order.requested:
        return "already"
    if order.state == "cancelled":
        return "cancelled"
    if order.delivered is None:
        return "not_delivered"
    return "allowed" if (today - order.delivered).days <= RETURN_DAYS else "too_late"


@action("action_check_return")
def check_return(call: ActionCall) -> ActionResult:
    """Tell in slot `return_state` whether the order may still be sent back."""
    with _database() as db:
        order = _find(db, call)
    if order is None:
        return ActionResult(slots={"order_found": False})
    return ActionResult(slots={**_described(order, call.now), "return_state": _return_state(order, _today(call.now))})


def _refund(order: Order) -> Slots:
    state = "none_due"
    if order.refunded is not None:
        state = "paid"
    elif order.came_back is not None:
        state = "checking"
    elif order.state == "cancelled":
        state = "cancelled"
    elif "return" in order.requested:
        state = "waiting"
    due = order.came_back + timedelta(days=7) if order.came_back else None
    return {"refund_state": state, "refund_day": _said(order.refunded or due)}


@action("action_refund_status")
def refund_status(call: ActionCall) -> ActionResult:
    """Tell in slot `refund_state` where the money for an order is."""
    with _database() as db:
        order = _find(db, call)
    return ActionResult(
        slots={"order_found": False} if order is None else {**_described(order, call.now), **_refund(order)}
    )


# --- doing things ------------------------------------------------------------------------------------------------


@action("action_open_return")
def open_return(call: ActionCall) -> ActionResult:
    """Register a return; `return_code` is what the customer writes on the parcel."""

    def work(db: sqlite3.Connection) -> Slots:
        order = _find(db, call)
        if order is None or _return_state(order, _today(call.now)) != "allowed":
            return {"return_state": "refused"}
        detail = f"{_text(call, 'return_reason')} / {_text(call, 'return_wish') or 'refund'}"
        number = _request(db, call, "return", detail, order.order_id)
        return {"return_state": "opened", "return_code": f"R{order.order_id}-{number}"}

    return _once(call, work)


@action("action_change_address")
def change_address(call: ActionCall) -> ActionResult:
    """Note a new delivery address, as long as the parcel is still with us."""

    def work(db: sqlite3.Connection) -> Slots:
        order = _find(db, call, "found_order")
        if order is None or order.state not in ("placed", "packed"):
            return {"address_changed": False}
        _request(db, call, "address", _text(call, "new_address"), order.order_id)
        return {"address_changed": True}

    return _once(call, work)


@action("action_cancel_order")
def cancel_order(call: ActionCall) -> ActionResult:
    """Cancel an order, as long as the parcel is still with us."""

    def work(db: sqlite3.Connection) -> Slots:
        order = _find(db, call)
        if order is None or order.state not in ("placed", "packed"):
            return {"order_cancelled": False}
        _request(db, call, "cancel", "by the customer", order.order_id)
        return {"order_cancelled": True, "order_state": "cancelled"}

    return _once(call, work)


@action("action_send_invoice")
def send_invoice(call: ActionCall) -> ActionResult:
    """Put a copy of the invoice into the outbox for the address in slot `email`."""

    def work(db: sqlite3.Connection) -> Slots:
        order = _find(db, call)
        if order is None:
            return {"invoice_sent": False}
        _request(db, call, "invoice", _text(call, "email"), order.order_id)
        return {"invoice_sent": True}

    return _once(call, work)


@action("action_file_complaint")
def file_complaint(call: ActionCall) -> ActionResult:
    """Write a complaint down for the person who takes over."""

    def work(db: sqlite3.Connection) -> Slots:
        number = _request(db, call, "complaint", _text(call, "complaint_details"), _text(call, "order_id") or None)
        return {"complaint_number": f"C{number:04d}"}

    return _once(call, work)


def _call_state(db: sqlite3.Connection, day: date | None, time: str | None, now: float) -> str:
    """Whether a call can be booked: unclear, closed, past, taken or free."""
    if day is None or time is None:
        return "unclear"
    moment = datetime.combine(day, datetime.strptime(time, "%H:%M").time(), UTC)
    if moment.timestamp() <= now:
        return "past"
    if day.weekday() > 4 or not "09:00" <= time <= "17:30":
        return "closed"
    taken = db.execute("SELECT 1 FROM taken_calls WHERE weekday = ? AND time = ?", (day.weekday(), time)).fetchone()
    return "taken" if taken else "free"


@action("action_book_callback")
def book_callback(call: ActionCall) -> ActionResult:
    """Book a half hour for a call-back; `callback_state` tells how it went."""

    def work(db: sqlite3.Connection) -> Slots:
        day, time = _day(_text(call, "callback_date"), _today(call.now)), _clock(_text(call, "callback_time"))
        state = _call_state(db, day, time, call.now)
        if state != "free":
            return {"callback_state": state}
        _request(db, call, "call", f"{day} {time} {_text(call, 'phone')}")
        return {"callback_state": "booked", "callback_when": f"{_said(day)} at {time}"}

    return _once(call, work)
