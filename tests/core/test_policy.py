"""What the bot does, told as conversations."""

from __future__ import annotations

from bot.core import events as ev
from bot.core.protocols import ActionResult
from tests.core.talk import Talk, entity, hit, program

FOUND = {"action_find": ActionResult(slots={"status": "on its way"})}


def shop(**more: object) -> Talk:
    return Talk(program(), FOUND, **more)  # type: ignore[arg-type]


def test_a_one_step_flow_answers_and_settles() -> None:
    talk = shop()
    assert talk.say("hi", "greet") == "hello"
    assert talk.kinds(1) == [
        "received", "understood", "predicted", "flow_entered", "replied", "flow_left", "settled"
    ]  # fmt: skip


def test_a_flow_asks_runs_its_action_and_tells() -> None:
    talk = shop()
    assert talk.say("where is my order", "order_status") == "which order?"
    assert talk.say("48213", entities=[entity("order_id", "48213")]) == "48213 is on its way"
    assert talk.conversation.stack == ()


def test_an_entity_in_the_first_message_is_not_asked_for() -> None:
    talk = shop()
    said = talk.say("where is 48213", "order_status", entities=[entity("order_id", "48213")])
    assert said == "48213 is on its way"


def test_a_refused_value_is_explained_and_asked_again() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    assert talk.say("12", entities=[entity("order_id", "12")]) == "12 is no order | which order?"
    assert talk.say("48213", entities=[entity("order_id", "48213")]) == "48213 is on its way"


def test_a_person_is_offered_after_too_many_misses() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    assert talk.say("hm") == "please rephrase | which order?"
    talk.say("hm")
    assert talk.say("hm") == "a person? | which order?"


def test_a_question_in_between_is_answered_and_the_flow_asks_again() -> None:
    talk = shop(hits=[hit("thirty days", 0.9)])
    talk.say("where is my order", "order_status")
    assert talk.say("how long can I return?", "refunds") == "thirty days | which order?"
    assert talk.say("48213", entities=[entity("order_id", "48213")]) == "48213 is on its way"


def test_another_flow_in_between_returns_to_the_first() -> None:
    talk = shop()
    talk.say("change my address", "change_address", entities=[entity("order_id", "11111")])
    said = talk.say("where is 48213", "order_status", entities=[entity("order_id", "48213")])
    assert said == "48213 is on its way | back to Change of address | which city?"


def test_an_earlier_answer_can_be_corrected() -> None:
    talk = shop()
    talk.say("change my address for 11111", "change_address", entities=[entity("order_id", "11111")])
    assert talk.say("no, I meant 48213", entities=[entity("order_id", "48213")]) == "corrected | which city?"
    assert talk.conversation.slots["order_id"] == "48213"


def test_a_correction_after_the_end_runs_the_flow_again() -> None:
    talk = shop()
    talk.say("where is 11111", "order_status", entities=[entity("order_id", "11111")])
    assert talk.say("sorry, 48213", entities=[entity("order_id", "48213")]) == "48213 is on its way"


def test_cancel_leaves_the_flow() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    assert talk.say("forget it", "cancel") == "cancelled"
    assert talk.conversation.stack == ()
    assert talk.say("forget it", "cancel") == "nothing to cancel"


def test_yes_and_no_fill_a_bool() -> None:
    talk = shop()
    talk.say("change", "change_address", entities=[entity("order_id", "11111")])
    assert talk.say("Utrecht") == "sure?"
    assert talk.say("yes", "affirm") == "goes to Utrecht"


def test_two_close_intents_lead_to_a_question_whose_click_is_a_label() -> None:
    talk = shop()
    asked = talk.say("my order", ("order_status", 0.48), ("change_address", 0.44))
    assert asked == "did you mean"
    assert talk.say("/order_status") == "which order?"
    label = talk.last(ev.Corrected)
    assert isinstance(label, ev.Corrected)
    assert (label.target, label.intent, label.source) == (1, "order_status", "click")


def test_a_clarified_flow_keeps_the_entities_of_the_doubtful_message() -> None:
    talk = shop()
    talk.say("48213", ("order_status", 0.48), ("change_address", 0.44), entities=[entity("order_id", "48213")])
    assert talk.say("Order_Status") == "48213 is on its way"


def test_none_of_these_searches_the_doubtful_words() -> None:
    talk = shop(hits=[hit("see returns", 0.8)])
    talk.say("my order thing", ("order_status", 0.48), ("change_address", 0.44))
    assert talk.say("None of these") == "see returns"
    found = talk.last(ev.Retrieved)
    assert isinstance(found, ev.Retrieved)
    assert found.query == "my order thing"


def test_below_the_floor_the_bot_says_that_it_does_not_know() -> None:
    talk = shop(hits=[hit("irrelevant", 0.2)])
    assert talk.say("who won the election") == "no answer"


def test_a_foreign_language_gets_an_honest_answer() -> None:
    assert shop().say("wo ist mein Paket", supported=False, language="de") == "only English"


def test_hand_off_silences_the_bot_until_it_is_called_back() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    assert talk.say("a human please", "talk_to_person") == "a person comes"
    assert talk.say("hello?", "greet") == "passed on"
    assert [r.event.outcome for r in talk.log if isinstance(r.event, ev.Settled)] == [
        "replied", "handed_off", "handed_off"
    ]  # fmt: skip


def test_a_failing_action_apologises_and_leaves_the_flow() -> None:
    talk = Talk(program(), {"action_find": RuntimeError("database is down")})
    said = talk.say("where is 48213", "order_status", entities=[entity("order_id", "48213")])
    assert said == "failed"
    settled = talk.last(ev.Settled)
    assert isinstance(settled, ev.Settled)
    assert settled.outcome == "failed"
    assert talk.conversation.stack == ()


def test_a_typed_payload_that_was_not_offered_is_only_text() -> None:
    talk = shop()
    assert talk.say("/order_status") == "no answer"
    assert talk.kinds(1)[1] == "understood"
