"""Scripted turns: rules, stories, forms, fallbacks, sessions."""

from __future__ import annotations

import pytest

from bot.core import events as ev
from bot.core.dialogue import choose, situation
from bot.core.errors import Rejected
from bot.core.extraction import extract
from bot.core.features import features, slot_feature
from bot.core.findings import Entity
from bot.core.messages import Message, Text
from bot.core.program import EntityType, Intent, MappingCondition, Program, Slot, SlotMapping
from bot.core.protocols import ActionResult
from bot.core.rules import contradictions, points
from bot.core.script import Did, Form, Gap, Heard, LoopIs, Mention, Script, Session, SlotWas, Story, StoryStep, Uttered
from bot.core.steps import Rank
from bot.core.track import Said, State
from bot.ranked import chosen as chosen_by
from tests.core.talk import SYSTEM, Talk, entity, says, scored

LISTEN = Did(action="action_listen")


def heard(intent: str, *types: str) -> Heard:
    return Heard(intent=intent, mentions=tuple(Mention(type=name) for name in types))


def did(*actions: str) -> tuple[Did, ...]:
    return tuple(Did(action=action) for action in actions)


def rule(name: str, *steps: StoryStep, starts: bool = False, waits: bool = True) -> Story:
    first: tuple[StoryStep, ...] = () if starts else (Gap(),)
    return Story(name=name, rule=True, steps=(*first, *steps, LISTEN if waits else Gap()), where=f"rules.yml:{name}")


def submit(form: str, *then: str) -> Story:
    steps: tuple[StoryStep, ...] = (LoopIs(loop=form), Gap(), Did(action=form), LoopIs(loop=None), *did(*then), LISTEN)
    return Story(name=f"submit {form}", rule=True, steps=steps)


def story(name: str, *steps: StoryStep) -> Story:
    return Story(name=name, steps=(*steps, LISTEN), where=f"stories.yml:{name}")


def slot(name: str, *mappings: SlotMapping, **more: object) -> Slot:
    return Slot.model_validate({"name": name, "mappings": mappings, **more})


def from_entity(name: str, **more: object) -> SlotMapping:
    return SlotMapping.model_validate({"kind": "from_entity", "entity": name, **more})


IN_FORM = MappingCondition(loop="table_form")
RESPONSES = [
    "greet",
    "happy",
    "cheer_up",
    "helped",
    "bye",
    "bot",
    "ask_people",
    "ask_time",
    "booked",
    "help",
    "default",
    "restart",
    "ask_seat",
    "wrong",
]
RULES = (
    rule("goodbye", heard("goodbye"), *did("utter_bye")),
    rule("bot", heard("bot_challenge"), *did("utter_bot")),
    rule("book", heard("book"), *did("table_form"), LoopIs(loop="table_form")),
    submit("table_form", "utter_booked"),
    rule("stop", LoopIs(loop="table_form"), heard("stop"), *did("action_deactivate_loop"), LoopIs(loop=None)),
)
STORIES = (
    story("happy", heard("greet"), *did("utter_greet"), heard("great"), *did("utter_happy")),
    story(
        "sad", heard("greet"), *did("utter_greet"), heard("unhappy"), *did("utter_cheer_up", "utter_helped"),
        heard("affirm"), *did("utter_happy"),
    ),
    story(
        "asks back", heard("book"), *did("table_form"), LoopIs(loop="table_form"), heard("help"),
        *did("utter_help", "table_form"), LoopIs(loop=None), *did("utter_booked"),
    ),
)  # fmt: skip
FORM = Form(name="table_form", required=("people", "time"), ignored_intents=("help",))
SLOTS = (
    slot("people", from_entity("number"), influences=False),
    slot("time", SlotMapping(kind="from_text", conditions=(MappingCondition(loop="table_form", requested="time"),)),
         influences=False),
    slot("requested_slot", influences=False),
)  # fmt: skip


def program(*, rules: tuple[Story, ...] = RULES, stories: tuple[Story, ...] = STORIES, **more: object) -> Program:
    script = {"rules": rules, "stories": stories, "forms": {"table_form": FORM}}
    names = {step.intent for s in (*rules, *stories) for step in s.steps if isinstance(step, Heard) and step.intent}
    fields: dict[str, object] = {
        "intents": {name: Intent(name=name, label=name) for name in names},
        "entities": {"number": EntityType(name="number"), "city": EntityType(name="city")},
        "slots": {s.name: s for s in SLOTS},
        "responses": {name: says(text) for name, text in SYSTEM.items()}
        | {f"utter_{name}": says(name.replace("_", " ")) for name in RESPONSES},
    }
    extra = {key: more.pop(key) for key in list(more) if key in Script.model_fields}
    return Program.model_validate({**fields, **more, "script": Script.model_validate({**script, **extra})})


