"""Logged turns are read from facts alone, whoever wrote them: an import, a bot with flows, or a Rasa script."""

from __future__ import annotations

import numpy as np
import pytest

from bot.core import events as ev
from bot.core.conversation import Conversation
from bot.core.messages import Message, Text
from bot.core.protocols import ActionResult
from bot.core.rasa.facts import records
from tests.core import test_dialogue as scripts
from tests.core.talk import Talk, entity, hit, program
from tests.training.past import agent, bot, more, past, user
from tests.training.rasa_past import Talk as Rasa
from training.signals import conversations, lexical, of_vectors, turns
from training.signals.turns import texts

FOUND = {"action_find": ActionResult(slots={"status": "on its way"})}


def shop() -> Talk:
    return Talk(program(), FOUND, [hit("thirty days", 0.9)])


def test_an_imported_conversation_reads_as_it_was_written() -> None:
    lines = user("where is it", "order"), bot("On its way.", 1), user("thanks", "thanks", correction="bye"), bot("Bye.")
    first, second = turns(past(*lines, outcome="resolved"))
    assert (first.text, first.intent, first.answer, first.judgement) == ("where is it", "order", "On its way.", 1)
    assert (second.corrections[0].intent, second.corrections[0].source) == ("bye", "import")
    assert (first.ended, second.ended, first.last, second.last) == ("", "resolved", False, True)
    assert (first.user, first.channel, first.bundle) == ("c", "web", "import")


def test_times_between_turns_are_counted_from_the_answer_and_to_the_end_of_the_log() -> None:
    lines = user("one", at="2026-03-01T10:00:00Z"), bot("a"), user("two", at="2026-03-01T10:00:31Z"), bot("b")
    other = past(user("x", at="2026-03-01T11:00:00Z"), bot("y"), name="d")
    first, second, _ = turns([*past(*lines), *other])
    assert (first.quiet, second.quiet) == (30.0, 3569.0)


def test_evidence_names_facts_by_position_and_without_one_by_seq() -> None:
    history = past(user("hi", "greet"), bot("Hello.", 1))
    assert turns(history)[0].evidence("understood", "rated") == (2, 3, 5)
    stored = [fact.model_copy(update={"position": fact.seq + 100}) for fact in history]
    assert turns(stored)[0].evidence("understood", "rated") == (102, 103, 105)
    assert turns(stored)[0].evidence("handed_off") == (102,)


def test_a_person_who_takes_over_is_told_from_the_bot() -> None:
    taken, after = turns(past(user("help"), bot("Hm."), user("a person!"), agent("It is me.")))
    assert (taken.handed_off, after.handed_off, after.beside_person) == (False, True, False)
    assert [reply.by_person for reply in (*taken.replies, *after.replies)] == [False, True]
    assert after.answer == ""


def test_a_flow_counts_as_completed_where_it_began_if_the_user_answered_it() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    talk.say("48213", entities=[entity("order_id", "48213")])
    first, second = turns(talk.log)
    assert (first.began, first.completed, first.asked) == (("order_status",), {"order_status": 2}, True)
    assert second.completed == {}


def test_a_flow_that_asks_nothing_proves_nothing() -> None:
    talk = shop()
    talk.say("where is 48213", "order_status", entities=[entity("order_id", "48213")])
    assert turns(talk.log)[0].began == ("order_status",)
    assert turns(talk.log)[0].completed == {}


@pytest.mark.parametrize("words", ["cancel", "handoff"])
def test_a_flow_that_is_left_is_not_completed(words: str) -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    behaviour = talk.program.behaviour
    talk.say("stop", behaviour.cancel_intent if words == "cancel" else behaviour.handoff_intent)
    first, second = turns(talk.log)
    assert first.completed == {}
    assert second.handed_off == (words == "handoff")


def test_a_button_that_is_pressed_points_at_the_turn_that_showed_it() -> None:
    talk = shop()
    talk.say("orders", ("order_status", 0.5), ("change_address", 0.45))
    talk.say("/change_address")
    doubtful, click = turns(talk.log)
    assert doubtful.clarified
    assert [choice.payload for choice in doubtful.offered] == ["/order_status", "/change_address", "/none_of_these"]
    assert (click.pressed, click.pressed_in, click.said) == (doubtful.offered[1], 1, False)
    assert doubtful.corrections[0].source == "click"


def test_passages_that_answered_are_named() -> None:
    talk = shop()
    talk.say("how long can I return?", "refunds")
    assert turns(talk.log)[0].replies[0].passages == ("k1",)


