"""Playing test stories against the real core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bot.testing.playing import MOST_ACTIONS, UNKNOWN, Check, Compared, play_stories
from bot.testing.reading import read_stories
from tests.testing.small import PROGRAM, SUBJECT, played, write


def wrong(tested: Compared) -> list[tuple[str, str, str, int]]:
    return [(c.kind, c.expected, c.got, int(c.where.rpartition(":")[2])) for c in tested.checks if not c.right]


def policies(tested: Compared) -> list[tuple[str, str]]:
    return [(check.got, check.policy) for check in tested.checks if check.kind in ("action", "listen")]


async def test_a_story_that_the_bot_follows_passes(tmp_path: Path) -> None:
    steps = (
        "- user: hello\n  intent: greet\n- action: utter_hi\n- user: I am fine\n  intent: good\n- action: utter_glad"
    )
    tested = await played(tmp_path, steps)
    assert tested.passed and len(tested.counted) == 4
    assert policies(tested)[0] == ("utter_hi", "MemoizationPolicy")


async def test_a_wrong_intent_is_found_and_the_talk_goes_on_as_the_story_has_it(tmp_path: Path) -> None:
    tested = await played(tmp_path, "- user: hello\n  intent: goodbye\n- action: utter_bye")
    assert wrong(tested) == [("intent", "goodbye", "greet", 4)]


async def test_a_wrong_action_is_found_with_its_policy(tmp_path: Path) -> None:
    tested = await played(tmp_path, "- user: bye\n  intent: goodbye\n- action: utter_hi\n- action: utter_joke")
    assert wrong(tested)[0] == ("action", "utter_hi", "utter_bye", 6)
    assert policies(tested)[0] == ("utter_bye", "RulePolicy")


async def test_a_bot_that_would_go_on_where_the_story_ends_is_wrong(tmp_path: Path) -> None:
    steps = "- intent: greet\n- action: utter_hi\n- intent: bad\n- action: utter_sorry\n"
    steps += "- intent: goodbye\n- action: utter_bye"
    tested = await played(tmp_path, steps)
    assert wrong(tested) == [("listen", "action_listen", "utter_joke", 7)]
    assert [judged.right for judged in tested.counted] == [True, False, True]


async def test_entities_are_compared_as_the_domain_knows_them(tmp_path: Path) -> None:
    tested = await played(tmp_path, "- user: to [Rome](city)\n  intent: book\n- user: to Rome\n  intent: book")
    found = [check for check in tested.checks if check.kind == "entities"]
    assert [(check.expected, check.got) for check in found] == [
        ("to [Rome](city)", "to [Rome](city)"), ("to Rome", "to [Rome](city)"),
    ]  # fmt: skip


async def test_what_may_be_wrong_with_the_test_itself_is_told(tmp_path: Path) -> None:
    steps = "- user: to Rome\n  intent: fly\n- action: utter_gone\n- bot: So long!\n- user: bye\n  intent: goodbye"
    tested = await played(tmp_path, steps)
    hints = [(check.kind, check.hint) for check in tested.checks if not check.right]
    assert hints[:3] == [
        ("intent", UNKNOWN),
        ("entities", "the test leaves some out, which fails in Rasa too"),
        ("action", UNKNOWN),
    ]
    assert hints[3] == ("action", "") and {hint for _, hint in hints[4:]} == {""}


async def test_what_has_no_words_is_not_understood_anew(tmp_path: Path) -> None:
    tested = await played(tmp_path, "- intent: nlu_fallback\n- action: action_default_fallback")
    assert tested.passed and [check.kind for check in tested.checks] == ["action"]


async def test_what_is_out_of_scope_counts_as_the_fallback_intent(tmp_path: Path) -> None:
    tested = await played(tmp_path, "- user: qwertz\n  intent: nlu_fallback\n- action: action_default_fallback")
    assert tested.passed


async def test_a_retrieval_intent_may_be_named_in_full_or_not(tmp_path: Path) -> None:
    steps = "- user: when do you open\n  intent: {}\n- action: utter_faq"
    full, short = [await played(tmp_path, steps.format(name)) for name in ("faq/hours", "faq")]
    assert (full.passed, short.passed) == (True, True)
    assert wrong(await played(tmp_path, steps.format("faq/prices")))[0] == ("intent", "faq/prices", "faq/hours", 4)


async def test_a_payload_is_taken_as_it_is(tmp_path: Path) -> None:
    steps = "- user: /goodbye\n  intent: goodbye\n- action: utter_bye"
    assert (await played(tmp_path, steps)).passed


async def test_a_form_goes_on_until_the_story_says_that_it_ends(tmp_path: Path) -> None:
    steps = """
