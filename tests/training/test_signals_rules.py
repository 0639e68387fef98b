"""Each labelling rule: where it speaks, and its trap, where it must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core import events as ev
from bot.core.messages import Choice, Choices, Message, Text
from bot.core.protocols import ActionResult
from tests.core.talk import Talk, entity, hit, program
from tests.core.test_dialogue import TWO_STAGE
from tests.core.test_dialogue import program as scripted
from tests.training.past import Line, agent, bot, found, more, past, said, user
from training.signals import RULES, candidates, lexical, turns

FOUND = {"action_find": ActionResult(slots={"status": "on its way"})}


def shop() -> Talk:
    return Talk(program(), FOUND, [hit("thirty days", 0.9)])


def words(rule: str, talk: Talk) -> list[tuple[int, str, str, int]]:
    return said(rule, talk.log)


# Buttons ------------------------------------------------------------------------------------------------------------


def test_pressing_a_guess_labels_the_words_before_by_its_place() -> None:
    for payload, first, other in (("/order_status", 1, 0), ("/change_address", 0, 1)):
        talk = shop()
        talk.say("my order", ("order_status", 0.5), ("change_address", 0.45))
        talk.say(payload)
        assert len(words("chose_first_guess", talk)) == first
        assert words("chose_other_guess", talk) == [(1, "intent", payload[1:], 1)] * other


def test_pressing_none_of_the_guesses_only_says_what_was_not_meant() -> None:
    talk = shop()
    talk.say("my order", ("order_status", 0.5), ("change_address", 0.45))
    talk.say("/none_of_these")
    assert words("chose_none", talk) == [(1, "intent", "order_status", -1), (1, "intent", "change_address", -1)]
    assert not words("chose_first_guess", talk)
    assert not words("quick_reply", talk)


def test_the_two_stage_question_of_a_script_is_a_did_you_mean() -> None:
    for payload, rule, meant in (("/goodbye", "chose_first_guess", 1), ("/out_of_scope", "chose_none", -1)):
        talk = Talk(scripted(rules=TWO_STAGE))
        talk.say("xyz", ("goodbye", 0.4), in_scope=0.1)
        talk.say(payload)
        assert words(rule, talk) == [(1, "intent", "goodbye", meant)]


def offered(*, understood: bool, payload: str = "/order") -> list[ev.Recorded]:
    """A reply with a button, and the user who presses it."""
    buttons = Choices(options=(Choice(title="Orders", payload=payload),))
    score = ev.Scored(name="greet", score=1.0)
    facts: list[tuple[int, ev.Event]] = [
        (0, ev.Started(channel="web", sender="s")),
        (1, ev.Received(message=Message(id="u1", parts=(Text(text="hmpf order"),)), key="u1", channel="web")),
        (1, ev.Understood(text="hmpf order", language="en", intents=(score,), in_scope=float(understood))),
        (1, ev.Replied(message=Message(id="b1", parts=(Text(text="What now?"), buttons)))),
        (1, ev.Settled(outcome="replied")),
        (2, ev.Received(message=Message(id="u2", parts=(Text(text=payload),)), key="u2", channel="web")),
        (2, ev.Understood(text="Orders", language="", intents=(ev.Scored(name="order", score=1.0),), in_scope=1.0,
                          source="payload")),
        (2, ev.Replied(message=Message(id="b2", parts=(Text(text="Here."),)))),
        (2, ev.Settled(outcome="replied")),
    ]  # fmt: skip
    return [ev.Recorded(conversation="c", seq=n, turn=t, at=float(n), event=e) for n, (t, e) in enumerate(facts, 1)]


def test_a_quick_reply_labels_words_that_were_not_understood() -> None:
    assert said("quick_reply", offered(understood=False)) == [(1, "intent", "order", 1)]


def test_a_button_below_an_answer_says_nothing_of_the_words_before() -> None:
    assert said("quick_reply", offered(understood=True)) == []


def test_calling_a_person_by_button_labels_nothing() -> None:
    called = more(offered(understood=False), ev.HandedOff(reason="asked for"))
    assert said("quick_reply", called) == []


# Saying it again ----------------------------------------------------------------------------------------------------

FIRST = user("where is my parcel now", "delivery_time")
AGAIN = user("so where is my parcel right now", "order_status")


def again(*lines: Line, outcome: str | None = "resolved") -> list[ev.Recorded]:
    return past(FIRST, bot("Two days."), *lines, outcome=outcome)


def test_a_rephrase_that_helped_labels_the_first_words() -> None:
    assert said("rephrase_success", again(AGAIN, bot("In Ghent."))) == [(1, "intent", "order_status", 1)]
    assert said("rephrase_success", again(AGAIN, bot("In Ghent.", 1), outcome=None)) == [
        (1, "intent", "order_status", 1)
    ]


def test_a_rephrase_may_follow_after_one_other_remark() -> None:
    history = again(user("no", "deny"), bot("Sorry."), AGAIN, bot("In Ghent."))
    assert said("rephrase_success", history) == [(1, "intent", "order_status", 1)]


@pytest.mark.parametrize(
    "history",
    [
        again(AGAIN, bot("In Ghent."), outcome=None),
        again(AGAIN, bot("In Ghent.", -1)),
        again(AGAIN, bot("In Ghent."), user("useless"), agent("Hello.")),
        again(user("thanks a lot, bye", "goodbye"), bot("Bye.", 1)),
        again({**AGAIN, "intent": "delivery_time"}, bot("Two days.", 1)),
        again({**AGAIN, "at": "2026-03-01T10:02:30Z"}, bot("In Ghent.", 1)),
        past(FIRST, bot("Two days.", 1), AGAIN, bot("In Ghent.", 1), outcome="resolved"),
    ],
    ids=["no success", "disliked", "person", "other words", "same intent", "too late", "first was fine"],
)
def test_a_change_of_mind_is_no_rephrase(history: list[ev.Recorded]) -> None:
    assert said("rephrase_success", history) == []


def test_a_rephrase_teaches_the_passage_that_answered() -> None:
    talk = shop()
    talk.say("how long can I return it", "order_status")
    talk.at += 10
    talk.say("so how long can I return it then", "refunds")
    reply = next(r.event for r in reversed(talk.log) if isinstance(r.event, ev.Replied))
    assert isinstance(reply, ev.Replied)
    talk.add(ev.Rated(message=reply.message.id, score=1.0))
    assert ("passage", "k1") in {(task, value) for _, task, value, _ in words("rephrase_success", talk)}


def test_a_rephrase_that_ends_with_a_person_speaks_against_both_and_proposes_scope() -> None:
    history = again(AGAIN, bot("In Ghent."), user("a person please"), agent("Hello."), outcome=None)
    assert said("rephrase_handoff", history) == [
        (1, "intent", "delivery_time", -1),
        (2, "intent", "order_status", -1),
        (1, "scope", "oos", 1),
    ]
    assert said("rephrase_handoff", again(AGAIN, bot("In Ghent."))) == []
    assert said("rephrase_handoff", past(FIRST, bot("Two days."), user("a person"), agent("Hello."))) == []


def test_a_question_that_is_asked_again_was_not_answered() -> None:
    asked = user("how much is shipping", "cost")
    history = past(asked, bot("It depends."), user("hm", "deny"), bot("Sorry."), asked, bot("Five euros."))
    assert said("repeated_question", history) == [(1, "reply", "It depends.", -1)]
    assert said("repeated_question", past(asked, bot("Five euros.", 1), asked, bot("Five euros."))) == []


def test_angry_words_speak_against_the_answer_before() -> None:
    assert said("escalation", past(user("a"), bot("b"), user("this is useless"), bot("c"))) == [(1, "reply", "b", -1)]
    assert said("escalation", past(user("a"), bot("b"), user("ANSWER MY QUESTION"), bot("c")))
    assert said("escalation", past(user("a"), bot("b"), user("OK thanks"), bot("c"))) == []


def test_silence_after_a_question_speaks_against_it() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    assert words("silence", talk) == []
    other = past(user("x", at="2026-03-01T10:00:00Z"), bot("y"), outcome="resolved", name="d")
    assert said("silence", [*talk.log, *other])[0] == (1, "reply", "which order?", -1)
    assert said("silence", past(user("a", "x"), bot("b"), outcome="abandoned")) == [(1, "reply", "b", -1)]
    assert said("silence", past(user("a", "x"), bot("b", 1), outcome="abandoned")) == []


# How it ended -------------------------------------------------------------------------------------------------------


def test_thumbs_judge_the_reply_and_its_passage_and_never_name_an_intent() -> None:
    up, down = past(user("a", "x"), bot("b", 1)), past(user("a", "x"), bot("b", -1))
    assert said("thumb_up", up) == [(1, "reply", "b", 1)]
    assert said("thumb_down", down) == [(1, "reply", "b", -1), (1, "intent", "x", -1)]
    assert said("thumb_up", down) == said("thumb_down", up) == []


def test_the_thumb_of_a_reviewer_is_a_confirmation() -> None:
    reply = past(user("a", "x"), bot("b"))
    said_by = next(fact.event for fact in reply if isinstance(fact.event, ev.Replied))
    history = more(reply, ev.Rated(message=said_by.message.id, score=1, by="reviewer"))
    assert said("corrected_by_reviewer", history) == [(1, "intent", "x", 1)]
    assert said("thumb_up", history) == []


def completed() -> Talk:
    talk = shop()
    talk.say("where is my order", "order_status")
    talk.say("48213", entities=[entity("order_id", "48213")])
    return talk


def test_a_task_that_was_gone_through_confirms_its_intent() -> None:
    assert words("task_completed", completed()) == [(1, "intent", "order_status", 1)]


def test_a_task_that_took_the_wish_said_again_for_an_answer_confirms_nothing() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    talk.say("where is my order now", entities=[entity("order_id", "48213")])
    assert words("task_completed", talk) == []


def test_a_wish_that_was_met_at_once_and_closed_as_resolved_was_understood() -> None:
    talk = completed()
    assert words("closed_resolved", talk) == []
    talk.add(ev.Ended(reason="resolved"))
    assert words("closed_resolved", talk) == [(1, "intent", "order_status", 1)]
    twice = completed()
    twice.say("where is my order", "order_status")
    twice.add(ev.Ended(reason="resolved"))
    assert words("closed_resolved", twice) == []


def test_a_task_whose_end_was_disliked_confirms_nothing() -> None:
    talk = completed()
    reply = next(r.event for r in reversed(talk.log) if isinstance(r.event, ev.Replied))
    assert isinstance(reply, ev.Replied)
    talk.add(ev.Rated(message=reply.message.id, score=-1.0))
    assert words("task_completed", talk) == []


def test_an_answer_counts_as_accepted_if_liked_resolved_and_calm() -> None:
    lines = user("a", "x"), bot("b", 1)
    assert (1, "intent", "x", 1) in said("answer_accepted", past(*lines, outcome="resolved"))
    assert said("answer_accepted", past(*lines)) == []
    assert said("answer_accepted", past(*lines, user("c", "y"), bot("d", -1), outcome="resolved")) == []
    assert said("answer_accepted", past(user("a"), bot("b", 1), outcome="resolved")) == []


def test_a_hand_off_gives_the_persons_answer_to_the_question_before() -> None:
    lines = user("my kettle smells burnt", "care"), bot("Descale it.", -1), user("grrr"), bot("Sorry."), user("person")
    assert said("handoff_resolved", past(*lines, agent("I send you a new one."))) == [
        (1, "reply", "I send you a new one.", 1)
    ]
    assert said("handoff_resolved", past(*lines, bot("A moment."))) == []


def test_the_agents_note_on_the_call_for_a_person_belongs_to_the_question_before() -> None:
    lines = user("my kettle smells burnt", "care"), bot("Descale it."), user("a person", "handoff")
    noted = ev.Corrected(target=2, intent="repair", source="agent")
    history = more(past(*lines, agent("Hello.")), noted)
    assert (1, "intent", "repair", 1) in said("handoff_resolved", history)
    assert said("corrected_by_agent", history) == []
    direct = more(past(*lines, agent("Hello.")), noted.model_copy(update={"target": 1}))
    assert said("corrected_by_agent", direct) == [(1, "intent", "repair", 1)]


def test_a_hand_off_long_after_the_question_is_about_something_else() -> None:
    first = user("a question it was", "x", at="2026-03-01T10:00:00Z"), bot("b")
    history = past(*first, user("a person", at="2026-03-01T11:00:00Z"), agent("Hello."))
    assert said("handoff_resolved", history) == []


def test_people_s_words_count_as_they_are_and_the_last_one_counts() -> None:
    history = past(user("a", "x", correction="y"), bot("b"))
    assert said("corrected_by_reviewer", history) == [(1, "intent", "y", 1)]
    later = more(history, ev.Corrected(target=1, intent="oos"), ev.Corrected(target=1, reply="Better."))
    assert said("corrected_by_reviewer", later) == [
        (1, "intent", "oos", 1), (1, "scope", "oos", 1), (1, "reply", "Better.", 1)
    ]  # fmt: skip


def test_a_turn_of_which_nothing_can_be_learned_teaches_nothing() -> None:
    history = more(past(user("a", "x"), bot("b", 1), outcome="resolved"), ev.Corrected(target=1, usable=False))
    assert said("answer_accepted", history) == said("corrected_by_reviewer", history) == []


# All of them --------------------------------------------------------------------------------------------------------


def test_every_rule_states_its_meaning_and_its_trap() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.meaning.endswith("."), rule.name
        assert rule.trap.endswith("."), rule.name
        assert 0.5 <= rule.start < 1, rule.name


def test_the_page_about_labels_names_every_rule_and_its_start() -> None:
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    listed = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    assert [(name.strip(" `"), float(start)) for name, start in listed] == [(rule.name, rule.start) for rule in RULES]


def test_candidates_name_rule_version_and_facts_in_a_fixed_order() -> None:
    log = [*again(AGAIN, bot("In Ghent.", 1)), *past(user("a", "x", correction="y"), bot("b", -1), name="d")]
    once = candidates(turns(log), lexical)
    assert once == candidates(turns(log), lexical)
    assert {c.rule for c in once} >= {"rephrase_success", "answer_accepted", "thumb_down", "corrected_by_reviewer"}
    assert all(c.rule and c.version > 0 and c.events for c in once)
    by_rule = {rule.name: rule for rule in RULES}
    assert found("thumb_down", turns(log)) == [c for c in once if c.rule == "thumb_down"]
    assert by_rule["thumb_down"].supports == {"intent"}
