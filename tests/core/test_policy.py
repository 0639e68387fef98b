"""What the bot does, told as conversations."""

from __future__ import annotations

from bot.core import events as ev
from bot.core.errors import DeadlineExceeded, IntegrityError, Overloaded, ProjectError
from bot.core.messages import Audio
from bot.core.program import Act, Call, Edge, Flow, HandOff, Link, Noop, Program, SetSlots
from bot.core.protocols import ActionResult
from tests.core.talk import Talk, chain, entity, hit, mapped, program, says

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


def flows_of(*steps: object, **more: object) -> Program:
    """The shop with one more flow, "extra", that starts with intent "extra"."""
    extra = Flow(id="extra", name="Extra", triggers=("extra",), steps=chain(*steps), **more)
    base = program()
    return base.model_copy(update={"flows": {**base.flows, "extra": extra}})


def test_set_steps_branches_and_points_without_words() -> None:
    steps = (
        SetSlots(id="set", values={"status": "gold"}, next=(Edge(to="fork"),)),
        Noop(id="fork", next=(Edge(to="end", when='slots.status = "lead"'), Edge(to="tell", when="slots.status"))),
        Act(id="tell", action="utter_status", next=(Edge(to="end", when="slots.order_id"),)),
        Act(id="end", action="utter_greet"),
    )
    base = program()
    extra = Flow(id="extra", name="Extra", triggers=("extra",), steps=steps)
    talk = Talk(base.model_copy(update={"flows": {**base.flows, "extra": extra}}))
    assert talk.say("go", "extra") == " is gold"


def test_link_leaves_and_call_comes_back() -> None:
    linked = Talk(flows_of(Link(id="l", flow="greet")))
    assert linked.say("go", "extra") == "hello"
    called = Talk(flows_of(Call(id="c", flow="greet"), Act(id="x", action="utter_anything_else")))
    assert called.say("go", "extra") == "hello | anything else"


def test_cancelling_a_called_flow_leaves_its_callers_too() -> None:
    talk = Talk(flows_of(Call(id="c", flow="order_status"), Act(id="x", action="utter_anything_else")))
    assert talk.say("go", "extra") == "which order?"
    assert talk.say("stop", "cancel") == "cancelled"
    assert talk.conversation.stack == ()


def test_cancelling_a_digression_goes_back_to_what_was_interrupted() -> None:
    talk = Talk(program())
    talk.say("new address", "change_address")
    talk.say("where is it", "order_status")
    talk.say("stop", "cancel")
    assert [frame.flow for frame in talk.conversation.stack] == ["change_address"]


def test_a_flow_can_hand_off() -> None:
    talk = Talk(flows_of(HandOff(id="h", reason="complaint")))
    assert talk.say("go", "extra") == "a person comes"
    assert (talk.conversation.status, talk.conversation.stack) == ("handed_off", ())


def test_the_bot_is_called_back_by_its_button() -> None:
    resume = says("passed on", buttons=[{"title": "Back to the bot", "payload": "/resume_bot"}])
    talk = Talk(program(responses={**program().responses, "utter_with_person": resume}))
    talk.say("a human", "talk_to_person")
    talk.say("hello?")
    assert talk.say("back to the bot") == "bot is back"
    assert talk.say("hi", "greet") == "hello"


def test_a_silent_flow_still_answers() -> None:
    talk = Talk(flows_of(SetSlots(id="s", values={"status": "x"})))
    assert talk.say("go", "extra") == "anything else"


def test_a_response_whose_variations_do_not_fit_is_passed_over() -> None:
    base = flows_of(Act(id="a", action="utter_web"), Act(id="b", action="utter_greet"))
    talk = Talk(base.model_copy(update={"responses": {**base.responses, "utter_web": says("web", channel="web")}}))
    assert talk.say("go", "extra") == "hello"


def test_a_circle_without_words_is_left() -> None:
    steps = (Noop(id="a", next=(Edge(to="b"),)), Noop(id="b", next=(Edge(to="a"),)))
    base = program()
    extra = Flow(id="extra", name="Extra", triggers=("extra",), steps=steps)
    talk = Talk(base.model_copy(update={"flows": {**base.flows, "extra": extra}}))
    assert talk.say("go", "extra") == "anything else"
    left = talk.last(ev.FlowLeft)
    assert isinstance(left, ev.FlowLeft) and left.reason == "failed"


