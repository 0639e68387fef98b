"""What tells who people are is found in ordinary messages, and ordinary messages are left alone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.pii_samples import MAKERS, samples
from benchmarks.privacy import bounds, found
from training.pii import find, is_iban, luhn

ENOUGH = 370
"""With so many values and none missed, the exact lower bound of recall is 0.99."""


@pytest.mark.parametrize("kind", list(MAKERS))
def test_recall_is_99_percent_with_its_exact_bound(kind: str) -> None:
    missed = [sample.text for sample in samples(kind, ENOUGH, seed=0) if not found(sample)[0]]
    assert bounds(ENOUGH - len(missed), ENOUGH)[0] >= 0.99, missed


@pytest.mark.parametrize(
    "text",
    [
        "where is my parcel?",
        "I ordered it on 2026-03-12 at 10:30 for $1,299.00, 2 pieces",
        "the 1800 w kettle with 1.5 l, model TK-200, from 2025",
        "My name is wrong on the order",
        "call me back tomorrow please",
        "I waited 3 weeks in a long road of mails",
        "is it 20% off, or 15 euros less?",
        "I'm happy with it and my password is wrong",
        "a 10000mah battery",
        "2 cups on the way to Ghent",
        "我想买两个杯子，3天内能到吗",
    ],
)
def test_ordinary_messages_are_left_alone(text: str) -> None:
    assert find(text) == []


def test_checksums_decide_about_the_kind_and_a_wrong_digit_hides_nothing() -> None:
    right, wrong = find("pay 4111 1111 1111 1111 now"), find("pay 4111 1111 1111 1112 now")
    assert ([item.kind for item in right], [item.kind for item in wrong]) == (["CARD"], ["NUMBER"])
    assert (wrong[0].start, wrong[0].end) == (4, 23)
    assert is_iban("DE89 3704 0044 0532 0130 00") and not is_iban("DE88 3704 0044 0532 0130 00")
    assert luhn([0]) and not luhn([1])


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "a@", "12 baker ", "address: 1a ", "12-", "中路1", "A1-", ":", "call 12 "]
)
def test_long_odd_messages_come_to_an_end(piece: str) -> None:
    found = find(piece * (20_000 // len(piece)), ("US", "GB", "CN"))
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_findings_lie_in_the_text_in_order(text: str) -> None:
    places = [edge for item in find(text) for edge in (item.start, item.end)]
    assert places == sorted(places) and all(0 <= place <= len(text) for place in places)
