"""Test conversations in customers' words measure what the demo learns: nothing that it learns from says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.scenarios import read_scenarios

SHOP = Path(__file__).parent.parent / "examples" / "shop"


def taught() -> Iterator[str]:
    for path in sorted((SHOP / "data" / "nlu").glob("*.yml")):
        yield from re.findall(r"^\s*- (.+)$", path.read_text(), re.MULTILINE)
    for line in (SHOP / "logs" / "conversations.jsonl").read_text().splitlines():
        yield from (turn["text"] for turn in json.loads(line)["turns"] if turn["speaker"] == "user")


def words(text: str) -> frozenset[str]:
    plain = re.sub(r"\[([^]]+)\]\([^)]*\)|\{[^}]*\}", r"\1", text)
    return frozenset(re.findall(r"[a-z0-9]+", plain.casefold()))


def test_no_test_sentence_of_customers_is_taught_in_nearly_the_same_words() -> None:
    known = [said for text in dict.fromkeys(taught()) if (said := words(text))]
    steps = {step.user for case in read_scenarios(SHOP / "tests" / "customers.yml") for step in case.steps}
    alike = {user: sorted(other) for user in steps if (other := _same(words(user), known)) is not None}
    assert len(steps) > 120
    assert alike == {}


def _same(said: frozenset[str], known: Sequence[frozenset[str]]) -> frozenset[str] | None:
    """A sentence that shares more than two thirds of the words of both."""
    return next((other for other in known if 3 * len(said & other) > 2 * len(said | other)), None)