def test_a_flow_that_was_taken_out_of_the_program_is_left() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    flows = {name: flow for name, flow in talk.program.flows.items() if name != "order_status"}
    talk.program = talk.program.model_copy(update={"flows": flows})
    assert talk.say("hi", "greet") == "hello"
    assert talk.conversation.stack == ()


def test_a_person_takes_over_in_the_middle_of_an_unknown_flow() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    talk.program = talk.program.model_copy(update={"flows": {}})
    assert talk.say("a human", "talk_to_person") == "a person comes"
    assert talk.conversation.stack == ()


def test_cancel_in_a_flow_taken_out_of_the_program() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    talk.program = talk.program.model_copy(update={"flows": {}})
    assert talk.say("stop", "cancel") == "cancelled"


def test_speech_is_transcribed_first() -> None:
    talk = shop()
    talk.receive("", Audio(blob="0" * 64))
    assert talk.run(["greet"]) == "hello"
    assert talk.kinds(1)[:3] == ["received", "transcribed", "understood"]


def test_sound_without_words_is_asked_for_again_once() -> None:
    talk = shop()
    talk.receive("", Audio(blob="0" * 64))
    talk.add(ev.Transcribed(text="", language="en", bundle="b"))
    assert talk.run() == "please rephrase"
    assert talk.kinds(1) == ["received", "transcribed", "predicted", "replied", "settled"]


def test_buttons_with_plain_words_are_understood_as_words() -> None:
    words = says("which?", quick_replies=[{"title": "Status", "payload": "where is my order"}])
    talk = Talk(program(responses={**program().responses, "utter_greet": words}), FOUND)
    talk.say("hi", "greet")
    assert talk.say("Status", "order_status") == "which order?"
    understood = talk.last(ev.Understood)
    assert isinstance(understood, ev.Understood) and understood.text == "where is my order"


def test_buttons_fill_slots() -> None:
    ask = says("sure?", buttons=[{"title": "Yes!", "payload": "/SetSlots(sure=yes, nothing=1)"}])
    talk = Talk(program(responses={**program().responses, "utter_ask_sure": ask}))
    talk.say("change", "change_address", entities=[entity("order_id", "11111")])
    talk.say("Utrecht")
    assert talk.say("Yes!") == "goes to Utrecht"


def test_a_button_of_another_wish_interrupts() -> None:
    ask = says("which order?", buttons=[{"title": "Hi", "payload": "/greet"}])
    talk = Talk(program(responses={**program().responses, "utter_ask_order_id": ask}), FOUND)
    talk.say("where is it", "order_status")
    assert talk.say("Hi") == "hello | back to Order status | which order?"


def test_the_rephrase_button() -> None:
    none = says("no answer", buttons=[{"title": "Say it differently", "payload": "/rephrase"}])
    talk = Talk(program(responses={**program().responses, "utter_no_answer": none}))
    talk.say("blah")
    assert talk.say("Say it differently") == "please rephrase"


def test_yes_to_the_offer_of_a_person() -> None:
    offer = says("no answer", buttons=[{"title": "A person", "payload": "/talk_to_person"}])
    talk = Talk(program(responses={**program().responses, "utter_no_answer": offer}))
    talk.say("blah")
    assert talk.say("yes please", "affirm") == "a person comes"
    late = Talk(talk.program)
    late.say("blah")
    late.say("hi", "greet")
    assert late.say("yes please", "affirm") == "please rephrase"


def test_without_knowledge_there_is_no_search() -> None:
    talk = Talk(program(knowledge=False))
    assert talk.say("blah") == "no answer"
    assert talk.say("refunds", "refunds") == "no answer"
    talk.say("where is my order", "order_status")
    assert talk.say("refunds?", "refunds") == "please rephrase | which order?"


def test_knowledge_below_the_floor_in_a_flow_asks_again() -> None:
    talk = shop(hits=[hit("no", 0.1)])
    talk.say("where is my order", "order_status")
    assert talk.say("how old are you?") == "please rephrase | which order?"


def test_close_intents_without_flows_are_looked_up_rather_than_asked_about() -> None:
    talk = shop(hits=[hit("thirty days", 0.9)])
    assert talk.say("send back", ("refunds", 0.45), ("returns", 0.44)) == "thirty days"


def test_nobody_is_asked_whether_they_mean_yes() -> None:
    talk = shop()
    assert talk.say("ok", ("affirm", 0.45), ("greet", 0.44)) == "please rephrase"


