"""Overlapping extractors are settled in one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.events import Entity
from skills.entities_settle import ACROSS_TYPES, SAME_TYPE, overlap, settle


def entity(extractor: str, kind: str, start: int, end: int, role: str | None = None) -> Entity:
    return Entity(type=kind, value="v", text="x" * (end - start), start=start, end=end, role=role, extractor=extractor)


def kept(*entities: Entity) -> list[tuple[str, str, int, int]]:
    return [(item.extractor, item.type, item.start, item.end) for item in settle(entities)]


TABLE = [
    # the same type: the exact value wins
    ("regex", "order", (0, 5), "head", "order", (0, 5), "regex"),
    ("lookup", "city", (0, 8), "head", "city", (0, 13), "lookup"),
    ("date", "date", (3, 9), "head", "date", (0, 9), "date"),
    ("regex", "code", (0, 4), "lookup", "code", (0, 9), "regex"),
    # different types: said exactly, then learned, then seen
    ("regex", "order", (0, 5), "head", "product", (0, 9), "regex"),
    ("lookup", "city", (0, 5), "head", "name", (0, 9), "lookup"),
    ("head", "order", (0, 5), "number", "number", (0, 5), "head"),
    ("head", "when", (0, 15), "date", "date", (0, 8), "head"),
    ("phone", "phone", (0, 12), "head", "order", (0, 12), "phone"),
    ("money", "money", (0, 3), "number", "number", (1, 3), "money"),
    # equal rank: the longer, then the earlier
    ("date", "date", (0, 9), "duration", "duration", (3, 9), "date"),
    ("email", "email", (0, 8), "url", "url", (3, 8), "email"),
]


@pytest.mark.parametrize(("one", "kind", "span", "other", "other_kind", "other_span", "winner"), TABLE)
def test_who_wins(
    one: str, kind: str, span: tuple[int, int], other: str, other_kind: str, other_span: tuple[int, int], winner: str
) -> None:
    first, second = entity(one, kind, *span), entity(other, other_kind, *other_span)
    assert [item.extractor for item in settle([first, second])] == [winner]
    assert settle([first, second]) == settle([second, first])


def test_trap_9_the_same_span_from_three_extractors_is_one_entity() -> None:
    assert kept(*(entity(name, "city", 0, 5) for name in ("head", "lookup", "regex"))) == [("regex", "city", 0, 5)]


def test_the_winner_takes_over_the_learned_role() -> None:
    [winner] = settle([entity("lookup", "city", 0, 6), entity("head", "city", 0, 6, role="from")])
    assert (winner.extractor, winner.role) == ("lookup", "from")


def test_one_learned_thing_is_not_cut_into_entries_of_a_table() -> None:
    brisa, kettle = entity("lookup", "product", 0, 5), entity("lookup", "product", 6, 12)
    assert kept(brisa, kettle, entity("head", "product", 0, 12)) == [("head", "product", 0, 12)]
    assert kept(brisa, kettle) == [("lookup", "product", 0, 5), ("lookup", "product", 6, 12)]


def test_spans_that_only_touch_both_stay() -> None:
    assert kept(entity("head", "a", 0, 3), entity("head", "b", 3, 6)) == [("head", "a", 0, 3), ("head", "b", 3, 6)]


def test_result_is_in_the_order_of_the_text() -> None:
    assert [item.start for item in settle([entity("regex", "a", 9, 12), entity("number", "number", 1, 2)])] == [1, 9]


SPANS = st.builds(
    lambda name, kind, start, size: entity(name, kind, start, start + size),
    st.sampled_from(sorted(ACROSS_TYPES)),
    st.sampled_from("abc"),
    st.integers(0, 15),
    st.integers(1, 6),
)


@given(st.lists(SPANS, max_size=12))
def test_no_two_entities_overlap_and_the_order_of_extractors_does_not_matter(entities: list[Entity]) -> None:
    result = settle(entities)
    assert not any(overlap(one, other) for one in result for other in result if one is not other)
    assert [(item.start, item.end, item.type) for item in settle(reversed(entities))] == [
        (item.start, item.end, item.type) for item in result
    ]


def test_two_extractors_of_one_rank_that_find_the_same_do_not_depend_on_their_order() -> None:
    both = [entity("number", "a", 0, 2), entity("date", "a", 0, 2), entity("number", "b", 1, 4)]
    assert settle(both) == settle(reversed(both))


def test_both_orders_rank_the_same_extractors() -> None:
    assert SAME_TYPE.keys() == ACROSS_TYPES.keys()
