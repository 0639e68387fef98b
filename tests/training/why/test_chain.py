"""What the log alone tells of an answer."""

from __future__ import annotations

import pytest

from bot.core import events as ev
from bot.core.errors import NotFound, SkillError
from bot.core.messages import Audio, Message, Text
from bot.core.protocols import ActionResult
from tests.core.talk import Talk, entity, hit, program, scored
from tests.training.why.bots import PLACES, asked_order, received, restaurant, shop, turn
from training.why import chain
from training.why.explain import Sources, explain, turn_of
from training.why.told import Book


def test_words_a_press_and_speech_are_told_apart() -> None:
    talk = Talk(program())
    talk.say("where or when", ("order_status", 0.5), ("change_address", 0.45))
    talk.say("/order_status")
    talk.receive("", Audio(blob="b"))
    talk.run(["greet"])
    words, press, voice = (chain.heard(turn(talk, number)) for number in (1, 2, 3))
    assert (words.kind, press.kind, voice.kind) == ("words", "press", "voice")
    assert (press.text, press.pressed, press.offered_in) == ("Order_Status", "/order_status", 1)
    assert voice.text == "spoken words"


def test_what_was_understood_comes_with_its_lead() -> None:
    found = explain(turn(asked_order(), 1), Sources()).understood
    assert found is not None and found.margin == pytest.approx(0.85)
    assert found.accepted and found.candidates[0] == scored("order_status", 0.9)


def test_a_flow_names_its_intent_and_its_place() -> None:
    talk = asked_order()
    (made,) = chain.decisions(turn(talk, 1), Book(program(), PLACES))
    assert made.said == "The flow order_status began: the intent order_status (0.90) asks for it"
    assert made.place == "data/flows.yml:3"
    assert [(m.what, m.place) for m in chain.moves(turn(talk, 1), Book(program(), PLACES))] == [
        ("flow order_status entered (trigger)", "data/flows.yml:3"),
        ("asked for order_id at step ask_id", "data/flows.yml:6"),
    ]


def test_a_doubt_is_told_with_its_margin() -> None:
    talk = Talk(program())
    talk.say("where or when", ("order_status", 0.5), ("change_address", 0.45))
    said = explain(turn(talk), Sources(program())).headline
    assert "order_status 0.50, change_address 0.45" in said and "0.05 apart of the 0.15 needed" in said


def test_what_was_not_accepted_is_told_with_its_threshold() -> None:
    talk = Talk(program(), hits=[hit("Thirty days.", 0.4)])
    talk.say("what", ("refunds", 0.7), in_scope=0.3)
    found = explain(turn(talk), Sources())
    assert found.headline == (
        "In-scope 0.30 is below the threshold 0.50: no intent counts, so the knowledge base was asked."
    )
    assert found.lookup is not None and [item.used for item in found.lookup.passages] == [False]


@pytest.mark.parametrize(
    ("intent", "said", "policy", "place"),
    [
        ("ask_hours", "utter_hours comes next: rule 'hours' says so", "RulePolicy", "data/rules.yml:5"),
        ("unhappy", "utter_cheer_up comes next: it is remembered from story 'sad'", "MemoizationPolicy",
         "data/stories.yml:4"),
    ],
)  # fmt: skip
def test_rules_and_stories_are_named_with_their_place(intent: str, said: str, policy: str, place: str) -> None:
    talk = Talk(restaurant())
    talk.say("words", intent)
    (made,) = chain.decisions(turn(talk), Book(restaurant()))
    assert (made.said, made.policy, made.place) == (said, policy, place)


def test_a_form_is_told_with_what_it_asks() -> None:
    talk = Talk(restaurant())
    talk.say("a table", "book")
    found = explain(turn(talk), Sources(restaurant(), PLACES))
    assert [move.what for move in found.moves] == ["form table_form active", "the form asks for guests"]
    talk.say("four", entities=[entity("guests", "four")])
    assert explain(turn(talk), Sources(restaurant(), PLACES)).decisions[0].place == "domain.yml:30"


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ev.Predicted(action="utter_hours", policy="RankingPolicy", candidates=(scored("utter_hours", 0.8),)),
         "most likely (0.80)"),
        (ev.Predicted(action="action_default_fallback", policy="Fallback", reason="unsure",
                      candidates=(scored("utter_hours", 0.2),)),
         "not sure: utter_hours 0.20, needed 0.30"),
        (ev.Predicted(action="action_default_fallback", policy="Fallback", reason="no ranking"),
         "no learned ranking in the bundle"),
        (ev.Predicted(action="utter_hours", policy="Followup"), "the action before asked for it"),
        (ev.Predicted(action="utter_hours", policy="External"), "asked for from outside"),
    ],
)  # fmt: skip
def test_other_policies_say_why(choice: ev.Predicted, said: str) -> None:
    talk = Talk(restaurant())
    talk.receive("words")
    talk.add(ev.Understood(text="words", language="en"), ev.SessionStarted(), ev.Extracted(intent="odd"), choice)
    assert said in explain(turn(talk), Sources(restaurant())).headline


def test_slots_tell_who_found_them_and_that_they_were_emptied() -> None:
    lines = {line.name: line for line in chain.slots(turn(asked_order()), program())}
    assert (lines["order_id"].value, lines["order_id"].turn, lines["order_id"].here) == ("48213", 2, True)
    assert lines["order_id"].source == "entity '48213', found by test; emptied afterwards"
    assert lines["status"].source == "action_find"


