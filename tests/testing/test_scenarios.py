"""Reading test conversations."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core import events as ev
from bot.core.errors import ProjectError
from bot.core.messages import Message, Text
from bot.scenarios import judge, read_scenarios


def read(folder: Path, steps: str) -> Path:
    path = folder / "cases.yml"
    path.write_text("test_cases:\n- test_case: t\n  steps:\n" + steps)
    return path


def test_rasas_short_steps_are_about_the_turn_before_them(tmp_path: Path) -> None:
    steps = "  - user: hi\n  - utter: utter_hi\n  - bot: 'Hi. You?'\n"
    steps += "  - slot_was_set: [{a: 1}, b]\n  - slot_was_not_set: [c]\n"
    (scenario,) = read_scenarios(read(tmp_path, steps))
    (step,) = scenario.steps
    assert [(wanted.name, wanted.value, wanted.where) for wanted in step.assertions] == [
        ("bot_uttered", {"utter_name": "utter_hi"}, "cases.yml:5"),
        ("bot_uttered", {"text_matches": r"^Hi\.\ You\?$"}, "cases.yml:6"),
        ("slot_was_set", [{"name": "a", "value": 1}, "b"], "cases.yml:7"),
        ("slot_was_not_set", ["c"], "cases.yml:8"),
    ]
    message = Message(id="1", name="utter_hi", parts=(Text(text="Hi. You?"),))
    slots = [ev.SlotSet(name="a", value=1), ev.SlotSet(name="b", value=2)]
    assert judge(step, [*slots, ev.Replied(message=message)]) == ()
    assert len(judge(step, [ev.SlotSet(name="c", value=1)])) == 4


def test_a_conversation_begins_with_the_user(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"cases.yml:4: expected `user: words`"):
        read_scenarios(read(tmp_path, "  - utter: utter_hi\n"))
