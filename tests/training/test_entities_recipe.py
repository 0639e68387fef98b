"""Training of the entity head, on the real encoder and few rows.

Tests that need torch are slow and load it themselves: loading takes seconds, and every run collects this file.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError
from skills.encoder import Encoder
from skills.entities_branch import LateBranch
from skills.entities_decode import allowed_transitions
from skills.entities_head import EntityHead
from training.examples import SlotExample
from training.recipes.entities import EntityOptions, fit_entities, slot_kinds, slot_spans, trunk_layers, word_labels

CITIES = ("rome", "cologne", "new york", "lisbon", "oslo", "cape town", "lima", "porto")
FROZEN = EntityOptions(epochs=5, head_rate=2e-2, batch=16)


def row(text: str) -> SlotExample:
    """A row from text with [slots](kind)."""
    tokens, tags = list[str](), list[str]()
    for plain, slot, kind in re.findall(r"([^\[]*)(?:\[(.+?)\]\((.+?)\))?", text):
        words = slot.split()
        tokens += [*plain.split(), *words]
        tags += ["O"] * len(plain.split()) + [f"{'I' if number else 'B'}-{kind}" for number in range(len(words))]
    return SlotExample(tuple(tokens), tuple(tags), "travel")


ROWS = [
    row(f"{verb} from [{one}](city#from) to [{other}](city#to)")
    for verb, (one, other) in itertools.product(("fly", "a train"), itertools.permutations(CITIES, 2))
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load()


def found(head: EntityHead, encoder: Encoder, text: str) -> list[tuple[str, str | None, str]]:
    [entities] = head.run([text], encoder.run([text], head.layers))
    return [(item.type, item.role, item.text) for item in entities]


def test_slots_of_a_row_as_characters_and_as_word_labels() -> None:
    example = SlotExample(("don't", "fly", "to", "cape", "town"), ("O", "O", "O", "B-city#to", "I-city#to"))
    spans = [(0, 3), (3, 4), (4, 5), (6, 9), (10, 12), (13, 17), (18, 22)]
    assert slot_spans(example) == [(13, 22, "city#to")]
    assert word_labels(example, spans, ("city#to",)) == [0, 0, 0, 0, 0, 1, 2]


def test_two_slots_of_one_kind_side_by_side_both_begin() -> None:
    example = SlotExample(("rome", "oslo"), ("B-city", "B-city"))
    assert word_labels(example, [(0, 4), (5, 9)], ("city",)) == [1, 1]


def test_tags_that_do_not_match_the_tokens_are_refused_with_the_place() -> None:
    with pytest.raises(InputError, match=r"a.jsonl:3.*one tag per token, found 1"):
        slot_spans(SlotExample(("a", "b"), ("O",), where="a.jsonl:3"))


def test_layers_of_the_mix_end_where_the_branch_begins() -> None:
    assert trunk_layers(6, EntityOptions()) == (3, 4, 5, 6)
    assert trunk_layers(6, EntityOptions(method="late", depth=2)) == (2, 3, 4)
    assert trunk_layers(6, EntityOptions(method="late", depth=6)) == (0,)


@pytest.mark.slow
def test_chain_loss_is_the_share_of_the_gold_sequence_among_all() -> None:
    import torch

    from training.recipes.entities_net import chain_loss

    torch.manual_seed(0)
    scores, labels = torch.randn(2, 3, 3), torch.tensor([[1, 2, 0], [0, 1, 0]])
    real, transitions = torch.tensor([[1.0, 1, 1], [1, 1, 0]]), torch.from_numpy(allowed_transitions(("a",)))
    for number, words in ((0, 3), (1, 2)):
        totals = {
            path: sum(float(transitions[before, label]) for before, label in itertools.pairwise((-1, *path)))
            + sum(float(scores[number, word, label]) for word, label in enumerate(path))
            for path in itertools.product(range(3), repeat=words)
        }
        whole = np.logaddexp.reduce(list(totals.values()))
        expected = whole - totals[tuple(labels[number, :words].tolist())]
        assert chain_loss(scores, labels, real, transitions)[number].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_optimizer_moves_as_the_library_does() -> None:
    import torch

    from training.recipes.entities_net import AdamW, ParameterGroup

    ours, theirs = (torch.nn.Parameter(torch.arange(4.0) - 1) for _ in range(2))
    library = torch.optim.AdamW([{"params": [theirs], "lr": 0.05, "weight_decay": 0.1}])
    optimizer = AdamW([ParameterGroup([ours], 0.1, 0.1)])
    for _ in range(5):
        (ours**3).sum().backward()
        (theirs**3).sum().backward()
        optimizer.step(0.5)
        library.step()
        library.zero_grad()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
def test_training_layers_compute_what_the_serving_branch_computes(encoder: Encoder) -> None:
    import torch

    from training.recipes.entities_net import Layer

    prefix, [encoding] = "encoder.layer.5.", encoder.run(["where is my kettle"], (5,))
    weights = {name.removeprefix(prefix): encoder.files[name] for name in encoder.files if name.startswith(prefix)}
    layer, state = Layer(weights, encoder.shape, 0.1).eval(), encoding.states[5]
    with torch.no_grad():
        trained = layer(torch.from_numpy(state.copy())[None], torch.zeros(1, 1, 1, len(state)))[0].numpy()
    served = LateBranch(5, encoder.shape, {prefix + name: value for name, value in layer.tensors().items()}).run(
        [state]
    )
    np.testing.assert_allclose(served[0][6], trained, atol=2e-4)


def test_branch_gives_the_same_alone_and_beside_longer_texts(encoder: Encoder) -> None:
    prefix = "encoder.layer.5."
    branch = LateBranch(
        5, encoder.shape, {name: encoder.files[name] for name in encoder.files if name.startswith(prefix)}
    )
    short, long = (item.states[5] for item in encoder.run(["hi", "a much longer text about kettles and tea"], (5,)))
    np.testing.assert_allclose(branch.run([short, long])[0][6], branch.run([short])[0][6], atol=1e-5)
    assert branch.forwards == pytest.approx(1 / 6)


def test_rows_without_slots_are_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="at least one row with a B- tag"):
        fit_entities([SlotExample(("hello",), ("O",))], encoder)


def test_branch_deeper_than_the_encoder_is_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="depth of at most 6, found 7"):
        fit_entities(ROWS[:2], encoder, EntityOptions(method="late", depth=7))


@pytest.mark.slow
def test_frozen_head_learns_roles_and_reports_progress(encoder: Encoder) -> None:
    shares: list[float] = []
    head = fit_entities(ROWS, encoder, FROZEN, lambda share, what: shares.append(share))
    assert found(head, encoder, "a flight from Madrid to Paris") == [
        ("city", "from", "Madrid"),
        ("city", "to", "Paris"),
    ]
    assert head.kinds == slot_kinds(ROWS) == ("city#from", "city#to")
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert head.forwards == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_head_and_leaves_torch_as_it_was(encoder: Encoder) -> None:
    import torch

    options = EntityOptions(method="late", depth=1, epochs=1, seed=3)
    before = torch.get_rng_state()
    one, two = (fit_entities(ROWS[:48], encoder, options) for _ in range(2))
    np.testing.assert_array_equal(one.weights.weight, two.weights.weight)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_late_branch_learns_and_a_fresh_process_without_torch_finds_the_same(encoder: Encoder, tmp_path: Path) -> None:
    options = EntityOptions(method="late", depth=2, epochs=6, head_rate=5e-3, branch_rate=5e-4, batch=16)
    head = fit_entities(ROWS, encoder, options)
    texts = ["a bus from Madrid to Paris", "from rome", "nothing at all"]
    head.save(tmp_path)
    script = (
        "import json, sys; from pathlib import Path\n"
        "from skills.encoder import Encoder; from skills.entities_head import EntityHead\n"
        "head, encoder, texts = EntityHead.load(Path(sys.argv[1])), Encoder.load(), json.loads(sys.argv[2])\n"
        "assert 'torch' not in sys.modules\n"
        "found = head.run(texts, encoder.run(texts, head.layers))\n"
        "print(json.dumps([[item.model_dump(mode='json') for item in row] for row in found]))"
    )
    command = [sys.executable, "-c", script, str(tmp_path), json.dumps(texts)]
    again = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    here = head.run(texts, encoder.run(texts, head.layers))
    assert again == [[item.model_dump(mode="json") for item in entities] for entities in here]
    assert [item["text"] for item in again[0]] == ["Madrid", "Paris"]
    assert head.forwards == pytest.approx(2 / 6)
