"""A small team that words answers of three pages, its log, and a search that counts shared words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.core.events import Hit, Recorded
from bot.core.protocols import Hits, Query
from bot.store import SqlStore
from training.gather import read_log
from training.importer import import_file

PAGES = {
    "returns": "You have 30 days to send a kettle back. The label is free.",
    "delivery": "Delivery costs €4.90 for every parcel and takes three days.",
    "hours": "The shop opens at 9:00 and closes at 18:00 on every weekday.",
}
SAID = {
    "returns": ("how do I send the kettle back", "Happy to help! You have 30 days to send a kettle back."),
    "delivery": ("what does delivery cost", "Sure thing! Delivery costs €4.90."),
    "hours": ("when do you open the shop", "Of course! We open at 9:00 on every weekday."),
}
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class WordSearch:
    """A `Retriever` over `PAGES`: the score is the share of the query's longer words that a page holds."""

    name = "words"
    fingerprint = "words"

    def search(self, batch: Sequence[Query]) -> list[Hits]:
        return [self._one(item.text) for item in batch]

    def _one(self, text: str) -> Hits:
        asked = {word.strip("?!.,").lower() for word in text.split() if len(word) > 3}
        scored = [
            (sum(word in page.lower() for word in asked) / max(1, len(asked)), name) for name, page in PAGES.items()
        ]
        hits = tuple(
            Hit(chunk=f"{name}-1", document=name, title=name, text=PAGES[name], score=score)
            for score, name in sorted(scored, reverse=True)
        )
        return Hits(hits=hits, floor=0.3, index="words")


def talk(number: int, *turns: tuple[str, str] | dict[str, Any], days: float = 0.0) -> dict[str, Any]:
    """A conversation in the import format; turns are (speaker, text), or rows of that format."""
    at = BEGIN + timedelta(days=days)
    rows = []
    for place, turn in enumerate(turns):
        plain = turn if isinstance(turn, dict) else {"speaker": turn[0], "text": turn[1]}
        rows.append({**plain, "at": (at + timedelta(seconds=20 * place)).isoformat()})
    return {"id": f"talk-{number}", "channel": "web", "started_at": at.isoformat(), "turns": rows}


def helped(number: int, question: str, answer: str, days: float = 0.0) -> dict[str, Any]:
    """A conversation in which a person answers."""
    return talk(number, ("user", question), ("bot", "A colleague comes."), ("agent", answer), days=days)


def log(folder: Path, talks: Sequence[dict[str, Any]]) -> list[Recorded]:
    """The facts of conversations, through the importer and the store."""
    file, target = folder / "talks.jsonl", folder / "log.db"
    file.write_text("".join(json.dumps(one) + "\n" for one in talks), encoding="utf-8")

    async def run() -> None:
        async with SqlStore(target) as store:
            await import_file(file, store)

    asyncio.run(run())
    return read_log(target)


def many(count: int) -> list[dict[str, Any]]:
    """Conversations about all pages over so many days, no question asked twice in the same words."""
    names = sorted(SAID)
    return [
        helped(n, f"{SAID[names[n % 3]][0]}, question {chr(97 + n // 26)}{chr(97 + n % 26)}", SAID[names[n % 3]][1], n)
        for n in range(count)
    ]
