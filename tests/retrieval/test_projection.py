"""A query projection: unit vectors, files, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bot.core.errors import IntegrityError
from retrieval.projection import ABOUT, TENSORS, QueryProjection


def projection(scale: float = 1.0) -> QueryProjection:
    random = np.random.default_rng(1)
    down, up = random.standard_normal((3, 8)), scale * random.standard_normal((8, 3))
    return QueryProjection(down.astype(np.float32), up.astype(np.float32), VECTORS, "encoder")


VECTORS = np.eye(8, dtype=np.float32)[:4]


def test_what_it_gives_are_unit_vectors() -> None:
    assert np.allclose(np.linalg.norm(projection().run(VECTORS), axis=1), 1, atol=1e-6)
    assert projection().run(VECTORS[0]).shape == (8,)


def test_without_a_residual_nothing_turns() -> None:
    assert np.allclose(projection(0).run(VECTORS), VECTORS)


def test_only_what_is_like_the_questions_that_taught_turns() -> None:
    other, between = np.eye(8, dtype=np.float32)[5], np.zeros(8, np.float32)
    between[0], between[5] = 0.55, np.sqrt(1 - 0.55**2)
    assert np.allclose(projection().run(other), other)
    assert np.allclose(projection().run(VECTORS), whole_of(1).run(VECTORS))
    turned, all_of_it = (float(one.run(between) @ between) for one in (projection(0.1), whole_of(0.1)))
    assert all_of_it < turned < 1


def whole_of(scale: float) -> QueryProjection:
    return replace(projection(scale), taught=np.zeros((0, 8), np.float32))


def test_one_of_the_first_format_turns_all(tmp_path: Path) -> None:
    whole_of(1).save(tmp_path)
    save_file({name: getattr(whole_of(1), name) for name in ("down", "up")}, tmp_path / TENSORS)
    about = tmp_path / ABOUT
    about.write_text(about.read_text().replace('"format": 2', '"format": 1'))
    assert np.allclose(QueryProjection.load(tmp_path).run(VECTORS), whole_of(1).run(VECTORS))


def test_it_is_read_as_it_was_saved(tmp_path: Path) -> None:
    projection().save(tmp_path)
    assert (QueryProjection.load(tmp_path, "encoder").run(VECTORS) == projection().run(VECTORS)).all()


def test_one_of_another_encoder_is_refused(tmp_path: Path) -> None:
    projection().save(tmp_path)
    with pytest.raises(IntegrityError, match="expected a projection for 'other'"):
        QueryProjection.load(tmp_path, "other")


@pytest.mark.parametrize("name", [ABOUT, TENSORS])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    projection().save(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="again"):
        QueryProjection.load(tmp_path)


def test_one_that_is_described_wrongly_is_refused(tmp_path: Path) -> None:
    projection().save(tmp_path)
    about = tmp_path / ABOUT
    about.write_text(about.read_text().replace('"rank": 3', '"rank": 4'))
    with pytest.raises(IntegrityError, match="does not describe"):
        QueryProjection.load(tmp_path)