def chosen(talk: Talk) -> list[tuple[str, str]]:
    return [(r.event.action, r.event.policy) for r in talk.log if isinstance(r.event, ev.Predicted)]


# Rules and stories --------------------------------------------------------------------------------------------------


def test_a_rule_answers_whenever_its_intent_comes() -> None:
    talk = Talk(program())
    assert talk.say("bye", "goodbye") == "bye"
    assert chosen(talk) == [("utter_bye", "RulePolicy"), ("action_listen", "RulePolicy")]
    assert talk.say("bye", "goodbye") == "bye"


def test_a_story_is_followed_turn_by_turn() -> None:
    talk = Talk(program())
    assert talk.say("hello", "greet") == "greet"
    assert talk.say("so sad", "unhappy") == "cheer up | helped"
    assert talk.say("yes", "affirm") == "happy"
    assert {policy for _, policy in chosen(talk)} == {"MemoizationPolicy"}


def test_a_rule_that_begins_with_an_action_does_not_make_stories_wait_after_it() -> None:
    rules = (rule("thanks", *did("utter_helped"), heard("affirm"), *did("utter_happy")),)
    told = (story("on", heard("greet"), *did("utter_helped", "utter_bye")),)
    both = program(rules=rules, stories=told)
    assert contradictions(both) == ()
    assert Talk(both).say("hello", "greet") == "helped | bye"
    assert contradictions(program(rules=(*rules, rule("short", *did("utter_helped", "utter_bot"))), stories=told))


def test_a_rule_turn_in_the_middle_does_not_break_a_story() -> None:
    talk = Talk(program())
    talk.say("hello", "greet")
    assert talk.say("are you a bot", "bot_challenge") == "bot"
    assert talk.say("great", "great") == "happy"


def test_a_story_may_begin_in_the_middle_of_a_conversation() -> None:
    talk = Talk(program())
    for _ in range(3):
        assert talk.say("hello", "greet") == "greet"
        assert talk.say("great", "great") == "happy"


def test_stories_that_differ_remember_nothing() -> None:
    torn = (*STORIES, story("other", heard("greet"), *did("utter_help")))
    talk = Talk(program(stories=torn))
    assert talk.say("hello", "greet") == "default"


def test_memory_may_be_limited_to_the_latest_states() -> None:
    talk = Talk(program(history=1, stories=STORIES[:1]))
    assert talk.say("great", "great") == "happy"


def test_what_no_story_knows_goes_to_the_ranking() -> None:
    talk = Talk(program())
    talk.ranking["action_listen"] = scored("utter_help", 0.8)
    assert talk.say("odd", "affirm") == "help"
    assert chosen(talk) == [("utter_help", "RankingPolicy"), ("action_listen", "Fallback")]


def test_a_guess_may_find_words_but_not_act_where_nothing_says_so() -> None:
    talk = Talk(program())
    talk.receive("odd")
    talk.add(ev.Understood(text="odd", language="en", intents=(scored("affirm", 1.0),), in_scope=1.0))
    talk.add(ev.SessionStarted(), ev.Extracted(intent="affirm"))
    asked = choose(talk.conversation, talk.program)
    assert isinstance(asked, Rank)
    assert asked.barred == ("table_form",)
    made = chosen_by(asked, [scored("table_form", 0.9), scored("utter_help", 0.1)], "unsure")
    assert (made.action, made.policy, made.reason) == ("action_default_fallback", "Fallback", "out of place")


def test_an_unsure_ranking_ends_in_the_fallback_and_the_message_is_taken_back() -> None:
    talk = Talk(program())
    talk.say("hello", "greet")
    before = talk.conversation.track.states
    assert talk.say("odd", "deny") == "default"
    assert talk.conversation.track.states == before
    assert talk.say("great", "great") == "happy"


def test_a_text_that_is_not_understood_goes_straight_to_the_fallback() -> None:
    talk = Talk(program())
    assert talk.say("xyz") == "default"
    assert chosen(talk) == [("action_default_fallback", "Fallback")]


def test_a_script_answers_in_any_language() -> None:
    assert Talk(program()).say("ciao", "goodbye", supported=False) == "bye"


def test_without_the_nlu_fallback_the_best_intent_counts() -> None:
    talk = Talk(program(nlu_fallback=False))
    assert talk.say("bye", "goodbye", in_scope=0.0) == "bye"


@pytest.mark.parametrize(
    ("best", "second", "understood"),
    [(0.7, 0.3, True), (0.5, 0.0, False), (0.65, 0.6, False)],
)
def test_a_ranking_below_the_projects_thresholds_is_the_nlu_fallback(
    best: float, second: float, understood: bool
) -> None:
    talk = Talk(program(threshold=0.6, ambiguity=0.1))
    said = talk.say("bye", ("goodbye", best), ("book", second), in_scope=1.0)
    assert (said == "bye") is understood


