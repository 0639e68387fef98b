"""The learned ranking: stories as told, in other order, with other talk in between; and what it must not be sure of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.errors import IntegrityError
from bot.core.features import Features
from bot.core.protocols import Situation
from skills.ranking import ActionRanking
from tests.skills.tale import LISTEN, QUICK, WordVectors, data, talk
from training.recipes.ranking import fit_ranking


@pytest.fixture(scope="module")
def model() -> ActionRanking:
    return fit_ranking(data(), WordVectors(), QUICK).model


def best(model: ActionRanking, situation: Situation) -> tuple[str, float]:
    (ranked,) = model.run([situation])
    return ranked.candidates[0].name, ranked.candidates[0].score


def test_stories_are_followed(model: ActionRanking) -> None:
    assert best(model, talk("tea"))[0] == "utter_milk"
    assert best(model, talk("tea", "utter_milk"))[0] == LISTEN
    assert best(model, talk("tea", "utter_milk", "yes"))[0] == "utter_with_milk"
    assert best(model, talk("tea", "utter_milk", "yes", "utter_with_milk"))[0] == "action_order_tea"
    assert best(model, talk("cake", "utter_cream", "no"))[0] == "utter_plain"


def test_other_talk_in_between_does_not_make_it_forget(model: ActionRanking) -> None:
    assert best(model, talk("tea", "utter_milk", "who", "utter_bot", "yes"))[0] == "utter_with_milk"
    assert (
        best(model, talk("cake", "utter_cream", "who", "utter_bot", "greet", "utter_greet", "no"))[0] == "utter_plain"
    )


def test_the_latest_question_is_answered_after_a_whole_other_story(model: ActionRanking) -> None:
    cake = ("cake", "utter_cream", "no", "utter_plain", "action_order_cake")
    assert best(model, talk(*cake, "tea", "utter_milk", "yes"))[0] == "utter_with_milk"


def test_a_talk_may_begin_in_the_middle(model: ActionRanking) -> None:
    begun = talk("tea", "utter_milk", "yes")
    cut = replace(begun, states=begun.states[2:], texts=begun.texts[2:])
    assert best(model, cut)[0] == "utter_with_milk"


def test_slots_decide_and_unknown_features_count_for_nothing(model: ActionRanking) -> None:
    regular, strange = ("regular", "true"), ("city", "set")
    assert best(model, talk("greet", slots=frozenset({regular})))[0] == "utter_back_again"
    assert best(model, talk("greet", slots=frozenset({strange}))) == best(model, talk("greet"))


def test_only_actions_that_may_be_done_are_ranked(model: ActionRanking) -> None:
    situation = replace(talk("tea"), actions=("utter_greet", "utter_plain", "action_unheard_of"))
    (ranked,) = model.run([situation])
    assert {item.name for item in ranked.candidates} == {"utter_greet", "utter_plain"}
    assert model.run([replace(situation, actions=("action_unheard_of",))])[0].candidates == ()


def test_what_no_story_has_leaves_it_unsure(model: ActionRanking) -> None:
    name, score = best(model, talk("weather", text="is it raining"))
    assert score < 0.3 < best(model, talk("tea", text="a pot of tea"))[1], name


def test_a_message_helps_where_the_intent_is_missing(model: ActionRanking) -> None:
    heard = talk("tea", text="a pot of tea")
    unnamed = replace(heard, states=(heard.states[0], Features(action=LISTEN)))
    assert best(model, unnamed)[0] == "utter_milk"


def test_only_what_the_user_has_just_said_in_words_is_encoded(model: ActionRanking) -> None:
    model.encoder.asked.clear()  # type: ignore[attr-defined]
    model.run([talk("tea", "utter_milk", "yes", text="/yes"), talk("tea", "utter_milk", text=" tea  ")])
    assert model.encoder.asked == ["tea"]  # type: ignore[attr-defined]


def test_scores_are_probabilities_in_order_and_independent_of_the_batch(model: ActionRanking) -> None:
    situations = [talk("tea"), talk("cake", "utter_cream", "no"), talk("weather")]
    together = model.run(situations)
    for ranked, situation in zip(together, situations, strict=True):
        scores = [item.score for item in ranked.candidates]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) <= 1
        assert [item.score for item in model.run([situation])[0].candidates] == pytest.approx(scores, abs=1e-5)


def test_nothing_asked_and_nothing_known_give_nothing(model: ActionRanking) -> None:
    assert model.run([]) == []
    assert model.run([Situation((), (), model.actions)])[0].candidates == ()


def test_a_saved_model_gives_the_same(model: ActionRanking, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = ActionRanking.load(tmp_path, WordVectors(), "b7")
    (ranked,) = again.run([talk("tea", "utter_milk", "yes")])
    assert ranked.bundle == "b7"
    assert ranked.candidates == model.run([talk("tea", "utter_milk", "yes")])[0].candidates


@pytest.mark.parametrize("content", ["", "[]", '{"format": 99}'])
def test_a_damaged_description_is_refused(model: ActionRanking, tmp_path: Path, content: str) -> None:
    model.save(tmp_path)
    (tmp_path / "ranking.json").write_text(content)
    with pytest.raises(IntegrityError, match="train again"):
        ActionRanking.load(tmp_path, WordVectors())


def test_damaged_or_missing_weights_and_another_encoder_are_refused(model: ActionRanking, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    model.save(tmp_path)
    other = WordVectors()
    other.identity = "others"
    with pytest.raises(IntegrityError, match="the bot's encoder is others"):
        ActionRanking.load(tmp_path, other)
    save_file({"text": model.weights.text}, tmp_path / "ranking.safetensors")
    with pytest.raises(IntegrityError, match="train again"):
        ActionRanking.load(tmp_path, WordVectors())
    (tmp_path / "ranking.safetensors").write_bytes(b"no")
    with pytest.raises(IntegrityError, match=r"ranking\.safetensors"):
        ActionRanking.load(tmp_path, WordVectors())


def test_a_description_that_lacks_a_field_is_refused(model: ActionRanking, tmp_path: Path) -> None:
    model.save(tmp_path)
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "actions": None}).replace('"actions": null, ', ""))
    with pytest.raises(IntegrityError, match="actions"):
        ActionRanking.load(tmp_path, WordVectors())
