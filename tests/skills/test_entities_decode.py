"""Decoding of label scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skills.entities_decode import (
    FORBIDDEN,
    Floats,
    allowed_transitions,
    best_labels,
    best_paths,
    decode,
    label_count,
    probabilities,
    spans_of,
)

KINDS = ("city#from", "city#to", "day")


def random_scores(words: st.SearchStrategy[int]) -> st.SearchStrategy[Floats]:
    number = st.floats(-30, 30, width=32)
    shapes = words.map(lambda count: (count, label_count(KINDS)))
    return shapes.flatmap(lambda shape: arrays.arrays(np.float32, shape, elements=number))


@given(random_scores(st.integers(1, 9)))
def test_no_scores_lead_to_a_continuation_without_its_beginning(scores: Floats) -> None:
    labels = best_labels(scores, allowed_transitions(KINDS)).tolist()
    for before, label in itertools.pairwise([0, *labels]):
        assert label == 0 or label % 2 == 1 or before in (label - 1, label)


@pytest.mark.slow
@given(random_scores(st.integers(1, 3)))
def test_best_labels_beat_every_other_legal_sequence(scores: Floats) -> None:
    transitions = allowed_transitions(KINDS)

    def total(labels: tuple[int, ...]) -> float:
        moves = sum(transitions[before, label] for before, label in itertools.pairwise((-1, *labels)))
        return float(moves + sum(scores[word, label] for word, label in enumerate(labels)))

    best = max(total(labels) for labels in itertools.product(range(scores.shape[1]), repeat=len(scores)))
    assert total(tuple(best_labels(scores, transitions).tolist())) == pytest.approx(best, abs=1e-3)


def test_probabilities_are_those_of_counting_all_sequences() -> None:
    rng = np.random.default_rng(1)
    kinds = ("a",)
    scores, transitions = rng.normal(size=(3, 3)).astype(np.float32), allowed_transitions(kinds)
    transitions = transitions + rng.normal(size=transitions.shape).astype(np.float32)
    expected, whole = np.zeros((3, 3)), 0.0
    for labels in itertools.product(range(3), repeat=3):
        moves = sum(float(transitions[before, label]) for before, label in itertools.pairwise((-1, *labels)))
        weight = np.exp(moves + sum(float(scores[word, label]) for word, label in enumerate(labels)))
        whole += weight
        expected[range(3), labels] += weight
    np.testing.assert_allclose(probabilities(scores, transitions), expected / whole, rtol=1e-6)


def test_probabilities_stay_finite_for_extreme_scores() -> None:
    scores = np.full((200, label_count(KINDS)), -500, np.float32)
    scores[:, 3] = 500
    assert np.isfinite(probabilities(scores, allowed_transitions(KINDS))).all()


def test_decode_gives_spans_with_their_least_probable_word() -> None:
    scores = np.zeros((4, label_count(KINDS)), np.float32)
    scores[[0, 1, 2, 3], [0, 3, 4, 5]] = 9, 9, 2, 9
    (spans,) = decode([scores], allowed_transitions(KINDS))
    assert [(KINDS[span.kind], span.first, span.last) for span in spans] == [("city#to", 1, 2), ("day", 3, 3)]
    assert spans[0].confidence < spans[1].confidence <= 1


def test_decode_of_no_words_and_of_nothing_found() -> None:
    transitions = allowed_transitions(KINDS)
    outside = np.eye(1, label_count(KINDS), dtype=np.float32).repeat(3, axis=0)
    assert decode([np.zeros((0, label_count(KINDS)), np.float32), outside], transitions) == [[], []]
    assert decode([], transitions) == []


@given(st.lists(random_scores(st.integers(1, 6)), min_size=2, max_size=4))
def test_a_texts_labels_do_not_depend_on_the_texts_beside_it(texts: list[Floats]) -> None:
    transitions = allowed_transitions(KINDS)
    together = [path.tolist() for path in best_paths(texts, transitions)]
    assert together == [best_labels(scores, transitions).tolist() for scores in texts]


def test_transitions_forbid_exactly_what_is_not_bio() -> None:
    transitions = allowed_transitions(("a", "b"))
    legal = {(row, column) for row, column in np.argwhere(transitions == 0).tolist()}
    into_inside = {(before, label) for before, label in legal if label in (2, 4)}
    assert into_inside == {(1, 2), (2, 2), (3, 4), (4, 4)}
    assert (transitions[:, [0, 1, 3]] == 0).all()
    assert transitions.min() == FORBIDDEN


@pytest.mark.parametrize(
    ("labels", "spans"),
    [([1, 2, 0, 3], [(0, 0, 1), (1, 3, 3)]), ([1, 1], [(0, 0, 0), (0, 1, 1)]), ([2, 4], [(0, 0, 0), (1, 1, 1)])],
)
def test_spans_of_labels(labels: list[int], spans: list[tuple[int, int, int]]) -> None:
    assert spans_of(labels) == spans