def test_answers_of_one_retrieval_intent_are_not_rivals() -> None:
    found = program(threshold=0.6, ambiguity=0.2).script
    assert found is not None
    ranking = [ev.Scored(name=name, score=score) for name, score in (("faq/a", 0.4), ("faq/b", 0.35), ("bye", 0.25))]
    assert not found.doubts(ranking) and found.doubts(ranking[:1]) and found.doubts(())


def test_without_a_default_response_the_user_is_asked_to_rephrase() -> None:
    bare = program()
    kept = {name: said for name, said in bare.responses.items() if name != "utter_default"}
    assert Talk(bare.model_copy(update={"responses": kept})).say("xyz") == "please rephrase"


def test_a_bot_without_fallback_says_something_all_the_same() -> None:
    assert Talk(program(fallback=False, stories=())).say("xyz") == "anything else"


def test_knowledge_answers_before_the_fallback_does() -> None:
    talk = Talk(program(knowledge=True))
    assert talk.say("xyz") == "no answer"


def test_a_rule_for_the_beginning_fits_only_there() -> None:
    rules = (rule("first", heard("greet"), *did("utter_help"), starts=True), *RULES)
    talk = Talk(program(rules=rules, stories=()))
    assert talk.say("hello", "greet") == "help"
    assert talk.say("hello", "greet") == "default"


def test_the_rule_that_says_more_wins() -> None:
    more = rule("with a number", heard("goodbye", "number"), *did("utter_happy"))
    talk = Talk(program(rules=(*RULES, more)))
    assert talk.say("bye 4", "goodbye", entities=(entity("number", "4"),)) == "happy"
    assert talk.say("bye", "goodbye") == "bye"


def test_slots_decide_between_rules() -> None:
    mood = slot("mood", SlotMapping(kind="controlled"))
    rules = (
        Story(
            name="has",
            rule=True,
            steps=(SlotWas(name="mood", value="x"), Gap(), heard("a"), *did("utter_happy"), LISTEN),
        ),
        Story(
            name="any",
            rule=True,
            steps=(SlotWas(name="level", any=True), Gap(), heard("b"), *did("utter_help"), LISTEN),
        ),
        Story(name="not", rule=True, steps=(SlotWas(name="mood"), Gap(), heard("a"), *did("utter_cheer_up"), LISTEN)),
        Story(name="odd", rule=True, steps=(SlotWas(name="none"), Gap(), heard("c"), *did("utter_bot"), LISTEN)),
    )
    level = slot("level", type="categorical", values=("low", "high"))
    slots = {s.name: s for s in (*SLOTS, mood, level)}
    talk = Talk(program(rules=rules, stories=(), slots=slots))
    assert talk.say("a", "a") == "cheer up"
    assert talk.say("b", "b") == "default"
    talk.add(ev.SlotSet(name="mood", value="good"), ev.SlotSet(name="level", value="low"))
    assert talk.say("a", "a") == "happy"
    assert talk.say("b", "b") == "help"
    assert talk.say("c", "c") == "bot"


def test_a_rule_that_does_not_wait_hands_on() -> None:
    rules = (
        rule("one", heard("a"), *did("utter_help"), waits=False),
        Story(name="two", rule=True, steps=(Gap(), *did("utter_help", "utter_happy"), LISTEN)),
    )
    assert Talk(program(rules=rules, stories=())).say("a", "a") == "help | happy"


def test_end_to_end_stories_know_texts_and_say_sentences() -> None:
    told = story("texts", Heard(text="my dog ate it"), Uttered(text="Poor dog."))
    talk = Talk(program(stories=(told,)))
    assert talk.say("my dog ate it", "goodbye") == "Poor dog."


def test_retrieval_intents_say_the_response_of_the_full_intent() -> None:
    base = program(rules=(rule("faq", heard("faq"), *did("utter_faq")),))
    asked = base.model_copy(update={"responses": {**base.responses, "utter_faq/hours": says("nine to five")}})
    assert Talk(asked).say("when", "faq/hours") == "nine to five"
    assert Talk(asked).say("when", "faq/other", "faq/hours") == "nine to five"


def test_a_response_without_a_fitting_variation_is_passed_over() -> None:
    quiet = says("only mail", channel="mail")
    base = program()
    talk = Talk(base.model_copy(update={"responses": {**base.responses, "utter_bye": quiet}}))
    assert talk.say("bye", "goodbye") == "anything else"


def test_flows_are_left_to_flows() -> None:
    from tests.core.talk import program as shop

    both = shop(script=program().script, knowledge=False)
    talk = Talk(both, actions={"action_find": ActionResult()})
    assert talk.say("my order", "order_status") == "which order?"
    talk.say("48213", entities=(entity("order_id", "48213"),))
    assert talk.say("bye", "goodbye") == "anything else"  # the shop has no such response
    assert talk.say("a person", "talk_to_person") == "a person comes"


