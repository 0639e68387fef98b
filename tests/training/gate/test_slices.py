"""Who is affected: parts of the rows are tested, shrunk or left alone by how many there are."""

from __future__ import annotations

from dataclasses import replace

from tests.training.gate.rows import measured, result
from training.evaluate import IntentResult
from training.examples import Origin
from training.gate.slices import check, slices
from training.gate.verdict import Slice


def channel(name: str, both: int, gained: int, lost: int) -> list[tuple[IntentResult, IntentResult]]:
    said = [(True, True)] * both + [(True, False)] * gained + [(False, True)] * lost
    first = {"web": 0, "phone": 1, "sms": 2, "fax": 3}[name] * 2000
    rows = [(result(first + at, new), result(first + at, old)) for at, (new, old) in enumerate(said)]
    origin = Origin(channel=name)
    return [
        (replace(new, row=replace(new.row, origin=origin)), replace(old, row=replace(old.row, origin=origin)))
        for new, old in rows
    ]


def by_channel(*parts: list[tuple[IntentResult, IntentResult]]) -> dict[str, Slice]:
    rows = [row for part in parts for row in part]
    found = slices(*measured(([new for new, _ in rows], [old for _, old in rows])))
    return {item.name: item for item in found if item.kind == "channel"}


def test_a_channel_that_gets_worse_is_found_though_the_whole_gets_better() -> None:
    found = by_channel(channel("web", 800, 60, 5), channel("phone", 230, 0, 20))
    assert (found["web"].state, found["phone"].state) == ("passed", "failed")
    assert (found["phone"].flips, found["phone"].rows) == (20, 250)
    assert check(list(found.values())).state == "failed"


def test_chance_losses_of_many_parts_pass() -> None:
    found = by_channel(*(channel(name, 240, 8 + at, 10 + at) for at, name in enumerate(("web", "phone", "sms"))))
    assert {item.state for item in found.values()} == {"passed"}


def test_few_rows_are_shrunk_and_fewer_say_nothing() -> None:
    found = by_channel(channel("web", 900, 10, 10), channel("phone", 95, 0, 5), channel("sms", 60, 0, 40),
                       channel("fax", 0, 0, 9))  # fmt: skip
    assert {name: item.state for name, item in found.items()} == {
        "web": "passed", "phone": "passed", "sms": "failed", "fax": "insufficient data",
    }  # fmt: skip
    assert found["phone"].p is None and found["phone"].chance is not None
    assert "1 have fewer than 50 rows: insufficient data" in check(list(found.values())).sentence


def test_a_kind_with_one_value_is_left_out() -> None:
    assert by_channel(channel("web", 100, 0, 0)) == {}
