"""What `bot train` hands to the gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.proving import player, policy
from bot.config import GateSettings, Settings
from bot.core.errors import InputError, SettingsError
from skills.encoder import Encoder
from tests.project.build import load

CRITICAL = Settings(gate=GateSettings(critical=("order",)))
SCENARIO = """\
    test_cases:
    - test_case: hello
      steps:
      - user: hello
        assertions:
        - bot_uttered: {utter_name: utter_hello}
    """


def test_the_project_says_what_is_critical_and_the_caller_what_is_waived(tmp_path: Path) -> None:
    found = policy(load(tmp_path), CRITICAL, ["order", "latency"], patch=True, improve=False)
    assert sorted(found.critical) == ["order"]
    assert sorted(found.waived) == ["latency", "order"]
    assert found.release == "patch"


def test_a_critical_intent_that_does_not_exist_is_named(tmp_path: Path) -> None:
    wrong = Settings(gate=GateSettings(critical=("ordr",)))
    with pytest.raises(SettingsError, match="no intent 'ordr'; did you mean 'order'"):
        policy(load(tmp_path), wrong, [], patch=False, improve=False)


def test_only_what_exists_can_be_waived(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--waive takes .*flips.* found 'everything'"):
        policy(load(tmp_path), CRITICAL, ["everything"], patch=False, improve=False)


def test_a_project_without_tests_has_nothing_to_play(tmp_path: Path) -> None:
    assert player(load(tmp_path), Encoder.load()) is None


def test_skills_that_cannot_run_the_project_fail_its_tests(tmp_path: Path) -> None:
    play = player(load(tmp_path, {"tests/hello.yml": SCENARIO}), Encoder.load())
    assert play is not None
    (tmp_path / "empty").mkdir()
    found = play(tmp_path / "empty")
    assert found is not None
    assert list(found.values()) == [False]
    assert "hello (tests/hello.yml" in next(iter(found))