# Forms --------------------------------------------------------------------------------------------------------------


def number(value: str) -> Entity:
    return entity("number", value)


def test_a_form_asks_for_its_slots_and_is_submitted() -> None:
    talk = Talk(program())
    assert talk.say("a table", "book") == "ask people"
    assert talk.conversation.slots["requested_slot"] == "people"
    assert talk.say("four", "inform", entities=(number("4"),)) == "ask time"
    assert talk.say("at eight", "inform") == "booked"
    assert dict(talk.conversation.slots) == {"people": "4", "time": "at eight", "requested_slot": None}
    assert talk.conversation.track.loop is None


def test_a_form_takes_what_the_first_message_has() -> None:
    talk = Talk(program())
    assert talk.say("a table for 4", "book", entities=(number("4"),)) == "ask time"


def test_a_message_that_is_no_answer_is_left_to_rules_and_the_form_asks_again() -> None:
    talk = Talk(program())
    talk.say("a table", "book")
    assert talk.say("are you a bot", "bot_challenge") == "bot | ask people"
    assert talk.say("four", "inform", entities=(number("4"),)) == "ask time"


def test_a_story_may_interrupt_a_form() -> None:
    talk = Talk(program())
    talk.say("a table", "book")
    assert talk.say("help", "help") == "help | ask people"
    talk.say("four", "inform", entities=(number("4"),))
    assert talk.say("at eight", "inform") == "booked"


def test_a_rule_may_stop_a_form() -> None:
    talk = Talk(program())
    talk.say("a table", "book")
    talk.say("stop", "stop")
    assert talk.conversation.track.loop is None
    assert talk.say("bye", "goodbye") == "bye"


def test_nonsense_inside_a_form_gets_the_fallback_and_the_form_stays() -> None:
    talk = Talk(program(stories=()))
    talk.say("a table", "book")
    assert talk.say("xyz") == "default"
    assert talk.conversation.track.loop is not None
    assert talk.say("four", "inform", entities=(number("4"),)) == "ask time"


def test_a_validation_may_refuse_a_value() -> None:
    refuses = ActionResult(slots={"people": None}, messages=("utter_wrong",))
    talk = Talk(program(actions=("validate_table_form",)), actions={"validate_table_form": ActionResult()})
    talk.say("a table", "book")
    talk.actions["validate_table_form"] = refuses
    assert talk.say("99", "inform", entities=(number("99"),)) == "wrong | ask people"


def test_a_validation_may_say_what_to_ask_next_or_that_nothing_is_left() -> None:
    asks = ActionResult(slots={"requested_slot": "seat"})
    talk = Talk(program(actions=("validate_table_form",)), actions={"validate_table_form": asks})
    assert talk.say("a table", "book") == "ask seat"
    talk.actions["validate_table_form"] = ActionResult(slots={"requested_slot": None, "people": "2"})
    assert talk.say("window", "inform") == "booked"


def test_a_validation_that_fails_is_told_to_the_user() -> None:
    talk = Talk(program(actions=("validate_table_form",)), actions={"validate_table_form": ValueError("no")})
    assert talk.say("a table", "book") == "failed"
    assert talk.log[-1].event == ev.Settled(outcome="failed")


def test_a_question_may_be_an_action() -> None:
    asks = ActionResult(messages=("utter_help",))
    talk = Talk(program(actions=("action_ask_people",)), actions={"action_ask_people": asks})
    assert talk.say("a table", "book") == "help"
    assert talk.say("what", "bot_challenge") == "bot | help"
    assert talk.say("four", "inform", entities=(number("4"),)) == "ask time"


def test_a_validation_may_request_a_slot_that_an_action_asks_for() -> None:
    names = ("validate_table_form", "action_ask_seat")
    results = {
        names[0]: ActionResult(slots={"requested_slot": "seat"}),
        names[1]: ActionResult(messages=("utter_help",)),
    }
    assert Talk(program(actions=names), actions=results).say("a table", "book") == "help"


def test_a_slot_without_a_question_is_asked_for_plainly() -> None:
    base = program()
    kept = {name: said for name, said in base.responses.items() if name != "utter_ask_people"}
    assert Talk(base.model_copy(update={"responses": kept})).say("a table", "book") == "Please tell me: people."


def test_the_intent_that_starts_a_form_may_fill_a_slot() -> None:
    reason = slot("people", SlotMapping(kind="from_trigger_intent", intents=("book",), value="two"))
    slots = {s.name: s for s in (reason, *SLOTS[1:])}
    assert Talk(program(slots=slots)).say("a table", "book") == "ask time"


