"""Heads from few examples and with layers of their own: the same numbers after reloading, the same bytes again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError
from bot.core.protocols import Utterance
from skills.encoder import Encoder
from skills.intent import IntentHead
from skills.intent_views import pool
from skills.understanding import INTENT, Understander
from tests.skills.shop_rows import ROWS
from training.examples import IntentExample
from training.recipes.discriminant import discriminant, names_of, speaking
from training.recipes.finetune import TuneOptions, TuneRows, backward, build, curve, tune
from training.recipes.intent import IntentOptions, chosen_method, fit_intent
from training.recipes.intent_tuned import TUNED

ASKED = ["where's my order", "hello!", "give me my money back now", "sing a song about penguins"]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load()


@pytest.fixture(scope="module")
def few(encoder: Encoder) -> IntentHead:
    return fit_intent(ROWS, encoder, IntentOptions(method="few-shot"))


@pytest.fixture(scope="module")
def late(encoder: Encoder) -> IntentHead:
    return fit_intent(ROWS, encoder, IntentOptions(method="late-branch"))


def rows_of(encoder: Encoder, layer: int) -> TuneRows:
    found = encoder.run([row.text for row in ROWS[:8]], (layer,))
    centres = np.stack([encoding.vector for encoding in found[:4]])
    weights = [1.0, 0.5, 1.0, 0.25, 1.0, 1.0, 0.5, 1.0]
    return TuneRows([item.states[layer].astype(np.float16) for item in found], [0, 1, 2, 3] * 2, weights, centres)


def test_auto_is_few_shot_while_examples_are_few() -> None:
    many = [IntentExample(f"text {n}", "ab"[n % 2]) for n in range(32)]
    assert chosen_method(many[:30], "auto") == "few-shot"
    assert chosen_method(many, "auto") == "frozen"
    assert chosen_method(many, "lora") == "lora"


def test_names_are_read_as_people_say_them() -> None:
    assert names_of(["card_arrival", "cancelOrder", "faq_17", "q1"]) == ["card arrival", "cancel order", "faq 17", ""]


def test_a_name_that_says_nothing_is_no_example() -> None:
    vectors = np.eye(12, dtype=np.float32)
    names = vectors.copy()
    names[0], names[1] = np.roll(vectors, 6, axis=0)[0] - vectors[0], 0
    assert 0 not in speaking(names, vectors, np.arange(12))
    assert 1 not in speaking(names, vectors, np.arange(12))
    assert 2 in speaking(names, vectors, np.arange(12))


def test_a_direction_that_varies_within_intents_counts_less() -> None:
    random = np.random.default_rng(0)
    owners = np.arange(60) % 3
    features = np.concatenate([np.eye(3)[owners], random.normal(0, 1, (60, 1))], axis=1).astype(np.float32)
    weights = discriminant(features, owners, np.ones(60, np.float32), 3)
    scores = features @ weights.matrix.astype(np.float32) + weights.bias
    assert (scores.argmax(axis=1) == owners).all()
    assert np.abs(weights.matrix[3]).max() < 0.3 * np.abs(weights.matrix[:3]).max()


def test_few_shot_reads_inner_layers_of_the_one_forward(few: IntentHead, encoder: Encoder) -> None:
    assert few.layers == (3, 4, 5, 6)
    assert few.views[0].tuned is None
    best = few.read(ASKED[:3], encoder).probabilities.argmax(axis=1)
    assert [few.intents[n] for n in best] == ["order_status", "greet", "refund"]


def test_views_need_the_states_of_their_layers(few: IntentHead, encoder: Encoder) -> None:
    with pytest.raises(InputError, match="layers"):
        few.run(ASKED, encoder.vectors(ASKED))


@pytest.mark.slow
def test_an_intent_with_no_word_in_its_name_can_be_added(encoder: Encoder) -> None:
    rows = [*ROWS, IntentExample("do you sell gift cards", "faq_17"), IntentExample("can i buy a voucher", "faq_17")]
    head = fit_intent(rows, encoder, IntentOptions(method="few-shot"))
    best = head.read(["i want to buy a gift card"], encoder).probabilities.argmax()
    assert head.intents[best] == "faq_17"


@pytest.mark.slow
def test_a_gradient_in_pieces_is_that_of_the_whole(encoder: Encoder) -> None:
    rows, options = rows_of(encoder, 5), TuneOptions(depth=1, dropout=0.0)
    found = []
    for tokens in (10_000, 12):
        network = build(rows.centres, encoder, options)
        loss = backward(network, rows, range(8), replace(options, piece_tokens=tokens))
        found.append((loss, [item.grad.numpy() for item in network.parameters() if item.grad is not None]))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    assert len(found[0][1]) == 17
    for whole, pieces in zip(found[0][1], found[1][1], strict=True):
        assert np.allclose(whole, pieces, atol=1e-5)


@pytest.mark.slow
def test_low_rank_updates_begin_as_the_encoder_and_merge_into_its_weights(encoder: Encoder) -> None:
    rows, options = rows_of(encoder, 5), TuneOptions(depth=1, rank=4, epochs=2, batch=4, rate=1e-2)
    before = build(rows.centres, encoder, options).layers[0].tensors()
    view = tune(rows, encoder, options, lambda share, what: None)
    assert view.tuned is not None
    name = "encoder.layer.5.output.dense.weight"
    assert np.array_equal(before["output.dense.weight"], encoder.files[name])
    moved = view.tuned.weights[name] - encoder.files[name].astype(np.float16)
    assert 1 <= np.linalg.matrix_rank(moved, tol=1e-2) <= 4


def test_tuning_deeper_than_the_encoder_is_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="1 to 6 layers"):
        tune(rows_of(encoder, 5), encoder, TuneOptions(depth=7), lambda share, what: None)


@pytest.mark.slow
def test_curves_are_written_for_tensorboard(tmp_path: Path) -> None:
    with curve(str(tmp_path)) as note:
        note("intent/loss", 0.5, 1)
    [file] = tmp_path.iterdir()
    assert b"intent/loss" in file.read_bytes()


@pytest.mark.slow
def test_a_late_branch_serves_what_was_trained(late: IntentHead, encoder: Encoder, tmp_path: Path) -> None:
    late.save(tmp_path / INTENT)
    assert late.views[1].layers == (4,)
    here = late.read(ASKED, encoder)
    served = Understander.load(tmp_path, encoder).run([Utterance(text=text) for text in ASKED])
    best = [item.intents[0] for item in served]
    assert [item.name for item in best[:3]] == ["order_status", "greet", "refund"]
    assert np.allclose([item.score for item in best], here.probabilities.max(axis=1), atol=1e-6)
    assert served[3].in_scope < served[3].threshold


@pytest.mark.slow
def test_the_same_rows_give_the_same_branch(late: IntentHead, encoder: Encoder) -> None:
    again = fit_intent(ROWS, encoder, IntentOptions(method="late-branch"))
    one, other = late.views[1].tensors(0), again.views[1].tensors(0)
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_other_skills_read_the_trunk_unchanged(late: IntentHead, encoder: Encoder) -> None:
    before = encoder.run(ASKED, (4, 6))
    late.read(ASKED, encoder)
    for one, other in zip(before, encoder.run(ASKED, (4, 6)), strict=True):
        assert np.array_equal(one.vector, other.vector)
        assert np.array_equal(pool([one], (4, 6)), pool([other], (4, 6)))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_tuning_all_layers_gives_an_encoder_of_its_own(method: str, encoder: Encoder, tmp_path: Path) -> None:
    options = replace(TUNED[method](encoder.layers, 0, str(tmp_path / "curves")), epochs=1)
    view = tune(rows_of(encoder, 0), encoder, options, lambda share, what: None)
    assert view.layers == (0,)
    features = view.features(encoder.run(ASKED, (0,)))
    alike = (features * encoder.vectors(ASKED)).sum(axis=1)
    assert (alike > 0.9).all()
    assert (alike < 0.99999).any()
    assert list((tmp_path / "curves").iterdir())
