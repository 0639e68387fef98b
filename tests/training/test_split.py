"""The split leaks nothing, for any rows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from training.examples import OOS, IntentExample, SlotExample
from training.split import SplitOptions, clean, key, normalise, position, split

WORDS = st.lists(st.sampled_from(["where", "is", "my", "order", "Order!", "48213", "7", "你好", "?"]), max_size=5)
ROWS = st.lists(st.builds(lambda words, intent: IntentExample(" ".join(words), intent), WORDS, st.sampled_from("abc")))
OPTIONS = SplitOptions(share=0.4)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_near_duplicates_never_straddle(rows: list[IntentExample]) -> None:
    found = split(rows, OPTIONS)
    assert not {key(row.text) for row in found.train} & {key(row.text) for row in found.held_out}
    assert len(found.train) + len(found.held_out) == len(rows)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_every_label_keeps_rows_to_train_on(rows: list[IntentExample]) -> None:
    found = split(rows, OPTIONS)
    trained = [row.intent for row in found.train]
    for label in {row.intent for row in rows}:
        assert trained.count(label) >= min(2, [row.intent for row in rows].count(label))


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS)
def test_more_rows_never_move_a_trained_row_to_the_held_out_side(
    old: list[IntentExample], new: list[IntentExample]
) -> None:
    plenty = [IntentExample(f"text {'x' * number}", intent) for number in range(30) for intent in "abc"]
    options = SplitOptions(share=0.4, most=20)
    before, after = split([*plenty, *old], options), split([*plenty, *old, *new], options)
    assert not set(before.train) & set(after.held_out)


def test_the_side_is_a_function_of_text_and_salt() -> None:
    assert position("Where is order 4711?", "s") == position("where IS order 0815", "s")
    assert position("Where is order 4711?", "s") != position("Where is order 4711?", "t")
    assert round(position("where is my order", "held-out-1"), 6) == 0.957157


def test_about_the_share_asked_for_is_held_out() -> None:
    rows = [
        IntentExample(f"word{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10 % 10]}{'uvwxyzABCD'[n // 100]}", "a")
        for n in range(1000)
    ]
    assert 150 < len(split(rows, SplitOptions(share=0.2)).held_out) < 250
    assert 20 < len(split(rows, SplitOptions(share=0.2, most=50)).held_out) < 90


def test_a_label_without_held_out_rows_is_named() -> None:
    rows = [IntentExample("only one of these", "rare"), IntentExample("unique text here", "rare")]
    assert split(rows, SplitOptions(share=1.0)).unmeasured == ("rare",)


def test_out_of_scope_rows_need_no_training_side() -> None:
    found = split([IntentExample("the weather", OOS)], SplitOptions(share=1.0))
    assert [row.intent for row in found.held_out] == [OOS]


def test_normalising_drops_case_signs_and_digits() -> None:
    assert normalise("  Ordér 4711, PLEASE! ") == "ordér 0000 please"
    assert normalise("?!") == "?!"
    assert key("b a b") == "a b"


def test_repetitions_go_and_conflicts_are_named() -> None:
    rows = [IntentExample("hi there", "greet"), IntentExample("Hi  there", "greet"), IntentExample("hi there", "bye")]
    found = clean(rows)
    assert [row.intent for row in found.rows] == ["greet", "bye"]
    assert found.repeated == 1
    assert [(one.intent, other.intent) for one, other in found.conflicts] == [("greet", "bye")]


def test_slot_rows_with_other_tags_are_no_repetition() -> None:
    rows = [SlotExample(("to", "Oslo"), ("O", tag), "fly") for tag in ("B-to", "B-to", "B-city")]
    assert len(clean(rows).rows) == 2