def test_two_forms_may_follow_each_other_in_one_turn() -> None:
    rules = (
        *RULES[:3],
        submit("table_form", "second_form"),
        rule("in second", *did("second_form"), LoopIs(loop="second_form")),
    )
    forms = {"table_form": FORM, "second_form": Form(name="second_form", required=("seat",))}
    talk = Talk(program(rules=rules, stories=(), forms=forms))
    talk.say("a table for 4", "book", entities=(number("4"),))
    assert talk.say("at eight", "inform") == "ask seat"


def test_an_entity_that_two_slots_take_goes_to_the_one_asked_for() -> None:
    slots = {s.name: s for s in (slot("people", from_entity("number")), slot("time", from_entity("number")), SLOTS[2])}
    talk = Talk(program(slots=slots))
    talk.say("a table", "book")
    assert talk.say("4", "inform", entities=(number("4"),)) == "ask time"
    assert talk.conversation.slots["people"] == "4"


def test_a_story_that_goes_on_inside_a_form_overrules_a_general_rule() -> None:
    inside = story(
        "inside", heard("book"), *did("table_form"), LoopIs(loop="table_form"), heard("bot_challenge"),
        *did("utter_bot", "utter_happy", "table_form"), LoopIs(loop=None), *did("utter_booked"),
    )  # fmt: skip
    talk = Talk(program(stories=(inside,)))
    talk.say("a table", "book")
    assert talk.say("are you a bot", "bot_challenge") == "bot | happy | ask people"
    assert contradictions(talk.program) == ()


def test_a_form_that_goes_on_after_other_talk_is_told_so() -> None:
    path = story(
        "chat", heard("book"), *did("table_form"), LoopIs(loop="table_form"), heard("help"), *did("utter_help"),
        heard("affirm"), *did("table_form"), LoopIs(loop=None), *did("utter_booked"),
    )  # fmt: skip
    goes_on = Story(
        name="on", rule=True, steps=(LoopIs(loop="table_form"), Gap(), heard("affirm"), *did("table_form"), LISTEN)
    )
    talk = Talk(program(rules=(*RULES, goes_on), stories=(path,)))
    talk.say("a table", "book")
    talk.say("help", "help")
    assert talk.say("yes", "affirm") == "ask people"
    assert "loop_interrupted" in talk.kinds(3)


def test_a_form_that_is_already_active_stays_as_it_is() -> None:
    talk = Talk(program())
    talk.say("a table", "book")
    before = talk.conversation.track.loop
    talk.add(ev.LoopChanged(loop="table_form"), ev.LoopInterrupted())
    assert talk.conversation.track.loop == before._replace(interrupted=True)  # type: ignore[union-attr]


# Slots --------------------------------------------------------------------------------------------------------------


def test_mappings_mind_intents_roles_and_conditions() -> None:
    slots = {
        s.name: s
        for s in (
            slot("yes", SlotMapping(kind="from_intent", intents=("affirm",), value=True, conditions=(IN_FORM,))),
            slot(
                "free",
                SlotMapping(kind="from_intent", intents=("affirm",), value=1, conditions=(MappingCondition(loop=""),)),
            ),
            slot("origin", from_entity("city", role="from")),
            slot("stops", from_entity("city"), type="list"),
            slot("never", from_entity("city", not_intents=("affirm",)), SlotMapping(kind="controlled")),
        )
    }
    talk = Talk(program(slots=slots, rules=(rule("yes", heard("affirm"), *did("utter_help")),)))
    rome = Entity(type="city", value="Rome", text="Rome", start=0, end=4, role="from")
    talk.say("Rome Oslo", "affirm", entities=(rome, entity("city", "Oslo", 5)))
    found = talk.conversation.slots
    assert dict(found) == {"free": 1, "origin": "Rome", "stops": ["Oslo"]}


def test_of_several_entities_a_list_takes_all_and_another_slot_the_last() -> None:
    slots = {s.name: s for s in (slot("all", from_entity("city"), type="list"), slot("one", from_entity("city")))}
    talk = Talk(program(slots=slots))
    talk.say("Rome Oslo", "goodbye", entities=(entity("city", "Rome"), entity("city", "Oslo", 5)))
    assert dict(talk.conversation.slots) == {"all": ["Rome", "Oslo"], "one": "Oslo"}


def test_a_mapping_may_ask_an_action_of_the_project() -> None:
    asks = SlotMapping(kind="controlled", action="action_look")
    never = SlotMapping(kind="controlled", action="action_look", not_intents=("goodbye",))
    slots = {s.name: s for s in (slot("mood", asks), slot("other", asks), slot("third", never))}
    actions = {"action_look": ActionResult(slots={"mood": "fine"})}
    talk = Talk(program(slots=slots, actions=("action_look",)), actions=actions)
    talk.say("bye", "goodbye")
    assert [r.event.action for r in talk.log if isinstance(r.event, ev.ActionRan)].count("action_look") == 1
    assert talk.conversation.slots["mood"] == "fine"


