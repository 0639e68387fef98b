"""What the log keeps of an understanding."""

from __future__ import annotations

from dataclasses import fields

from bot.core.findings import Entity, Scored
from bot.core.protocols import Understanding

CITY = Entity(type="city", value="rome", text="Rome", start=3, end=7)


def test_the_log_keeps_all_of_an_understanding_but_its_vector() -> None:
    whole = Understanding(
        "to Rome", "it", True, (Scored(name="fly", score=0.9),), 0.8, 0.5, (CITY,), "b1", vector=[1.0]
    )
    fact = whole.as_fact()
    kept = [field.name for field in fields(Understanding) if field.name != "vector"]
    assert {name: getattr(fact, name) for name in kept} == {name: getattr(whole, name) for name in kept}
    assert "vector" not in fact.model_dump()
