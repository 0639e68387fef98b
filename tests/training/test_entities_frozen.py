"""The head on a frozen trunk: its loss and gradient."""

from __future__ import annotations

import numpy as np
import pytest

from skills.encoder import Floats
from skills.entities_decode import allowed_transitions
from training.recipes.entities_frozen import FrozenHead, Parameters, Words, loss, padded

KINDS = ("city", "day")
LEGAL = allowed_transitions(KINDS)
LABELS = ([0, 1, 2, 3], [3], [0, 0, 1])


@pytest.fixture
def batch() -> Words:
    random = np.random.default_rng(5)
    return padded((random.standard_normal((2, len(labels), 4)).astype(np.float16), labels) for labels in LABELS)


def learned() -> tuple[Parameters, Floats]:
    head, random = FrozenHead(2, 4, KINDS, seed=1), np.random.default_rng(2)
    for part in head.parameters:
        part += random.standard_normal(part.shape).astype(np.float32) * 0.5
    return head.parameters, random.random((3, 4, 4), np.float32)


def test_the_gradient_is_that_of_the_loss(batch: Words) -> None:
    parameters, kept = learned()
    _, gradient = loss(parameters, batch, LEGAL, kept)
    for part, slope in zip(parameters, gradient, strict=True):
        flat = part.reshape(-1)
        for place in range(0, part.size, 3):
            before, values = flat[place], []
            for change in (-0.01, 0.01):
                flat[place] = before + np.float32(change)
                values.append(loss(parameters, batch, LEGAL, kept)[0])
            flat[place] = before
            assert (values[1] - values[0]) / 0.02 == pytest.approx(slope.reshape(-1)[place], abs=2e-3)


def test_what_is_padded_does_not_count(batch: Words) -> None:
    parameters, kept = learned()
    value, gradient = loss(parameters, batch, LEGAL, kept)
    batch.states[:, ~batch.real] = 9.0
    again, same = loss(parameters, batch, LEGAL, kept)
    assert value == pytest.approx(again)
    assert all(np.allclose(one, other, atol=1e-6) for one, other in zip(gradient, same, strict=True))


def test_learning_brings_the_loss_down_and_the_same_seed_the_same_head(batch: Words) -> None:
    heads = [FrozenHead(2, 4, KINDS, seed=1) for _ in range(2)]
    losses = [[head.learn(batch, 0.05) for _ in range(80)] for head in heads]
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.3 * losses[0][0]
    assert heads[0].weights().mix.sum() == pytest.approx(1)


@pytest.mark.slow
def test_the_network_in_torch_has_the_same_loss_and_gradient(batch: Words) -> None:
    import torch

    from training.recipes.entities_net import Batch, Network

    parameters, _ = learned()
    network = Network([], 2, 4, KINDS).eval()
    tensors = (network.mix, network.scores.weight, network.scores.bias, network.learned)
    with torch.no_grad():
        for tensor, part in zip(tensors, parameters, strict=True):
            tensor.copy_(torch.from_numpy(part))
    first, real = torch.arange(4).expand(3, 4), torch.from_numpy(batch.real.astype(np.float32))
    value = network.loss(Batch(torch.from_numpy(batch.states), real, first, torch.from_numpy(batch.labels), real))
    value.backward()  # type: ignore[no-untyped-call]
    found, gradient = loss(parameters, batch, LEGAL, np.ones((3, 4, 4), np.float32))
    assert found == pytest.approx(value.item(), rel=1e-5)
    for tensor, part in zip(tensors, gradient, strict=True):
        assert tensor.grad is not None and np.allclose(tensor.grad.numpy(), part, atol=1e-5)