def test_an_entity_that_is_not_there_fills_nothing() -> None:
    slots = {s.name: s for s in (slot("city", from_entity("city"), from_entity("city", role="to")),)}
    talk = Talk(program(slots=slots, rules=(rule("yes", heard("affirm"), *did("utter_help")),)))
    talk.say("4", "affirm", entities=(number("4"),))
    assert dict(talk.conversation.slots) == {}


def test_a_mapping_counts_only_for_its_intents() -> None:
    slots = {s.name: s for s in (slot("city", from_entity("city", intents=("other",))),)}
    talk = Talk(program(slots=slots, rules=(rule("yes", heard("affirm"), *did("utter_help")),)))
    talk.say("Rome", "affirm", entities=(entity("city", "Rome"),))
    assert dict(talk.conversation.slots) == {}


def test_nothing_is_extracted_outside_of_a_scripted_turn() -> None:
    assert extract(Talk(program()).conversation, program()) == ()


@pytest.mark.parametrize(
    ("kind", "value", "feature"),
    [
        ("bool", True, "true"), ("bool", "False", "false"), ("text", "x", "set"), ("text", None, ""),
        ("list", [], ""), ("list", [1], "set"), ("categorical", "LOW", "low"), ("categorical", "none", "__other__"),
        ("float", 3, "1"), ("float", "0.25", "0.25"), ("float", "many", "set"), ("float", [1], "set"), ("any", 1, ""),
    ],
)  # fmt: skip
def test_slots_say_to_policies_what_their_type_says(kind: str, value: object, feature: str) -> None:
    made = Slot.model_validate({"name": "s", "type": kind, "values": ("low", "high")})
    assert slot_feature(made, value) == feature  # type: ignore[arg-type]


def test_numbers_count_within_their_bounds() -> None:
    assert slot_feature(Slot(name="s", type="float", minimum=2, maximum=5), 9) == "5"


def test_entities_are_seen_with_role_and_group_if_the_intent_uses_them() -> None:
    shown = (Intent(name="fly", label="fly", entities=("city",)), Intent(name="any", label="any"))
    both = program(intents={i.name: i for i in shown})
    rome = Entity(type="city", value="Rome", text="Rome", start=0, end=4, role="from", group="1")
    said = Said("fly", "Rome 4", (rome, number("4")))
    assert features(State(said=said), both).entities == {"city", "city#from", "city.1"}


def test_mentions_of_stories_are_seen_alike() -> None:
    mention = Mention(type="city", role="from", group="1")
    told = story("fly", Heard(intent="fly", mentions=(mention,)), *did("utter_help"))
    first, *_ = (point for point in points(told, program()) if point.states[-1].intent == "fly")
    assert first.states[-1].entities == {"city", "city#from", "city.1"}
    assert [p.action for p in points(story("two", heard("a"), LISTEN, heard("b")), program())][1:] == [
        "action_listen"
    ] * 2


def test_mentions_that_the_intent_does_not_use_count_for_nothing() -> None:
    told = story("fly", Heard(intent="fly", mentions=(Mention(type="city"), Mention(type="day"))), *did("utter_help"))
    uses = {"fly": Intent(name="fly", label="fly", entities=("day",))}
    assert [p.states[-1].entities for p in points(told, program(intents=uses))][1] == {"day"}


def test_slots_of_an_ignored_intent_are_not_filled() -> None:
    talk = Talk(program())
    talk.say("a table", "book")
    talk.say("help 4", "help", entities=(number("4"),))
    assert talk.conversation.slots.get("people") is None


def test_a_projects_own_validation_of_slots_runs_once_a_turn() -> None:
    name = "action_validate_slot_mappings"
    talk = Talk(program(actions=(name,)), actions={name: ActionResult(slots={"people": "9"})})
    assert talk.say("bye", "goodbye") == "bye"
    assert [r.event.action for r in talk.log if isinstance(r.event, ev.ActionRan)] == [name, "utter_bye"]
    assert talk.conversation.slots["people"] == "9"


# Custom actions -----------------------------------------------------------------------------------------------------


ACT = rule("act", heard("act"), *did("action_do", "utter_happy"))


def test_a_custom_action_runs_and_its_facts_count() -> None:
    result = ActionResult(messages=("utter_help",), events=(ev.FollowUp(action="utter_bot"),))
    talk = Talk(program(rules=(ACT,), actions=("action_do",)), actions={"action_do": result})
    assert talk.say("do it", "act") == "help | bot"
    assert ("utter_bot", "Followup") in chosen(talk)


