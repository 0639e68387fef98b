"""Fitting the learned ranking: the gradient is right, one story is enough, unseen stories are measured."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from bot.core.errors import InputError
from bot.core.features import Features
from bot.core.script import Did, Gap, Heard, Story
from skills.ranking import WINDOW, Floats, RankingWeights, Windows, forward
from tests.skills.tale import (
    EXAMPLES,
    IN_FORM,
    LISTEN,
    QUICK,
    STORIES,
    WordVectors,
    data,
    did,
    program,
    said,
    story,
    talk,
)
from training.ranking_rows import Cell, Choice, Paths, ranking_data
from training.recipes.ranking import fit_ranking
from training.recipes.ranking_net import Parameters, Rows, Sizes, loss


def setting() -> tuple[Parameters, Rows, Floats]:
    """A small network with everything in use, rows for it and vectors of three texts."""
    random = np.random.default_rng(0)
    network = Parameters(Sizes(features=9, actions=5, dimension=7, width=8, hidden=6), random)
    network.flat += random.normal(0, 0.1, len(network.flat)).astype(np.float32)
    network.weights.features[0] = 0
    real = np.arange(WINDOW)[None] < random.integers(1, WINDOW + 1, 6)[:, None]
    windows = Windows(random.integers(0, 10, (6, WINDOW, 4)), random.integers(0, 4, (6, WINDOW)), real)
    asked = Rows(windows, random.integers(0, 6, 6), random.random(6).astype(np.float32))
    vectors = random.normal(size=(4, 7)).astype(np.float32)
    vectors[0] = 0
    return network, asked, vectors


NAMES = tuple(field.name for field in fields(RankingWeights))


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    network, asked, vectors = setting()
    exact = RankingWeights(**{key: getattr(network.weights, key).astype(np.float64) for key in NAMES})
    kept = (np.random.default_rng(1).random((6, 6)) > 0.3).astype(np.float32)
    found, values, step = getattr(loss(exact, asked, vectors, kept)[1], name), getattr(exact, name), 1e-5
    for place in list(np.ndindex(values.shape))[values.shape[-1] :: 5]:
        before, sides = values[place], []
        for moved in (before + step, before - step):
            values[place] = moved
            sides.append(loss(exact, asked, vectors, kept)[0])
        values[place] = before
        assert found[place] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-5)


def test_training_and_serving_compute_the_same() -> None:
    network, asked, vectors = setting()
    logits = forward(network.weights, asked.windows, vectors).astype(np.float64)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance = (share / share.sum(axis=1, keepdims=True))[np.arange(6), asked.targets]
    expected = -float((asked.weights / asked.weights.sum()) @ np.log(chance))
    assert loss(network.weights, asked, vectors)[0] == pytest.approx(expected, rel=1e-4)


def test_one_story_is_enough() -> None:
    fitted = fit_ranking(data(STORIES[0]), WordVectors(), QUICK)
    assert fitted.unseen.gold == ()
    (ranked,) = fitted.model.run([talk("tea", "utter_milk", "yes", "utter_with_milk")])
    assert ranked.candidates[0].name == "action_order_tea"


def test_no_story_is_not_enough() -> None:
    with pytest.raises(InputError, match="at least one story"):
        fit_ranking(replace(data(), stories=()), WordVectors(), QUICK)


def test_the_same_stories_give_the_same_model_and_progress_is_told() -> None:
    seen: list[tuple[float, str]] = []
    options = replace(QUICK, fewest=100, steps=10, rehearsal=5)
    one = fit_ranking(data(), WordVectors(), options, lambda share, what: seen.append((share, what)))
    two = fit_ranking(data(), WordVectors(), options)
    assert np.array_equal(one.model.weights.out, two.model.weights.out)
    assert [share for share, _ in seen] == sorted(share for share, _ in seen)
    assert seen[-1] == (1.0, "fitting")


@pytest.mark.slow
def test_stories_are_measured_by_models_that_do_not_know_them() -> None:
    unseen = fit_ranking(data(), WordVectors(), QUICK).unseen
    assert len(unseen.gold) == sum(len(found.cells) - 1 for found in data().stories)
    known = dict(zip(unseen.gold, unseen.known, strict=True))
    assert known["utter_milk"]
    assert not known["action_usual"]
    assert all(0 <= sure <= 1 for sure in unseen.sure)


def test_choices_of_the_log_are_learned() -> None:
    asked = talk("weather", text="is it raining")
    choice = Choice(asked.states, asked.texts, "utter_sunny", 1.0)
    model = fit_ranking(replace(data(), logged=(choice,)), WordVectors(), QUICK).model
    (ranked,) = model.run([replace(asked, actions=(*asked.actions, "utter_sunny"))])
    assert ranked.candidates[0].name == "utter_sunny"


@pytest.mark.slow
def test_texts_of_stories_are_learned_word_by_word() -> None:
    told = story("text", Heard(text="sing me a song"), *did("utter_song"))
    model = fit_ranking(data(*STORIES, told), WordVectors(), QUICK).model
    asked = talk("", text="sing a song")
    (ranked,) = model.run([replace(asked, actions=(*asked.actions, "utter_song"))])
    assert ranked.candidates[0].name == "utter_song"


# Rows


def test_without_stories_or_ranking_there_is_nothing_to_learn() -> None:
    assert ranking_data(program(ranks=False), []) is None
    assert ranking_data(program(*STORIES).model_copy(update={"script": None}), []) is None


def test_retrieval_intents_count_by_their_name_and_unused_intents_are_strange() -> None:
    found = ranking_data(program(), [("when do you open", "tea/hours"), ("is it raining", "weather")])
    assert found is not None
    assert (found.texts, found.strange) == ({"tea": ("when do you open",)}, ("is it raining",))


def test_variants_of_a_story_are_one_group() -> None:
    twins = tuple(story("either", said(name), *did("utter_milk")) for name in ("tea", "cake"))
    assert data(*twins, STORIES[4]).groups == (0, 1)


def test_rules_with_conditions_and_open_forms_are_no_asides() -> None:
    starts = {aside.cells[0].state.intent for aside in data(*STORIES, IN_FORM).asides}
    assert "who" in starts
    assert all(not cell.state.loop for aside in data().asides for cell in aside.cells)
    waits = Story(name="w", rule=True, steps=(Gap(), said("who"), Did(action="utter_bot"), Gap()))
    assert ranking_data(program(STORIES[0], rules=(waits,)), []).asides[0].cells[-1].action == LISTEN  # type: ignore[union-attr]


def test_paths_join_stories_but_leave_forms_alone() -> None:
    paths = Paths(data(*STORIES, IN_FORM), np.random.default_rng(0))
    drawn = [paths.draw() for _ in range(400)]
    assert {len(path.groups) for path in drawn} >= {1, 2, 3}
    for path in drawn:
        inside = [cell for cell in path.cells if cell.state.loop]
        assert {cell.state.intent for cell in inside} <= {"tea", "who"}


def test_slots_stay_set_in_what_follows() -> None:
    paths = Paths(data(), np.random.default_rng(0))
    carried = [path for path in (paths.draw() for _ in range(400)) if _regular(path.cells[0]) and len(path.groups) > 1]
    assert carried
    assert all(_regular(cell) for path in carried for cell in path.cells)


def _regular(cell: Cell) -> bool:
    return ("regular", "true") in cell.state.slots


def test_a_lonely_story_is_joined_with_nothing() -> None:
    found = ranking_data(program(STORIES[0], rules=()), [])
    assert found is not None
    paths = Paths(replace(found, asides=()), np.random.default_rng(0))
    assert {path.groups for path in (paths.draw() for _ in range(50))} == {frozenset((0,))}


def test_what_was_learned_from_is_described_by_its_content() -> None:
    one, other = data(), data(*STORIES[:3])
    assert one.described() == data().described()
    assert one.described().sha256 != other.described().sha256
    logged = replace(one, logged=(Choice((Features(),), ("",), "utter_milk", 1.0),))
    assert logged.described().rows == len(STORIES) + 1
    assert len(EXAMPLES) > len(one.texts)