def test_a_guarded_flow_does_not_start() -> None:
    talk = Talk(flows_of(Act(id="a", action="utter_greet"), guard="slots.status"), hits=[hit("article", 0.9)])
    assert talk.say("go", "extra") == "article"


def test_a_flow_is_not_started_twice() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    talk.say("change it", "change_address")
    talk.say("which order is it", "order_status")
    assert [frame.flow for frame in talk.conversation.stack] == ["order_status", "change_address"]


def test_a_question_is_not_taken_for_free_text() -> None:
    talk = shop(hits=[hit("we ship to all of Europe", 0.9)])
    talk.say("change", "change_address", entities=[entity("order_id", "11111")])
    assert talk.say("where do you ship to?") == "we ship to all of Europe | which city?"


def test_a_very_sure_wish_wins_over_free_text() -> None:
    talk = shop()
    talk.say("change", "change_address", entities=[entity("order_id", "11111")])
    assert talk.say("hello again", "greet") == "hello | back to Change of address | which city?"


def test_an_entity_fills_the_asked_slot_before_it_starts_another_flow() -> None:
    talk = shop()
    talk.say("where is it", "order_status")
    span = entity("order_id", "48213", 11)
    assert talk.say("it's order 48213", ("change_address", 0.8), entities=[span]) == "48213 is on its way"
    talk.say("where is it", "order_status")
    assert talk.say("no, change order 48213", ("change_address", 0.95), entities=[span]) == "which city?"


def test_other_slots_are_heard_by_the_way_and_confirmations_asked_anew() -> None:
    base = program()
    slots = {**base.slots, "city": mapped("city")}
    talk = Talk(base.model_copy(update={"slots": slots}))
    talk.say("change", "change_address", entities=[entity("city", "Delft")])
    assert talk.say("11111", entities=[entity("order_id", "11111")]) == "sure?"
    assert talk.say("no wait, Utrecht", entities=[entity("city", "Utrecht", 9)]) == "corrected | sure?"
    assert talk.say("yes", "affirm") == "goes to Utrecht"


def test_unsupported_language_in_a_flow_repeats_the_question() -> None:
    talk = shop()
    talk.say("where is it", "order_status")
    assert talk.say("weiss nicht", supported=False, language="de") == "only English | which order?"


def test_a_failed_turn_apologises_once() -> None:
    talk = shop()
    talk.receive("hi")
    talk.add(ev.Failed(code="skill_failed", stage="understand"))
    assert talk.run() == "failed"
    bare = Talk(program(responses={}))
    bare.receive("hi")
    bare.add(ev.Failed(code="skill_failed", stage="understand"))
    assert "went wrong" in bare.run()


def test_an_action_that_fails_after_words_settles_as_failed() -> None:
    talk = Talk(flows_of(Act(id="a", action="action_find")), {"action_find": RuntimeError("x")})
    talk.receive("go")
    assert talk.run(["extra"]) == "failed"


def test_an_intent_without_a_label_is_shown_by_its_name() -> None:
    talk = shop()
    talk.say("my order", ("order_status", 0.48), ("unheard_of", 0.44))
    assert [choice.title for choice in talk.conversation.offered] == ["Order_Status", "unheard_of", "None of these"]


def test_errors_name_what_happened() -> None:
    assert str(ProjectError("bad", "a.yml:3")) == "a.yml:3: bad"
    assert Overloaded("full", retry_after=2).retry_after == 2
    assert IntegrityError("x.bin", "changed").path == "x.bin"
    assert DeadlineExceeded("intent", "took 2 s").skill == "intent"


def test_slots_of_no_flow_are_heard_by_the_way_and_not_set_twice() -> None:
    base = program()
    talk = Talk(base.model_copy(update={"slots": {**base.slots, "city": mapped("city")}}))
    talk.say("where is it", "order_status")
    assert talk.say("in Delft", entities=[entity("city", "Delft")]) == "please rephrase | which order?"
    assert talk.conversation.slots["city"] == "Delft"
    talk.say("hi from Delft", "greet", entities=[entity("city", "Delft")])
    assert sum(isinstance(r.event, ev.SlotSet) and r.event.name == "city" for r in talk.log) == 1


def test_a_reply_that_names_an_earlier_value_corrects_it_however_long_it_is() -> None:
    talk = shop()
    talk.say("change", "change_address", entities=[entity("order_id", "11111")])
    words = "well no, what I really meant to say is the order with 48213"
    assert talk.say(words, "inform", entities=[entity("order_id", "48213", 54)]) == "corrected | which city?"
