"""Which logged choices the ranking learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from bot.core import events as ev
from bot.core.findings import Scored
from bot.core.program import Program
from tests.core.talk import Talk
from tests.core.test_dialogue import program
from training.gate.measured import Judged
from training.ranking_log import UNOPPOSED, choices, judged_choices


def talk(score: float = 0.9) -> Talk:
    """Two turns that stories remember, and one that only the ranking had an idea about."""
    found = Talk(program())
    found.say("hello", "greet")
    found.say("great", "great")
    found.ranking = {"action_listen": Scored(name="utter_help", score=score)}
    found.say("no", "deny")
    return found


def weights(found: Talk, policy: str) -> dict[str, float]:
    """The weights of the actions that a policy chose."""
    chosen = {r.event.action for r in found.log if isinstance(r.event, ev.Predicted) and r.event.policy == policy}
    learned = choices(found.log, found.program)
    return {item.action: item.weight for item in learned if item.action in chosen and item.action != "action_listen"}


def reply(found: Talk, turn: int) -> str:
    return next(r.event.message.id for r in found.log if isinstance(r.event, ev.Replied) and r.turn == turn)


def test_remembered_stories_count_a_little_and_guesses_that_nobody_judged_not_at_all() -> None:
    assert weights(talk(), "MemoizationPolicy") == {"utter_greet": UNOPPOSED, "utter_happy": UNOPPOSED}
    assert weights(talk(), "RankingPolicy") == {}


def test_what_was_rated_well_counts_fully_and_what_was_rated_badly_not() -> None:
    found = talk()
    found.add(ev.Rated(message=reply(found, 3), score=1), ev.Rated(message=reply(found, 1), score=-1))
    found.add(ev.Rated(message="elsewhere", score=1), ev.Rated(message=reply(found, 2), score=0))
    assert weights(found, "RankingPolicy") == {"utter_help": 1.0}
    assert weights(found, "MemoizationPolicy") == {"utter_happy": UNOPPOSED}


def test_a_corrected_turn_teaches_nothing() -> None:
    found = talk()
    found.add(ev.Corrected(target=1, intent="bye"))
    assert "utter_greet" not in weights(found, "MemoizationPolicy")


def test_what_a_person_chose_counts_fully_with_the_states_before_it() -> None:
    found = talk()
    found.receive("hm")
    found.add(ev.Understood(text="hm", language="en"), ev.Extracted(intent="deny"))
    found.add(ev.Predicted(action="utter_cheer_up", policy="External"))
    last = choices(found.log, found.program)[-1]
    assert (last.action, last.weight, last.texts[-1]) == ("utter_cheer_up", 1.0, "hm")
    assert last.states[-1].intent == "deny"


def test_what_came_without_a_policy_from_another_system_was_chosen_by_no_person() -> None:
    found = talk()
    found.receive("hm")
    found.add(ev.Understood(text="hm", language="en"), ev.Extracted(intent="deny"))
    found.add(ev.Predicted(action="utter_cheer_up", policy="External", reason="import"))
    assert choices(found.log, found.program)[-1].weight == UNOPPOSED


def test_actions_that_no_story_has_any_more_are_left_out() -> None:
    found = talk()
    fewer = program(stories=program().script.stories[1:])  # type: ignore[union-attr]
    assert "utter_happy" in {choice.action for choice in choices(found.log, fewer)}
    assert choices(found.log, program(stories=())) == ()


def test_a_broken_history_is_read_up_to_the_break() -> None:
    found = talk()
    cut = [recorded for recorded in found.log if recorded.seq < 6 or recorded.seq > 8]
    assert len(choices(cut, found.program)) < len(choices(found.log, found.program))


@pytest.mark.parametrize("without", [Program(), Program(script=None)])
def test_a_program_without_a_script_learns_nothing(without: Program) -> None:
    assert choices(talk().log, without) == ()


class Says:
    """A ranking that always says the same."""

    actions = ("utter_help", "utter_greet")

    def scores(self, states: Sequence[object], texts: Sequence[object]) -> npt.NDArray[np.float32]:
        return np.tile(np.array([1.0, 0.0, 9.0], np.float32), (len(states), 1))


def test_held_out_choices_are_judged_row_by_row_by_their_talk() -> None:
    found = talk()
    found.add(ev.Rated(message=reply(found, 3), score=1), ev.Rated(message=reply(found, 1), score=1))
    held = [choice for choice in choices(found.log, found.program) if choice.weight >= 1]
    rows: list[Judged] = judged_choices(Says(), held)
    assert {row.right: row.score for row in rows if row.right != "action_listen"} == {"utter_help": 1, "utter_greet": 0}
    assert {row.origin.group for row in rows} == {found.log[0].conversation}
    assert judged_choices(Says(), []) == []
