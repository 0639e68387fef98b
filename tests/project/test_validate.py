"""`bot data validate`: contradictions, unknown names and what nothing uses, each with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from bot.project.validate import Finding, validate
from tests.project.build import GOOD, RASA, write


def found(tmp_path: Path, files: Mapping[str, str | bytes | None]) -> list[str]:
    return [f"{f.level} {f}" for f in validate(write(tmp_path, {**RASA, **files}))]


def test_a_project_without_a_fault_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, {}) == []
    assert validate(write(tmp_path / "flows", {**GOOD})) == ()


def test_a_story_against_a_rule_is_shown_with_both_places(tmp_path: Path) -> None:
    steps = "[{intent: greet}, {action: utter_hello}, {intent: bye},\n  {action: utter_hello}]"
    story = f"stories:\n- story: odd\n  steps: {steps}\n"
    (finding,) = found(tmp_path, {"data/more.yml": story})
    assert finding.startswith("error data/more.yml:3: 'odd' has 'utter_hello' here, but rule 'bye' (data/rules.yml:6)")
    assert "calls for 'utter_bye'; change one of them" in finding


def test_a_rule_against_a_rule_is_found(tmp_path: Path) -> None:
    rule = "rules:\n- rule: longer\n  steps:\n  - intent: bye\n  - action: utter_bye\n  - action: utter_sure\n"
    assert any(
        "'longer'" in finding and "end of the bot's turn" in finding
        for finding in found(tmp_path, {"data/more.yml": rule})
    )


def test_a_form_that_a_rule_is_inside_of_needs_no_further_word(tmp_path: Path) -> None:
    steps = "[{intent: deny}, {action: utter_sure}, {action: trip_form}]"
    rule = f"rules:\n- rule: on\n  condition: [{{active_loop: trip_form}}]\n  steps: {steps}\n"
    assert not [finding for finding in found(tmp_path, {"data/more.yml": rule}) if "nothing says" in finding]


def test_responses_of_rasas_own_actions_are_used(tmp_path: Path) -> None:
    domain = "responses:\n  utter_restart: [{text: Again}]\n  utter_back: [{text: Back}]\n"
    assert found(tmp_path, {"domain/more.yml": domain}) == []


def test_the_two_stage_fallback_is_a_loop_without_a_form(tmp_path: Path) -> None:
    loop = "action_two_stage_fallback"
    rule = f"rules:\n- rule: doubt\n  steps: [{{intent: nlu_fallback}}, {{action: {loop}}}, {{active_loop: {loop}}}]\n"
    assert found(tmp_path, {"data/more.yml": rule}) == []


RULES = """\
    rules:
    - rule: full
      steps:
      - intent: affirm
      - action: utter_sure
      - slot_was_set: [{city: Rome}]
    - rule: short
      steps:
      - intent: deny
      - action: utter_sure
      - action: trip_form
    """


def test_a_rule_that_leaves_out_what_others_say_is_found(tmp_path: Path) -> None:
    findings = found(tmp_path, {"data/more.yml": RULES})
    assert any(f.startswith("error data/more.yml:10: rule 'short': 'utter_sure' sets city in other") for f in findings)
    assert any(
        f.startswith("error data/more.yml:11: rule 'short': nothing says whether form 'trip_form'") for f in findings
    )


def test_what_a_rule_that_does_not_wait_leaves_open_is_no_fault(tmp_path: Path) -> None:
    rules = RULES.replace("- action: trip_form", "").replace(
        "rule: short\n", "rule: short\n      wait_for_user_input: false\n"
    )
    findings = found(tmp_path, {"data/more.yml": rules, "data/stories.yml": None})
    assert not any(finding.startswith("error") for finding in findings)


UNUSED = {
    "domain/more.yml": """\
        intents: [idle]
        responses: {utter_idle: [{text: Idle}]}
        forms: {idle_form: {required_slots: []}}
        """,
    "data/more.yml": "nlu:\n- intent: idle\n  examples: |\n    - a\n    - b\n",
}


def test_what_nothing_uses_is_named(tmp_path: Path) -> None:
    assert found(tmp_path, {**UNUSED}) == [
        "warning domain/more.yml:1: intent 'idle' is used in no rule, story, flow, form or mapping",
        "warning domain/more.yml:2: response 'utter_idle' is never used; only an action could say it",
        "warning domain/more.yml:3: form 'idle_form' is started by no rule or story; add `- action: idle_form`",
    ]


def test_an_intent_that_a_button_sends_is_used(tmp_path: Path) -> None:
    more = {
        **UNUSED,
        "domain/b.yml": "responses: {utter_default: [{text: a, buttons: [{title: b, payload: /idle}]}]}\n",
    }
    assert not any("intent 'idle'" in finding for finding in found(tmp_path, more))


def test_intents_that_come_from_outside_need_no_examples(tmp_path: Path) -> None:
    domain = {"domain/x.yml": "intents: [EXTERNAL_rain, remind]\n", "actions/a.py": "name = 'remind'\n"}
    assert [f for f in found(tmp_path, domain) if "no examples" in f] == []


def test_a_form_may_ask_for_any_slot(tmp_path: Path) -> None:
    assert found(tmp_path, {"domain/x.yml": "responses: {utter_ask_sure: [{text: Sure}]}\n"}) == []


def test_documents_answer_what_no_rule_does(tmp_path: Path) -> None:
    more = {**UNUSED, "bot.yml": "knowledge: [a.md]\n", "a.md": "# A"}
    assert not any("intent 'idle'" in finding for finding in found(tmp_path, more))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "data/s.yml",
            "stories: [{story: a, steps: [{intent: gret}]}]",
            "error data/s.yml:1: there is no intent 'gret'",
        ),
        ("data/s.yml", "stories: [{story: a, steps: [{action: utter_x}]}]", "error data/s.yml:1: there is no response"),
        ("data/s.yml", "nlu: [{intent: bye, examples: ['no', x]}]", "warning data/s.yml:1: 'no' belongs to 'deny' in"),
        ("domain/s.yml", "intents: [lonely]", "warning domain/s.yml:1: intent 'lonely' has no examples"),
    ],
)
def test_what_loading_finds_is_sorted_by_its_weight(tmp_path: Path, name: str, text: str, expected: str) -> None:
    assert any(finding.startswith(expected) for finding in found(tmp_path, {name: text}))


def test_the_command_tells_and_its_exit_code_counts(tmp_path: Path) -> None:
    root = write(tmp_path, {**RASA, **UNUSED})
    run = CliRunner()
    assert run.invoke(app, ["data", "validate", str(root)]).exit_code == 0
    assert run.invoke(app, ["data", "validate", str(root), "--strict"]).exit_code == 1
    write(tmp_path, {"data/x.yml": "stories: [{story: a, steps: [{intent: gret}]}]"})
    result = run.invoke(app, ["data", "validate", str(root), "--json"])
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["errors"], shown["warnings"]) == (1, 1, 3)
    assert {tuple(finding) for finding in shown["findings"]} == {("level", "message", "where")}
    assert str(Finding("error", "a")) == "a"
