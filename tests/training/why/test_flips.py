"""What would have changed an answer is found by asking `decide` again, never by guessing."""

from __future__ import annotations

import pytest

from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation
from bot.core.errors import SkillError
from bot.core.messages import Message, Text
from bot.core.program import Program
from bot.core.protocols import ActionResult
from tests.core.talk import Talk, entity, hit, program, scored
from tests.training.why.bots import asked_order, received, restaurant, shop, turn
from training.why.chain import turns_of
from training.why.explain import Sources, explain
from training.why.flips import Added, Trials, flips, meant
from training.why.rehearsal import Change, Outside, Scene, play, scene
from training.why.values import Flip, Removal


def staged(talk: Talk, number: int = 0, outside: Outside | None = None) -> Scene:
    found = scene(turn(talk, number), talk.program, outside or Outside())
    assert found is not None
    return found


def tried(talk: Talk, kind: str, trials: Trials | None = None) -> dict[str, Flip]:
    """Flips of a kind by the change."""
    return {flip.change: flip for flip in flips(staged(talk), trials or Trials()) if flip.kind == kind}


def long_talk() -> Talk:
    """Flows, an action, a question in between, a press, a correction, a failure."""
    talk = Talk(shop(), {"action_find": ActionResult(slots={"status": "on its way"})}, hits=[hit("Thirty days.", 0.9)])
    talk.say("hello", "greet")
    talk.say("change my address", "change_address")
    talk.say("how long can I send it back?", "refunds")
    talk.say("48213", entities=[entity("order_id", "48213")])
    talk.say("Ghent")
    talk.say("where or when", ("order_status", 0.5), ("refunds", 0.45))
    talk.say("/order_status")
    talk.actions["action_find"] = SkillError("action_find", "no")
    talk.say("where is 48213", "order_status", entities=[entity("order_id", "48213")])
    talk.actions["action_look"] = ActionResult(slots={"found": False})
    talk.say("do you have it", "stock")
    return talk


def form_talk() -> Talk:
    """A form with a helper, an answer in between, a fallback that the ranking was asked about."""
    talk = Talk(restaurant(), {"validate_table_form": ActionResult()})
    talk.say("a table", "book")
    talk.say("four", entities=[entity("guests", "four")])
    talk.actions["validate_table_form"] = ActionResult(slots={"day": "Monday"})
    talk.say("on Monday", entities=[entity("day", "Mon")])
    talk.ranking["action_listen"] = scored("utter_hours", 0.9)
    talk.say("odd", "odd")
    talk.say("so sad", "unhappy")
    return talk


@pytest.mark.parametrize("talk", [long_talk(), form_talk()], ids=["flows", "script"])
def test_played_again_unchanged_every_turn_ends_as_the_log_says(talk: Talk) -> None:
    for number in turns_of(talk.log):
        again = staged(talk, number)
        played = play(again, Change())
        assert (played.does, played.whole) == (again.logged, True), number
        assert explain(turn(talk, number), Sources(talk.program)).today == ()


def test_the_intent_that_people_gave_is_tried_first() -> None:
    talk = asked_order()
    talk.say("where is it", ("greet", 0.9), ("order_status", 0.05))
    talk.add(ev.Corrected(target=3, intent="change_address"))
    first, *others = explain(turn(talk), Sources(program())).flips
    assert first.change == "understood as change_address" and not first.same
    assert first.does == ("begins flow change_address", "says utter_ask_order_id", "asks for order_id")
    assert "understood as order_status" in [flip.change for flip in others]


def test_an_intent_with_the_same_answer_is_no_flip() -> None:
    talk = Talk(program(), hits=[hit("Thirty days.", 0.9)])
    talk.say("how long", ("refunds", 0.9), ("delivery", 0.05), ("order_status", 0.03))
    found = tried(talk, "intent")
    assert [found[f"understood as {name}"].same for name in ("delivery", "order_status")] == [True, False]


def test_an_added_example_is_played_as_the_classifiers_then_understand_it() -> None:
    talk = Talk(program())
    talk.say("hm", ("greet", 0.9), ("order_status", 0.05))
    learned = meant(staged(talk).understood, "order_status")
    (flip,) = tried(talk, "example", Trials(taught=(Added("order_status", learned, "write it"),))).values()
    assert flip.command == "write it" and flip.does[0] == "begins flow order_status"


def test_an_example_that_would_not_be_recognised_is_only_an_intent() -> None:
    talk = Talk(program())
    talk.say("hm", ("greet", 0.9), ("order_status", 0.05))
    still = staged(talk).understood
    trials = Trials(taught=(Added("order_status", still, "write it"),))
    assert tried(talk, "example", trials) == {}
    assert "understood as order_status" in tried(talk, "intent", trials)


def test_a_score_at_its_threshold_changes_a_refusal() -> None:
    talk = Talk(program(), hits=[hit("Thirty days.", 0.2)])
    talk.say("order", ("order_status", 0.9), in_scope=0.3)
    (flip,) = tried(talk, "scope").values()
    assert flip.change == "in scope 0.50 or more for order_status (it was 0.30)"
    assert flip.does[0] == "begins flow order_status"


