"""Writes conversations.jsonl: what an older bot of the shop talked about with its customers, in the import format; and
people/agents.jsonl: what people of the shop answered, which is what a generator learns their voice from.

    python examples/shop/logs/make_logs.py

The conversations of written.txt come first, then others are put together from phrasings.yml: every sentence there is
used once at most, the old bot mistakes some questions for related ones, and customers rate, rephrase, get angry,
ask for a person or leave. People later corrected what the bot had taken a sentence for. The same input gives the same
bytes. The conversations of people/agents.jsonl come from agents.txt, one or two questions of a page in each.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).resolve().parent
TARGET = HERE / "conversations.jsonl"
AGENTS_TARGET = HERE / "people" / "agents.jsonl"
COUNT = 300
START = datetime(2026, 8, 3, 7, 30, tzinfo=UTC)
ORDERS = ("48101", "48127", "48153", "48166", "48180", "48190", "48197", "48202", "48213", "48219", "48234", "48246")
TASKS = ("order_status", "return_item", "refund_status", "change_address", "cancel_order", "invoice_copy")

MISTAKEN = {
    "order_status": "delivery_time",
    "return_item": "returns_policy",
    "refund_status": "order_status",
    "change_address": "order_status",
    "cancel_order": "cancel",
    "complaint": "angry",
    "invoice_copy": "order_status",
    "callback_appointment": "opening_hours",
    "shipping_cost": "delivery_time",
    "delivery_time": "order_status",
    "ship_abroad": "shipping_cost",
    "returns_policy": "return_item",
    "warranty": "repair_service",
    "repair_service": "kettle_trouble",
    "payment_methods": "refund_status",
    "gift_card": "discount_code",
    "discount_code": "gift_card",
    "loyalty_points": "discount_code",
    "subscription": "cancel_order",
    "stock_check": "product_compare",
    "product_compare": "stock_check",
    "descale_kettle": "care_cleaning",
    "kettle_trouble": "warranty",
    "brew_tea": "brew_coffee",
    "brew_coffee": "brew_tea",
    "care_cleaning": "descale_kettle",
    "recycling": "returns_policy",
    "opening_hours": "delivery_time",
    "account_login": "privacy_data",
    "privacy_data": "account_login",
    "wholesale": "discount_code",
    "bot_challenge": "talk_to_person",
    "nothing_of_ours": "product_compare",
}
"""What the old bot took a sentence for when it was wrong."""

AGENTS = (
    "Hello, a real person here. I have looked into it and put it right, you get a mail in a minute.",
    "Sorry for the trouble. I have sent this to our warehouse and will write to you tomorrow before noon.",
    "Good morning! I can see what happened. It was our mistake, and it costs you nothing.",
    "Thanks for waiting. I have done it for you just now.",
    "I have called the parcel service. They will come once more tomorrow.",
    "Let me answer that: yes, it is possible, and I have noted it on your order.",
    "I understand. I have asked our workshop, they need a photo of the underside first.",
    "You are right, the page is wrong there. I have told my colleagues and given you the better price.",
)
PASSED_ON = "A colleague is with you in a moment."
REASONS = ("wrong topic", "did not answer", "", "not what I asked", "too long", "")

Turn = dict[str, Any]


class Writer:
    """Puts conversations together. `left` holds the sentences of each intent that are still unused."""

    def __init__(self, pools: dict[str, dict[str, list[str]]], seed: int = 20) -> None:
        self.chance = random.Random(seed)
        self.replies = {intent: pool["reply"] for intent, pool in pools.items()}
        self.pools = {intent: pool["ask"] for intent, pool in pools.items()}
        self.left = {intent: self.chance.sample(asks, len(asks)) for intent, asks in self.pools.items()}

    def has(self, intent: str, count: int = 2) -> bool:
        """Whether enough unused sentences are left for a question and a second try."""
        return len(self.left[intent]) >= count

    def text(self, intent: str) -> str:
        """An unused sentence; small talk may come again, as it does between people."""
        text = self.left[intent].pop() if self.left[intent] else self.chance.choice(self.pools[intent])
        return text.replace("{order}", self.chance.choice(ORDERS))

    def reply(self, intent: str) -> str:
        return self.chance.choice(self.replies[intent])

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability


def user(text: str, taken_for: str, meant: str | None = None) -> Turn:
    turn: Turn = {"speaker": "user", "text": text, "intent": _label(taken_for)}
    return turn if meant is None else {**turn, "correction": {"intent": _label(meant)}}


def _label(intent: str) -> str:
    return "out_of_scope" if intent == "nothing_of_ours" else intent


def bot(text: str, rating: int | None = None, reason: str = "") -> Turn:
    turn: Turn = {"speaker": "bot", "text": text}
    if rating is not None:
        turn["rating"] = rating
    return {**turn, "reason": reason} if reason else turn


def understood(writer: Writer, intent: str) -> list[Turn]:
    """A question that the old bot got right; sometimes rated, sometimes confirmed by a reviewer."""
    rating = 1 if writer.happens(0.4) else None
    meant = intent if writer.happens(0.3) else None
    turns = [user(writer.text(intent), intent, meant), bot(writer.reply(intent), rating)]
    if intent in TASKS and "order number" in turns[-1]["text"]:
        turns += [user(writer.chance.choice(ORDERS), "inform"), bot("Thank you, one moment, please.")]
    return turns


def misunderstood(writer: Writer, intent: str) -> list[Turn]:
    """A question that the old bot took for another one."""
    wrong = MISTAKEN.get(intent, "order_status")
    rating, reason = (-1, writer.chance.choice(REASONS)) if writer.happens(0.55) else (None, "")
    meant = intent if writer.happens(0.9) else None
    return [user(writer.text(intent), wrong, meant), bot(writer.reply(wrong), rating, reason)]


def second_try(writer: Writer, intent: str) -> list[Turn]:
    """The customer says it again, now with success."""
    turns = []
    if writer.happens(0.3):
        turns = [user(writer.text("again"), "deny"), bot(writer.reply("again"))]
    return turns + understood(writer, intent)


def ending(writer: Writer) -> list[Turn]:
    kind = writer.chance.choices(["", "thanks", "goodbye"], [5, 4, 2])[0]
    return [user(writer.text(kind), kind), bot(writer.reply(kind))] if kind else []


def to_person(writer: Writer, angry: bool) -> list[Turn]:
    """The customer has had enough; a person helps."""
    turns = []
    if angry:
        meant = "angry" if writer.happens(0.5) else None
        turns = [user(writer.text("angry"), "angry", meant), bot(writer.reply("angry"))]
    turns += [user(writer.text("talk_to_person"), "talk_to_person"), bot(writer.reply("talk_to_person"))]
    turns.append({"speaker": "agent", "text": writer.chance.choice(AGENTS)})
    return turns + ([user(writer.text("thanks"), "thanks")] if writer.happens(0.6) else [])


def put_together(writer: Writer, intent: str) -> tuple[list[Turn], str]:
    """One conversation about one main wish, and how it ended."""
    turns: list[Turn] = []
    if writer.happens(0.2):
        turns = [user(writer.text("greet"), "greet"), bot(writer.reply("greet"))]
    if intent == "nothing_of_ours":
        turns += misunderstood(writer, intent)
        return turns, "abandoned"
    if intent == "talk_to_person":
        return turns + to_person(writer, angry=False), "handed_off"
    fate = writer.chance.choices(["fine", "again", "person", "gone"], [52, 26, 14, 8])[0]
    if fate == "fine":
        return turns + understood(writer, intent) + ending(writer), "resolved"
    turns += misunderstood(writer, intent)
    if fate == "again":
        return turns + second_try(writer, intent) + ending(writer), "resolved"
    if fate == "person":
        return turns + to_person(writer, angry=writer.happens(0.4)), "handed_off"
    if writer.happens(0.3):
        turns += [user(writer.text("cancel"), "cancel"), bot(writer.reply("cancel"))]
    return turns, "abandoned"


def topics(writer: Writer) -> Iterator[str]:
    """The main wishes in a varied order, as long as there are sentences for them."""
    wishes = [name for name in writer.pools if name in MISTAKEN or name == "talk_to_person"]
    while ready := [name for name in wishes if writer.has(name)]:
        yield from writer.chance.sample(ready, len(ready))
    raise SystemExit("phrasings.yml has too few sentences for the conversations wanted")


def written(text: str) -> Iterator[tuple[list[Turn], str]]:
    """The conversations of written.txt; its first lines say how they are written."""
    for block in text.split("\n== ")[1:]:
        outcome, _, body = block.partition("\n")
        yield [_written_turn(line) for line in body.splitlines() if line.strip()], outcome.strip()


def _written_turn(line: str) -> Turn:
    head, _, text = line.partition(" | ")
    speaker, _, rest = head.partition(" ")
    if speaker == "u":
        taken_for, _, meant = rest.partition(" > ")
        return user(text, taken_for, meant or None)
    if speaker == "a":
        return {"speaker": "agent", "text": text}
    sign, _, reason = rest.partition(" ")
    return bot(text, {"+": 1, "-": -1}.get(sign), reason)


def dated(chance: random.Random, number: int, turns: list[Turn], every: float = 8.7) -> Iterator[Turn]:
    """The turns with their times: people need longer than the bot, and the shop's people do not work at night.

    `every` is the hours between conversations.
    """
    at = START + timedelta(hours=number * every, seconds=chance.randrange(20_000))
    if any(turn["speaker"] == "agent" for turn in turns):
        at = at.replace(hour=9 + number % 7) + timedelta(days=at.weekday() == 6)
    for turn in turns:
        at += timedelta(seconds=1 if turn["speaker"] == "bot" else chance.randrange(6, 90))
        yield {"speaker": turn["speaker"], "text": turn["text"], "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), **turn}


def lines() -> Iterator[str]:
    """The rows of the file."""
    pools = YAML(typ="safe").load((HERE / "phrasings.yml").read_text(encoding="utf-8"))
    writer = Writer(pools)
    talks = list(written((HERE / "written.txt").read_text(encoding="utf-8")))
    wishes = topics(writer)
    while len(talks) < COUNT:
        talks.append(put_together(writer, next(wishes)))
    for number, (turns, outcome) in enumerate(talks, 1):
        timed = list(dated(writer.chance, number, turns))
        channel = writer.chance.choice(["web", "web", "web", "slack"])
        row = {"id": f"old-{number:04d}", "channel": channel, "started_at": timed[0]["at"]}
        yield json.dumps({**row, "turns": timed, "outcome": outcome}, ensure_ascii=False) + "\n"


def answered(text: str) -> Iterator[list[tuple[str, str]]]:
    """The questions and answers of each page in agents.txt."""
    for block in text.split("\n# ")[2:]:
        said = [line[2:] for line in block.splitlines()[1:] if line.strip()]
        yield list(zip(said[::2], said[1::2], strict=True))


def with_people(pages: list[list[tuple[str, str]]], chance: random.Random) -> Iterator[list[Turn]]:
    """Conversations in which people answer: one question, or two of a page."""
    talks = []
    for page in pages:
        left = chance.sample(page, len(page))
        while left:
            count = 2 if chance.random() < 0.35 else 1
            talks.append(left[:count])
            left = left[count:]
    for talk in chance.sample(talks, len(talks)):
        turns: list[Turn] = []
        for question, answer in talk:
            turns.append({"speaker": "user", "text": question})
            turns += [] if len(turns) > 1 else [bot(PASSED_ON)]
            turns.append({"speaker": "agent", "text": answer})
        yield turns


def agent_lines() -> Iterator[str]:
    """The rows of agents.jsonl."""
    chance = random.Random(21)
    pages = list(answered((HERE / "agents.txt").read_text(encoding="utf-8")))
    talks = list(with_people(pages, chance))
    for number, turns in enumerate(talks, 1):
        timed = list(dated(chance, number, turns, COUNT * 8.7 / len(talks)))
        row = {"id": f"people-{number:04d}", "channel": "web", "started_at": timed[0]["at"]}
        yield json.dumps({**row, "turns": timed, "outcome": "resolved"}, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    TARGET.write_text("".join(lines()), encoding="utf-8")
    AGENTS_TARGET.write_text("".join(agent_lines()), encoding="utf-8")


if __name__ == "__main__":
    main()