def test_the_passage_that_was_used_is_marked() -> None:
    talk = Talk(program(), hits=[hit("Thirty days.", 0.9), hit("Other.", 0.3).model_copy(update={"chunk": "k2"})])
    talk.say("how long", "refunds")
    found = chain.lookup(turn(talk))
    assert found is not None and [item.used for item in found.passages] == [True, False]
    assert found.floor == 0.5


def test_a_failed_action_is_told_with_its_key() -> None:
    talk = Talk(program(), {"action_find": SkillError("action_find", "no")})
    talk.say("where is 48213", "order_status", entities=[entity("order_id", "48213")])
    found = explain(turn(talk), Sources(program(), PLACES))
    assert found.headline.startswith("The action action_find failed")
    assert [(item.action, item.key, item.place) for item in found.actions] == [("action_find", "k", "domain.yml:20")]
    assert found.actions[0].error


def test_a_turn_that_failed_says_where() -> None:
    talk = Talk(program())
    talk.receive("hello")
    talk.add(ev.Failed(code="deadline_exceeded", stage="understand"))
    talk.run()
    found = explain(turn(talk), Sources(program()))
    assert found.headline == "The turn failed at understand (deadline_exceeded), and the user was told so."
    assert found.after.failed == "understand: deadline_exceeded" and found.after.outcome == "failed"
    assert found.flips == () and "nothing was understood" in found.unknown[-1]


def test_the_wording_is_one_of_the_responses_variations() -> None:
    told = asked_order()
    (answer,) = chain.answers(turn(told), Book(program(), PLACES))
    assert (answer.text, answer.variation, answer.variations) == ("48213 is on its way", 1, 1)
    assert answer.place == "domain.yml:9"
    assert chain.worded(turn(told), program()) == {"order_id", "status"}


def test_what_came_of_an_answer_is_gathered_from_later_facts() -> None:
    talk = asked_order()
    said = next(r.event.message.id for r in talk.log if isinstance(r.event, ev.Replied) and r.turn == 1)
    talk.say("thanks", "greet")
    talk.add(
        ev.Rated(message=said, score=-1, reason="wrong"),
        ev.Rated(message="other", score=1),
        ev.Corrected(target=1, intent="refunds", by="kim"),
        ev.HandedOff(reason="complaint"),
        ev.Ended(reason="resolved"),
    )
    after = chain.aftermath(turn(talk, 1))
    assert [(item.kind, item.score, item.intent) for item in after.judgements] == [
        ("rated", -1, None), ("corrected", None, "refunds"),
    ]  # fmt: skip
    assert (after.next, after.handed_off, after.handed_off_turn, after.ended) == ("48213", "complaint", 3, "resolved")
    assert chain.corrected_to(turn(talk, 1)) == ("refunds",)
    talk.add(ev.Corrected(target=1, by="kim", withdrawn=True))
    assert chain.corrected_to(turn(talk, 1)) == ()


def test_of_an_imported_answer_it_is_told_what_is_not_known() -> None:
    talk = Talk(program())
    talk.add(
        received(1, "where is it"),
        ev.Understood(
            text="where is it", language="en", intents=(scored("greet", 1.0),), in_scope=1.0, bundle="import"
        ),
        ev.Replied(message=Message(id="b", parts=(Text(text="Hello!"),))),
        ev.Settled(outcome="replied"),
    )
    found = explain(turn(talk), Sources(program()))
    assert found.headline == "Another system answered, and took the message for greet; it left no reason."
    assert found.flips == () and found.did == ("says 'Hello!'",)
    assert "scores, candidates and reasons are not in the log" in found.unknown[0]


def test_a_message_that_came_early_takes_no_part_in_the_turn_before() -> None:
    talk = Talk(program())
    talk.receive("hello")
    talk.add(received(2, "where is it"))
    talk.run(["greet"])
    first, second = turn(talk, 1), turn(talk, 2)
    assert [event.message.id for event in first.facts if isinstance(event, ev.Received)] == ["u1"]
    assert second.text == "where is it" and second.understood is not None
    assert chain.aftermath(first).next == "where is it"


def test_an_unknown_turn_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match=r"no turn 9: it has 2 turns \(nearest: 1, 2\)"):
        turn_of("c", asked_order().log, 9)


def test_of_an_erased_conversation_that_is_said() -> None:
    talk = Talk(program())
    talk.add(ev.Erased(events=3))
    with pytest.raises(NotFound, match="what came before was erased"):
        turn_of("c", talk.log, 1)


def test_an_external_event_is_no_users_doing() -> None:
    talk = Talk(restaurant())
    talk.receive("EXTERNAL: ask_hours")
    talk.add(ev.Understood(text="", language="", intents=(scored("ask_hours", 1.0),), in_scope=1.0, source="external"))
    talk.run()
    assert explain(turn(talk), Sources(restaurant())).heard.kind == "event"


def test_an_actions_answer_is_told_as_its_own() -> None:
    said = Message(id="", parts=(Text(text="we have one"),))
    talk = Talk(shop(), {"action_look": ActionResult(slots={"found": True}, messages=(said,))})
    talk.say("is it there", "stock")
    assert [item.text for item in explain(turn(talk), Sources(shop())).answers] == ["we have one", "we have {size}"]
