"""Nobody and nothing is on both sides of a split, whatever the data."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from training.sides import AUTHORS, NOT_HUMAN, SAME_CUSTOMER, SAME_WORDS, Place, Sided, SplitOptions, newest, sides

DAY = 86_400.0
OPTIONS = SplitOptions(share=0.4)
LOGGED = st.builds(
    lambda who, cluster, label, human, at: Place(who, cluster, label, author=False, human=human, at=at * DAY + 1),
    *(st.sampled_from([f"{kind}{n}" for n in range(6)]) for kind in ("user", "cluster")),
    st.sampled_from(["a", "b", "oos"]),
    st.booleans(),
    st.integers(0, 90),
)
WRITTEN = st.builds(
    lambda n, label: Place(f"cluster{n}", f"cluster{n}", label), st.integers(0, 9), st.sampled_from("ab")
)
PLACES = st.lists(st.one_of(LOGGED, WRITTEN), max_size=40)
PLENTY = [Place(f"{label} {n}", f"{label} {n}", label) for label in "ab" for n in range(20)]


def divided(places: list[Place]) -> tuple[list[Place], list[Place]]:
    found = list(zip(places, sides(places, OPTIONS, newest(places)), strict=True))
    return [p for p, s in found if s.side == "train"], [p for p, s in found if s.side in ("test", "time")]


@settings(max_examples=30, deadline=None)
@given(PLACES)
def test_no_cluster_and_no_customer_is_on_both_sides(places: list[Place]) -> None:
    train, measure = divided([*PLENTY, *places])
    assert not {place.cluster for place in train} & {place.cluster for place in measure}
    assert not {p.anchor for p in train if not p.author} & {p.anchor for p in measure if not p.author}


@settings(max_examples=30, deadline=None)
@given(PLACES)
def test_only_labels_by_people_measure(places: list[Place]) -> None:
    assert all(place.human for place in divided([*PLENTY, *places])[1])


@settings(max_examples=30, deadline=None)
@given(PLACES)
def test_what_taught_an_earlier_bundle_never_measures(places: list[Place]) -> None:
    taught = [replace(place, taught=True) for place in places]
    found = sides([*PLENTY, *taught], OPTIONS, newest(taught))[len(PLENTY) :]
    assert {one.side for one in found} <= {"train"}


def test_an_author_keeps_the_example_that_a_customer_says_too() -> None:
    hello, said = Place("hello", "hello", "greet"), Place("user", "hello", "greet", author=False)
    salt = next(str(n) for n in range(99) if [one.side for one in _sides([hello, said], str(n))] == ["train", "out"])
    assert _sides([hello, said], salt)[1] == Sided("out", AUTHORS)


def test_of_two_customers_the_one_who_measures_keeps_the_words() -> None:
    both = [Place(name, "same", "greet", author=False) for name in ("one", "two")]
    salt = next(str(n) for n in range(99) if [one.side for one in _sides(both, str(n))] == ["test", "out"])
    assert _sides(both, salt)[1] == Sided("out", SAME_WORDS)


def test_a_guess_on_the_side_that_measures_is_left_out() -> None:
    guess = Place("user", "words", "greet", author=False, human=False)
    salt = next(str(n) for n in range(99) if _sides([guess], str(n))[0].side == "out")
    assert _sides([guess], salt)[0] == Sided("out", NOT_HUMAN)


def test_newest_weeks_measure_when_the_log_is_long_enough() -> None:
    weeks = [Place(f"u{n}", f"c{n}", "greet", author=False, at=1 + 7 * DAY * n) for n in range(17)]
    assert newest(weeks[:8]) is None
    since = newest(weeks)
    assert since == weeks[-1].at - 14 * DAY
    found = sides([*PLENTY, *weeks], SplitOptions(share=0.0), since)[len(PLENTY) :]
    assert [one.side for one in found] == ["train"] * 14 + ["time"] * 3


def test_what_nobody_labelled_of_the_newest_weeks_teaches() -> None:
    sign, word = (
        Place(f"u{human}", f"c{human}", "a", author=False, human=human, at=100 * DAY) for human in (False, True)
    )
    found = sides([*PLENTY, sign, word], SplitOptions(share=0.0), 90 * DAY)
    assert found[-2:] == [Sided("train"), Sided("time")]


def test_a_customer_of_the_newest_weeks_does_not_teach_by_older_talks() -> None:
    old, new = (Place("u", f"c{at}", "a", author=False, at=at * DAY) for at in (1, 100))
    found = sides([*PLENTY, old, new], SplitOptions(share=0.0), 90 * DAY)
    assert found[-2:] == [Sided("out", SAME_CUSTOMER), Sided("time")]


def _sides(places: list[Place], salt: str) -> list[Sided]:
    known = [Place(f"{n}", f"{n}", "greet", taught=True) for n in range(5)]
    return sides([*known, *places], SplitOptions(share=0.5, salt=salt))[len(known) :]