def test_a_clear_lead_ends_a_doubt() -> None:
    talk = Talk(program())
    talk.say("where or when", ("order_status", 0.5), ("change_address", 0.45))
    (flip,) = tried(talk, "margin").values()
    assert flip.change == "order_status 0.15 ahead of change_address (it was 0.05)"
    assert flip.does[0] == "begins flow order_status"


@pytest.mark.parametrize(
    ("score", "change", "does"),
    [
        (0.4, "a floor of 0.400 or lower (it is 0.500)", "answers from 'Returns'"),
        (0.9, "a floor of above 0.900 (it is 0.500)", "says utter_no_answer"),
    ],
)
def test_the_floor_of_the_knowledge_base_is_tried(score: float, change: str, does: str) -> None:
    talk = Talk(program(), hits=[hit("Thirty days.", score)])
    talk.say("how long", "refunds")
    (flip,) = tried(talk, "floor").values()
    assert (flip.change, flip.does[-1]) == (change, does)


def test_a_slot_that_a_user_filled_counts_when_another_value_is_refused() -> None:
    flip = tried(asked_order(), "slot")["order_id = 'something else'"]
    assert "says utter_bad_id" in flip.does
    lines = {line.name: line for line in explain(turn(asked_order()), Sources(program())).slots}
    assert lines["order_id"].counted and not lines["status"].counted and lines["status"].worded


def test_a_slot_that_an_action_filled_counts_when_the_flow_branches_on_it() -> None:
    talk = Talk(shop(), {"action_look": ActionResult(slots={"found": True})})
    talk.say("do you have it", "stock")
    flip = tried(talk, "slot")["found = false"]
    assert flip.does == ("begins flow stock", "runs action_look", "says utter_sold_out")


def test_a_slot_that_stands_in_a_condition_gets_the_value_that_it_is_compared_with() -> None:
    vip = shop().flows["greet"].model_copy(update={"guard": 'slots.city = "Ghent"'})
    talk = Talk(shop().model_copy(update={"flows": {**shop().flows, "greet": vip}, "knowledge": False}))
    talk.say("hello", "greet")
    assert tried(talk, "slot")["city = 'Ghent'"].does == ("begins flow greet", "says utter_greet")


def test_fewer_words_are_played_as_they_are_understood() -> None:
    talk = Talk(program())
    talk.say("hello where is it", ("order_status", 0.9))
    removal = Removal(words=("where",), text="hello is it", intent="greet", score=0.9, in_scope=0.9)
    trials = Trials(removal=removal, removed=meant(staged(talk).understood, "greet"))
    (flip,) = tried(talk, "words", trials).values()
    assert flip.change == "the text without 'where' (then greet)" and "says utter_greet" in flip.does


def test_the_ranking_is_asked_only_about_what_it_was_not_asked_before() -> None:
    asked: list[st.Rank] = []

    def rank(conversation: Conversation, step: st.Rank) -> ev.Predicted:
        asked.append(step)
        if conversation.track.action != "action_listen":
            return ev.Predicted(action=step.otherwise, policy="Fallback", reason="unsure")
        return ev.Predicted(action="utter_hours", policy="RankingPolicy", candidates=(scored("utter_hours", 0.7),))

    talk = form_talk()
    with_ranking = staged(talk, 4, Outside(rank=rank))
    assert play(with_ranking, Change()).does == ("says utter_hours",) and asked == []
    other = Change(understood=meant(with_ranking.understood, "unknown"))
    assert play(with_ranking, other).does == ("says utter_hours",) and asked
    assert play(staged(talk, 4), other).does == ("asks the learned ranking, which is not here",)


def test_what_a_helper_would_have_found_is_assumed_and_said() -> None:
    talk = form_talk()
    played = play(staged(talk, 4), Change(understood=meant(staged(talk, 4).understood, "book")))
    assert played.does[0] == "begins form table_form"
    assert "validate_table_form finds nothing to change" in played.assumed


def test_an_action_that_never_ran_is_where_a_rehearsal_stops() -> None:
    talk = Talk(shop())
    talk.say("hello", "greet")
    played = play(staged(talk), Change(understood=meant(staged(talk).understood, "stock")))
    assert (played.does, played.whole) == (("begins flow stock", "runs action_look"), False)


def test_the_knowledge_base_is_asked_where_there_is_one() -> None:
    def search(query: str) -> ev.Retrieved:
        return ev.Retrieved(query=query, hits=(hit("Thirty days.", 0.9),), floor=0.5, index="now")

    talk = Talk(program())
    talk.say("hello", "greet")
    other = Change(understood=meant(staged(talk).understood, "refunds"))
    assert play(staged(talk), other).does[-1] == "and answers with what it finds there"
    assert play(staged(talk, 0, Outside(search=search)), other).does[-1] == "answers from 'Returns'"


def test_a_changed_project_is_told() -> None:
    talk = Talk(program())
    talk.say("hello", "greet")
    other: Program = program(flows={})
    assert explain(turn(talk), Sources(other)).today == (
        "looks in the knowledge base",
        "and answers with what it finds there",
    )


def test_an_answer_of_another_system_is_not_played() -> None:
    talk = Talk(program())
    talk.add(
        received(1, "hello"),
        ev.Understood(text="hello", language="en", intents=(scored("greet", 1.0),), in_scope=1.0),
        ev.Replied(message=Message(id="b", parts=(Text(text="Hello!"),))),
    )
    assert scene(turn(talk), program()) is None