def test_a_custom_action_that_fails_is_told_even_after_something_was_said() -> None:
    rules = (rule("act", heard("act"), *did("utter_help", "action_do")),)
    talk = Talk(program(rules=rules, actions=("action_do",)), actions={"action_do": ValueError("down")})
    assert talk.say("do it", "act") == "help | failed"
    assert talk.say("do it", "act") == "help | failed"


def test_an_action_that_refuses_leaves_the_choice_to_others() -> None:
    talk = Talk(program(rules=(ACT,), stories=(), actions=("action_do",)), actions={"action_do": Rejected("action_do")})
    assert talk.say("do it", "act") == "default"


def test_a_refused_action_is_not_remembered_either() -> None:
    stories = (story("do", heard("act"), *did("action_do")), story("else", heard("b"), *did("utter_help")))
    talk = Talk(
        program(rules=(), stories=stories, actions=("action_do",)), actions={"action_do": Rejected("action_do")}
    )
    talk.ranking["action_listen"] = scored("utter_help", 0.9)
    assert talk.say("do it", "act") == "help"


def test_an_unknown_action_is_asked_of_the_action_server() -> None:
    talk = Talk(program(rules=(ACT,)), actions={"action_do": ValueError("unknown")})
    assert talk.say("do it", "act") == "failed"


def test_a_paused_bot_says_that_a_person_has_the_conversation() -> None:
    talk = Talk(
        program(rules=(ACT, *RULES), actions=("action_do",)), actions={"action_do": ActionResult(events=(ev.Paused(),))}
    )
    assert talk.say("do it", "act") == "passed on"
    assert talk.say("bye", "goodbye") == "passed on"
    talk.add(ev.Paused(paused=False))
    assert talk.say("bye", "goodbye") == "bye"


def test_actions_may_reset_slots() -> None:
    result = ActionResult(events=(ev.SlotsReset(), ev.Foreign(name="agent"), ev.LoopInterrupted()))
    talk = Talk(program(rules=(ACT, *RULES), actions=("action_do",)), actions={"action_do": result})
    talk.say("bye 4", "goodbye", entities=(number("4"),))
    assert talk.say("do it", "act") == "happy"
    assert dict(talk.conversation.slots) == {}


def test_an_action_may_be_taken_back() -> None:
    talk = Talk(program())
    talk.say("hello", "greet")
    before = talk.conversation.track
    talk.add(ev.Reverted(what="action"))
    assert len(talk.conversation.track.states) == len(before.states) - 1
    assert talk.conversation.track.action == "utter_greet"
    talk.add(*[ev.Reverted(what="action")] * 9)
    assert talk.conversation.track.states == ()


# Default actions ----------------------------------------------------------------------------------------------------


def test_restart_forgets_everything() -> None:
    talk = Talk(program())
    talk.say("bye 4", "goodbye", entities=(number("4"),))
    assert talk.say("/restart", "restart") == "restart"
    assert dict(talk.conversation.slots) == {}
    assert talk.say("hello", "greet") == "greet"


def test_back_takes_back_the_last_message() -> None:
    talk = Talk(program())
    talk.say("hello", "greet")
    talk.say("sad", "unhappy")
    assert talk.say("/back", "back") == "Let us go one step back."
    assert talk.say("great", "great") == "happy"


def test_back_at_the_beginning_changes_nothing() -> None:
    talk = Talk(program())
    talk.say("/back", "back")
    assert talk.say("bye", "goodbye") == "bye"


def test_a_session_may_be_started_anew() -> None:
    talk = Talk(program())
    talk.say("bye 4", "goodbye", entities=(number("4"),))
    talk.say("/session_start", "session_start")
    assert dict(talk.conversation.slots) == {"people": "4"}
    assert talk.say("bye", "goodbye") == "bye"


def test_a_session_expires_and_slots_are_carried_over_or_not() -> None:
    for carry_over, left in ((True, {"people": "4"}), (False, {})):
        talk = Talk(program(session=Session(expires=10, carry_over=carry_over)))
        talk.say("bye 4", "goodbye", entities=(number("4"),))
        talk.at += 601
        talk.say("bye", "goodbye")
        assert dict(talk.conversation.slots) == left
        assert [r.event.kind for r in talk.log].count("session_started") == 2


def test_a_custom_session_start_runs_at_the_beginning() -> None:
    result = ActionResult(messages=("utter_help",), events=(ev.SessionStarted(),))
    talk = Talk(program(actions=("action_session_start",)), actions={"action_session_start": result})
    assert talk.say("bye", "goodbye") == "help | bye"
    assert talk.say("bye", "goodbye") == "bye"


def test_metadata_of_the_first_message_becomes_a_slot() -> None:
    talk = Talk(program())
    message = Message(id="u", parts=(Text(text="bye"),))
    talk.add(ev.Received(message=message, key="k", channel="test", metadata={"page": "home"}))
    talk.run(("goodbye",))
    assert talk.conversation.slots["session_started_metadata"] == {"page": "home"}


