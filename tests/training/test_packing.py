from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.packing import IGNORED, Tokens, pack

SAMPLES = st.lists(
    st.builds(Tokens, st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(0, 5)), max_size=12
)


@given(SAMPLES)
def test_every_token_is_packed_once_and_learned_unless_given_or_first(samples: list[Tokens]) -> None:
    rows = pack(samples, 8, pad=0)
    assert sorted(rows.ids[rows.segments > 0]) == sorted(token for sample in samples for token in sample.ids)
    assert (rows.ids[rows.segments == 0] == 0).all()
    learned = rows.labels != IGNORED
    assert (rows.labels[learned] == rows.ids[learned]).all()
    assert not learned[rows.positions == 0].any()


def test_the_longest_come_first_and_gaps_are_filled() -> None:
    rows = pack([Tokens([1, 1]), Tokens([2] * 6, 3), Tokens([3] * 5), Tokens([4] * 3)], 8, pad=0)
    assert rows.ids.tolist() == [[2] * 6 + [1] * 2, [3] * 5 + [4] * 3]
    assert rows.segments.tolist() == [[1] * 6 + [2] * 2, [1] * 5 + [2] * 3]
    assert rows.labels[0].tolist() == [IGNORED] * 3 + [2] * 3 + [IGNORED, 1]
    assert rows.positions[1].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]


def test_a_long_sample_is_cut_and_stays_given_beyond_the_cut() -> None:
    rows = pack([Tokens(list(range(1, 13)), 9)], 8, pad=0)
    assert np.count_nonzero(rows.labels != IGNORED) == rows.learned == 3