def test_a_form_of_a_script_is_a_task_like_a_flow() -> None:
    talk = Talk(scripts.program())
    talk.say("a table please", "book")
    talk.say("four", "inform", entities=[entity("number", "4")])
    talk.say("at eight", "inform")
    first = turns(talk.log)[0]
    assert (first.intent, first.began, first.completed) == ("book", ("table_form",), {"table_form": 3})


def test_a_form_that_is_dropped_is_not_completed() -> None:
    talk = Talk(scripts.program())
    talk.say("a table please", "book")
    talk.say("stop it", "stop")
    assert turns(talk.log)[0].completed == {}


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_form_in_the_tracker_of_a_rasa_bot_is_a_task_too(interrupted: bool) -> None:
    past = Rasa("user-1", seed=1)
    past.session()
    past.user("report", "my laptop broke")
    past.act("problem_form")
    past.loop("problem_form")
    past.slot("requested_slot", "tag")
    past.say("Which tag?")
    past.listen()
    if interrupted:
        past.restart()
    past.user("inform", "LT-2041")
    past.act("problem_form")
    past.loop(None)
    past.listen()
    first, *_, last = turns(list(records(past.events, Conversation(id="user-1"), now=0.0)))
    assert (first.text, first.intent, last.text) == ("my laptop broke", "report", "LT-2041")
    assert first.completed == ({} if interrupted else {"problem_form": 2})


def test_what_a_script_does_not_understand_has_no_intent() -> None:
    talk = Talk(scripts.program())
    talk.say("xyz")
    turn = turns(talk.log)[0]
    assert (turn.intent, turn.actions[0].action) == ("", "action_default_fallback")


def test_ratings_and_corrections_that_come_late_reach_their_turn() -> None:
    history = past(user("one"), bot("a"), user("two"), bot("b"))
    said = history[2].event
    assert isinstance(said, ev.Replied)
    late = more(history, ev.Rated(message=said.message.id, score=-1), ev.Corrected(target=1, intent="x", audit=True))
    first, second = turns(late)
    assert (first.judgement, first.corrections[0].audit) == (-1, True)
    assert (second.ratings, second.corrections) == ((), ())


def test_what_was_taken_back_is_gone() -> None:
    history = past(user("one", "a"), bot("b"))
    late = more(history, ev.Corrected(target=1, intent="x", by="kim"), ev.Corrected(target=1, by="kim", withdrawn=True))
    assert turns(late)[0].corrections == ()


def test_nothing_is_left_of_an_erased_conversation() -> None:
    history = past(user("secret"), bot("b"))
    assert turns(more(history, ev.Erased(events=4))) == []
    assert turns([*more(history, ev.Erased(events=4)), *past(user("new"), name="d")])[0].text == "new"


def test_a_judgement_of_what_is_unknown_is_ignored() -> None:
    history = more(past(user("one"), bot("a")), ev.Rated(message="gone", score=1))
    assert turns(history)[0].ratings == ()


def test_speech_is_read_as_it_was_heard() -> None:
    message = Message(id="m", parts=(Text(text=""),))
    facts: list[ev.Event] = [
        ev.Started(channel="phone", sender="s"),
        ev.Received(message=message, key="k", channel="phone"),
        ev.Transcribed(text="spoken words", language="en", bundle="b"),
        ev.Replied(message=Message(id="r", parts=(Text(text="a"),))),
    ]
    history = [
        ev.Recorded(conversation="c", seq=n, turn=min(n - 1, 1), at=float(n), event=f) for n, f in enumerate(facts, 1)
    ]
    assert texts(turns(history)) == ["spoken words"]


def test_conversations_are_told_apart_in_a_mixed_log() -> None:
    one, other = past(user("a"), bot("b"), name="one"), past(user("c"), bot("d"), user("e"), name="other")
    mixed = [fact for pair in zip(one, other, strict=False) for fact in pair] + other[len(one) :]
    assert {name: [t.text for t in talk] for name, talk in conversations(turns(mixed)).items()} == {
        "one": ["a"],
        "other": ["c", "e"],
    }


def test_words_are_compared_by_letters_without_a_model() -> None:
    assert lexical("where is my parcel", "wher is my parcell") > 0.7 > 0.3 > lexical("where is my parcel", "thank you")
    assert lexical("same", "same") == pytest.approx(1.0)
    assert lexical("", "x") == 0.0


def test_vectors_are_made_once_for_each_text() -> None:
    asked: list[str] = []

    def vectors(batch: object) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        assert isinstance(batch, list)
        asked.extend(batch)
        return np.array([[1.0, 0.0] if text == "a" else [0.6, 0.8] for text in batch], np.float32)

    alike = of_vectors(vectors, ["a", "b", "a"])
    assert alike("a", "b") == pytest.approx(0.6)
    assert alike("b", "c") == pytest.approx(1.0)
    assert asked == ["a", "b", "c"]