@pytest.mark.parametrize("name", ["action_revert_fallback_events", "action_unlikely_intent", "action_extract_slots"])
def test_default_actions_that_only_mark_a_place(name: str) -> None:
    assert Talk(program(rules=(rule("m", heard("m"), *did(name, "utter_help")),))).say("m", "m") == "help"


def test_affirmation_and_rephrasing_may_be_asked_for_alone() -> None:
    rules = (
        rule("a", heard("a"), *did("action_default_ask_affirmation")),
        rule("r", heard("r"), *did("action_default_ask_rephrase")),
    )
    talk = Talk(program(rules=rules))
    assert talk.say("a", "a", "r") == "did you mean"
    assert [choice.payload for choice in talk.conversation.offered] == ["/a", "/r", "/out_of_scope"]
    assert talk.say("r", "r") == "please rephrase"


def test_affirmation_shows_the_projects_words_for_none_of_these() -> None:
    base = program(rules=(rule("a", heard("a"), *did("action_default_ask_affirmation")),))
    talk = Talk(base.model_copy(update={"responses": {**base.responses, "utter_none_of_these": says("no")}}))
    talk.say("a", "a", "unknown_intent", "nlu_fallback")
    assert [choice.title for choice in talk.conversation.offered] == ["a", "no"]


TWO_STAGE = (
    rule(
        "fallback", heard("nlu_fallback"), *did("action_two_stage_fallback"), LoopIs(loop="action_two_stage_fallback")
    ),
    *RULES,
)


def test_two_stages_end_when_the_user_picks_an_intent() -> None:
    talk = Talk(program(rules=TWO_STAGE))
    assert talk.say("xyz", ("goodbye", 0.4), in_scope=0.1) == "did you mean"
    assert talk.say("/goodbye") == "bye"
    assert talk.conversation.track.loop is None


def test_two_stages_ask_to_rephrase_and_then_give_up() -> None:
    talk = Talk(program(rules=TWO_STAGE))
    talk.say("xyz", ("goodbye", 0.4), in_scope=0.1)
    assert talk.say("/out_of_scope", "out_of_scope") == "please rephrase"
    assert talk.say("zyx", ("goodbye", 0.4), in_scope=0.1) == "did you mean"
    assert talk.say("/out_of_scope", "out_of_scope") == "default"
    assert talk.conversation.track.loop is None


def test_a_rephrased_message_that_is_understood_goes_on() -> None:
    talk = Talk(program(rules=TWO_STAGE))
    talk.say("xyz", ("goodbye", 0.4), in_scope=0.1)
    talk.say("/out_of_scope", "out_of_scope")
    assert talk.say("see you", "goodbye") == "bye"


# Events from outside ------------------------------------------------------------------------------------------------


def external(talk: Talk, intent: str) -> str:
    talk.receive("")
    talk.add(ev.Understood(text="", language="", intents=(scored(intent, 1.0),), in_scope=1.0, source="external"))
    return talk.run()


def test_an_event_from_outside_is_answered_or_passes_in_silence() -> None:
    silent = rule("s", heard("silent"), *did("action_unlikely_intent"))
    talk = Talk(program(rules=(silent, *RULES)))
    assert external(talk, "goodbye") == "bye"
    assert external(talk, "silent") == ""


# What others ask of the policies ------------------------------------------------------------------------------------


def test_choose_tells_what_comes_next_without_doing_it() -> None:
    talk = Talk(program())
    talk.say("hello", "greet")
    again = choose(talk.conversation, talk.program)
    assert isinstance(again, ev.Predicted)
    assert again.action == "utter_greet"
    talk.add(ev.Reverted())
    talk.receive("odd")
    talk.add(ev.Understood(text="odd", language="en", intents=(scored("affirm", 1.0),), in_scope=1.0))
    talk.add(ev.Extracted(intent="affirm"))
    assert isinstance(choose(talk.conversation, talk.program), Rank)


def test_a_situation_holds_what_the_ranking_needs() -> None:
    talk = Talk(program())
    talk.say("hello", "greet")
    talk.say("are you a bot", "bot_challenge")
    asked = situation(talk.conversation, talk.program)
    assert asked.texts[-1] == "are you a bot"
    assert [state.action for state in asked.states] == ["", "action_listen", "utter_greet", "action_listen"]
    assert "utter_greet" in asked.actions


def test_contradictions_name_rule_and_story() -> None:
    odd = story("odd", heard("goodbye"), *did("utter_happy"))
    found = contradictions(program(stories=(*STORIES, odd)))
    assert [(c.rule, c.predicted, c.story, c.action) for c in found] == [("goodbye", "utter_bye", "odd", "utter_happy")]
    assert contradictions(program()) == ()