- user: a table please
  intent: book
- action: trip_form
- active_loop: trip_form
- user: to [Rome](city)
  intent: book
- action: trip_form
- slot_was_set:
  - city: Rome
- active_loop: null
- action: act
"""
    tested = await played(tmp_path, steps)
    assert tested.passed, wrong(tested)


async def test_a_form_that_is_chosen_elsewhere_is_taken_to_have_refused(tmp_path: Path) -> None:
    steps = """
- intent: book
- action: trip_form
- active_loop: trip_form
- user: what is this
  intent: help
- action: utter_help
- action: trip_form
"""
    tested = await played(tmp_path, steps)
    assert tested.passed, wrong(tested)


async def test_the_ranking_is_asked_and_may_be_unsure(tmp_path: Path) -> None:
    steps = "- intent: help\n- action: utter_joke"
    asked = await played(tmp_path, steps)
    assert policies(asked)[0] == ("utter_joke", "RankingPolicy")
    assert asked.checks[0].confidence == 0.8
    none = await played(tmp_path, steps, replace(SUBJECT, rank=None))
    assert policies(none)[0] == ("action_default_fallback", "Fallback")
    known = replace(SUBJECT, program=PROGRAM.model_copy(update={"id": "x", "script": None}))
    assert policies(await played(tmp_path, steps, known))[0][1] == "Fallback"


async def test_going_round_in_circles_is_broken_off(tmp_path: Path) -> None:
    steps = "- intent: help\n" + "- action: utter_joke\n" * (MOST_ACTIONS + 1)
    tested = await played(tmp_path, steps)
    assert ("circuit breaker tripped", "") in policies(tested)


async def test_a_story_may_begin_with_an_action_or_a_slot(tmp_path: Path) -> None:
    steps = "- slot_was_set: [{happy: true}, city]\n- action: utter_joke\n- bot: some words\n"
    steps += "- user: bye\n- action: utter_bye"
    tested = await played(tmp_path, steps)
    assert [check.expected for check in tested.checks] == [
        "utter_joke", "some words", "action_listen", "utter_bye", "action_listen",
    ]  # fmt: skip


async def test_default_actions_do_what_they_do_in_a_real_talk(tmp_path: Path) -> None:
    steps = "- intent: restart\n- action: action_restart\n- user: hello\n  intent: greet\n- action: utter_hi"
    tested = await played(tmp_path, steps)
    assert tested.passed, wrong(tested)


async def test_what_rasa_writes_into_stories_about_sessions_and_listening_is_no_step(tmp_path: Path) -> None:
    steps = "- action: action_session_start\n- intent: greet\n- action: utter_hi\n- action: action_listen"
    tested = await played(tmp_path, steps)
    assert tested.passed and len(tested.counted) == 1


async def test_progress_is_told_by_stage(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    folder = write(tmp_path, [("a", "- user: bye\n  intent: goodbye"), ("b", "- intent: help")])
    await play_stories(read_stories(folder), SUBJECT, lambda stage, done: told.append((stage, done)))
    assert told == [("understanding", 1.0), ("stories", 0.5), ("stories", 1.0)]


def test_a_check_is_right_when_both_sides_are_the_same() -> None:
    assert Check("action", "a", "a", "f:1").right and not Check("action", "a", "b", "f:1").right
