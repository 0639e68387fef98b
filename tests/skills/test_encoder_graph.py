"""The graph in parts and in 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skills.encoder_engine import Engine, build_float32, build_int8
from skills.encoder_files import EncoderFiles, find_files
from skills.encoder_graph import LayerRange, read_linears
from skills.encoder_quant import LIMIT, quantise
from tests.skills.small_model import WIDTH, write_model

RANDOM = np.random.default_rng(3)
INPUTS = [RANDOM.normal(0, 1, (length, WIDTH)).astype(np.float32) for length in (3, 9, 14, 20)]


@pytest.fixture
def files(tmp_path: Path) -> EncoderFiles:
    return find_files(write_model(tmp_path / "model"))


def ones(x: np.ndarray) -> np.ndarray:
    return np.ones(x.shape[:2], np.int32)


def test_layers_in_two_parts_give_what_they_give_in_one(files: EncoderFiles) -> None:
    x = INPUTS[1][None]
    parts = [Engine(build_float32(files, files.shape, LayerRange(n, n + 1)), "float32") for n in (0, 1)]
    whole = Engine(build_float32(files, files.shape, LayerRange(0, 2)), "float32").run(x, ones(x), [2])[2]
    middle = parts[0].run(x, ones(x), [1])[1]
    assert np.allclose(parts[1].run(middle, ones(x), [2])[2], whole, atol=1e-5)


def test_padding_does_not_reach_the_tokens(files: EncoderFiles) -> None:
    engine = Engine(build_float32(files, files.shape, LayerRange(0, 2)), "float32")
    x = INPUTS[0][None]
    padded = np.concatenate([x, np.full((1, 5, WIDTH), 9, np.float32)], axis=1)
    mask = np.array([[1] * 3 + [0] * 5], np.int32)
    assert np.allclose(engine.run(padded, mask, [2])[2][:, :3], engine.run(x, ones(x), [2])[2], atol=1e-5)


@pytest.mark.parametrize("layers", [LayerRange(0, 2), LayerRange(1, 2)])
def test_eight_bits_stay_close_to_float32(files: EncoderFiles, layers: LayerRange) -> None:
    exact = Engine(build_float32(files, files.shape, layers), "float32")
    rounded = Engine(build_int8(files, files.shape, layers, INPUTS), "int8")
    x = INPUTS[2][None]
    expected, found = (engine.run(x, ones(x), [2])[2].ravel() for engine in (exact, rounded))
    assert expected @ found / np.linalg.norm(expected) / np.linalg.norm(found) > 0.99


def test_weights_leave_room_for_two_products_in_sixteen_bits(files: EncoderFiles) -> None:
    layers = LayerRange(0, 2)
    linears = read_linears(files, layers)
    found = quantise(
        linears, files.shape, layers, lambda label: RANDOM.normal(size=(30, linears[label].matrix.shape[0]))
    )
    assert found.keys() == linears.keys()
    assert max(int(np.abs(linear.matrix.astype(int)).max()) for linear in found.values()) <= LIMIT


def test_the_same_weights_give_the_same_graph(files: EncoderFiles) -> None:
    first, second = (build_int8(files, files.shape, LayerRange(0, 2), INPUTS) for _ in range(2))
    assert first == second
