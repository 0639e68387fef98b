"""What else makes a script: forms, sessions, slots that Rasa adds, settings of policies, and likely mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.script import Form, Session
from bot.project import ProjectErrors, load_project
from tests.project.build import RASA, load, script, write


def test_forms_and_the_session_are_read(tmp_path: Path) -> None:
    more = "forms:\n  other: {ignored_intents: greet}\n  third:\nsession_config: {session_expiration_time: 5}\n"
    found = script(tmp_path, domain__more=more).program.script
    assert found is not None
    assert found.forms == {
        "trip_form": Form(name="trip_form", required=("city", "day")),
        "other": Form(name="other", ignored_intents=("greet",)),
        "third": Form(name="third"),
    }
    assert found.session == Session(expires=5, carry_over=True)


def test_the_slots_that_rasa_adds_are_there(tmp_path: Path) -> None:
    slots = script(tmp_path, domain__more="actions: [action_query_knowledge_base]\n").program.slots
    added = ["session_started_metadata", "requested_slot", "knowledge_base_last_object"]
    assert all(not slots[name].influences and slots[name].mappings[0].kind == "controlled" for name in added)
    assert "requested_slot" not in load(tmp_path / "flows").program.slots


CONFIG = """\
    recipe: default.v1
    assistant_id: travel-bot
    language: en
    pipeline: [{name: DIETClassifier}]
    policies:
    - {name: MemoizationPolicy, max_history: 3}
    - name: RulePolicy
      core_fallback_threshold: 0.4
      core_fallback_action_name: action_book
      enable_fallback_prediction: false
    """


def test_the_settings_of_policies_are_taken_over(tmp_path: Path) -> None:
    project = script(tmp_path, config=CONFIG)
    found = project.program.script
    assert found is not None
    assert (found.history, found.fallback_below, found.fallback_action, found.fallback) == (
        3,
        0.4,
        "action_book",
        False,
    )
    assert (found.ranks, found.nlu_fallback, project.assistant_id) == (False, False, "travel-bot")


def test_without_policies_and_pipeline_rasas_own_defaults_hold(tmp_path: Path) -> None:
    found = script(tmp_path, config="pipeline:\npolicies:\n").program.script
    assert found is not None
    assert (found.history, found.ranks, found.nlu_fallback, found.fallback) == (None, True, True, True)
    assert (found.threshold, found.ambiguity) == (None, None)


def test_the_thresholds_of_the_fallback_classifier_are_taken_over(tmp_path: Path) -> None:
    pipeline = "pipeline: [{name: FallbackClassifier, threshold: 0.6, ambiguity_threshold: 0.2}]\n"
    found = script(tmp_path, config=pipeline).program.script
    assert found is not None and (found.threshold, found.ambiguity) == (0.6, 0.2)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (None, None),
        ("pipeline:\n", ()),
        ("pipeline: [{name: DIETClassifier}]\n", ()),
        ("pipeline: [{name: DucklingEntityExtractor, dimensions: [time, email, volume]}]\n", ("date", "time", "email")),
    ],
)
def test_values_are_looked_for_where_duckling_would(tmp_path: Path, config: str | None, wanted: object) -> None:
    assert script(tmp_path, config=config).built_in == wanted


def test_all_of_duckling_is_wanted_where_no_dimensions_are_named(tmp_path: Path) -> None:
    wanted = script(tmp_path, config="pipeline: [{name: DucklingHTTPExtractor}]\n").built_in
    assert wanted == ("date", "time", "duration", "number", "money", "email", "phone", "url")


def test_projects_are_joined_by_imports(tmp_path: Path) -> None:
    project = script(
        tmp_path,
        config="importers: [{name: rasa.shared.importers.multi_project.MultiProjectImporter}]\nimports: [parts/talk]\n",
        parts__talk__config="imports: [../extra.yml, ../../parts/talk]\n",
        parts__talk__domain="intents: [thank]\nresponses: {utter_welcome: [{text: Welcome}]}\n",
        parts__talk__data__rules="rules:\n- rule: thanks\n  steps: [{intent: thank}, {action: utter_welcome}]\n",
        parts__talk__tests__test_stories="stories: 5\n",
        parts__talk__compose="services: {web: {image: a}}\n",
        parts__extra="nlu:\n- intent: thank\n  examples: |\n    - thanks\n    - thank you\n",
    )
    assert project.warnings == () and "utter_welcome" in project.program.responses
    assert [example.text for example in project.nlu.examples if example.intent == "thank"] == ["thanks", "thank you"]


def test_an_import_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    config = "importers: [{name: MultiProjectImporter}]\nimports: [parts]\n"
    with pytest.raises(ProjectErrors, match=r"config\.yml:2: there is no file or folder 'parts' to import"):
        script(tmp_path, config=config)


def test_an_imported_config_that_is_no_yaml_is_reported(tmp_path: Path) -> None:
    config = "importers: [{name: MultiProjectImporter}]\nimports: [parts]\n"
    with pytest.raises(ProjectErrors, match=r"parts/config\.yml:1: not valid YAML"):
        script(tmp_path, config=config, parts__config="a: b: c\n")


def test_a_scripted_project_has_no_flows_of_our_making_and_no_warnings(tmp_path: Path) -> None:
    project = script(tmp_path)
    assert project.warnings == () and project.program.flows == {}
    assert project.places["form trip_form"] == "domain.yml:9"


def test_a_project_of_rasa_2_fills_slots_from_entities_of_their_name(tmp_path: Path) -> None:
    domain = """\
        version: "2.0"
        intents: [greet]
        entities: [name, age]
        slots: {name: {type: text}, age: {type: unfeaturized, auto_fill: false}}
        templates: {utter_hello: [{text: Hello}]}
        """
    rules = "rules: [{rule: a, steps: [{intent: greet}, {action: utter_hello}]}]\n"
    files = {"domain.yml": domain, "data/nlu.yml": RASA["data/nlu.yml"], "data/rules.yml": rules}
    project = load_project(write(tmp_path, files))
    assert [m.entity for m in project.program.slots["name"].mappings] == ["name"]
    assert project.program.slots["age"].mappings == () and not project.program.slots["age"].influences
    assert "written for version '2.0'" in str(project.warnings)


def test_groups_may_be_numbers_and_examples_stand_close_to_their_dash(tmp_path: Path) -> None:
    domain = "entities: [{topping: {groups: [1, 2]}}]\nintents: [pizza]\n"
    lines = '    -[ham]{"entity": "topping", "group": 1}\n    -one with [corn](topping)\n'
    nlu = f"nlu:\n- intent: pizza\n  examples: |\n{lines}"
    project = script(tmp_path, domain__more=domain, data__more=nlu)
    assert project.program.entities["topping"].groups == ("1", "2") and project.warnings == ()
    assert [example.text for example in project.nlu.examples if example.intent == "pizza"] == ["ham", "one with corn"]


def test_a_folder_of_domains_is_read_when_there_is_no_other(tmp_path: Path) -> None:
    project = script(tmp_path, domain=None, domains__all=RASA["domain.yml"])
    assert "greet" in project.program.intents and project.warnings == ()


def test_markdown_of_rasa_1_is_named(tmp_path: Path) -> None:
    files = {"domain.yml": "intents: [greet]\nversion: '3.1'\n", "data/nlu.md": "## intent:greet\n- hi\n"}
    assert "data/nlu.md: Markdown training data" in str(load_project(write(tmp_path, {**files})).warnings[0])


def test_a_part_of_the_domain_may_be_written_twice_the_same(tmp_path: Path) -> None:
    same = "responses: {utter_hello: [{text: Hello}]}\nforms: {trip_form: {required_slots: [city, day]}}\n"
    assert script(tmp_path, domain__same=same).warnings == ()


def test_entities_that_influence_nothing_are_left_out_of_intents(tmp_path: Path) -> None:
    project = script(tmp_path, domain__more="entities: [{mood: {influence_conversation: false}}]\n")
    assert project.program.intents["greet"].entities == ("city", "day")


def test_actions_that_want_the_domain_are_known(tmp_path: Path) -> None:
    project = script(tmp_path, domain__more="actions: [{action_more: {send_domain: true}}, action_less]\n")
    assert project.send_domain == {"action_more"}


WARNED: list[tuple[dict[str, str], str]] = [
    ({"stories": "- intent: gret"}, "data/stories.yml:4: there is no intent 'gret'; did you mean 'greet'?"),
    ({"stories": "- {intent: greet, entities: [cty]}"}, "stories.yml:4: there is no entity 'cty'; did you mean 'city'"),
    ({"stories": "- slot_was_set: [{cty: a}]"}, "stories.yml:4: there is no slot 'cty'; did you mean 'city'?"),
    ({"stories": "- active_loop: tripform"}, "stories.yml:4: there is no form 'tripform'; did you mean 'trip_form'?"),
    ({"stories": "- slot_was_set: [day]"}, "slot 'day' is named without a value; for type categorical that means"),
    (
        {"data__r": "rules: [{rule: a, steps: [{intent: greet}, {intent: deny}]}]"},
        "rule 'a' has 2 messages of the user",
    ),
    ({"data__r": "rules: [{rule: a}]"}, "rule 'a' has no steps; it is left out"),
    ({"domain__r": "forms: {x: {ignored_intents: [gret]}}"}, "domain/r.yml:1: there is no intent 'gret'"),
    ({"domain__r": "slots: {x: {type: text}}\nforms: {x_form: {required_slots: [x]}}"}, "has no question for slot 'x'"),
    (
        {"domain__r": "slots: {x: {type: text, mappings: [{type: from_text, conditions: [{active_loop: f}]}]}}"},
        "domain/r.yml:1: there is no form 'f'",
    ),
    (
        {"data__n": "nlu:\n- intent: faq/age\n  examples: |\n    - a\n    - b"},
        "there is no response 'utter_faq/age' for",
    ),
    ({"endpoints": ""}, "no code for action_book; name the action server under `action_endpoint:` in endpoints.yml"),
    (
        {"config": "recipe: a\nlanguage: pt\n"},
        "config.yml:2: the encoder that comes with the installation knows English and understands 'pt' less well",
    ),
    ({"config": "language: English, mostly\n"}, "config.yml:1: `language` 'english, mostly' is no code such as en"),
    (
        {"domain__r": "slots: {x: {type: text, mappings: [{type: custom, action: look_it_up}]}}"},
        "domain/r.yml:1: there is no action 'look_it_up'; list it under `actions:` in the domain",
    ),
    (
        {"domain__r": "slots: {x: {type: text}}\nforms: {x_form: {required_slots: [x]}}"},
        "form 'x_form' asks for slot 'x', but nothing fills it; write its `mappings:`",
    ),
    ({"data__r": "volumes: []"}, "data/r.yml:1: unknown section 'volumes' is left out; sections: version, nlu"),
    (
        {"config": "imports: [other]\n"},
        "config.yml:1: `imports` counts only with `importers: [{name: MultiProjectImporter}]`",
    ),
    ({"config": "importers:\n- name: mine.Importer\n"}, "config.yml:2: no counterpart for importer mine.Importer"),
    (
        {"config": "importers: [{name: MultiProjectImporter}]\nimports: ../other\n"},
        "config.yml:2: import '../other' lies outside the project and is left out; copy it into the folder",
    ),
    (
        {"data__n": "nlu:\n- intent: greet\n  examples: |\n    - hi\n    you\n"},
        "data/n.yml:5: an example must start with `- `; 'you' is skipped",
    ),
    (
        {"data__n": "nlu:\n- intent: greet\n  examples: |\n    - in [Rome](city\n"},
        "data/n.yml:4: `](` is plain text here",
    ),
    ({"data__n": "nlu:\n- intent: greet\n  examples: |\n    - hi\n    -\n"}, "has no text and is skipped"),
    ({"data__n": "nlu:\n- intent: greet\n"}, "data/n.yml:2: intent 'greet' is left out: `examples` is missing"),
    (
        {"domain__r": "slots: {x: {type: float, initial_value: many, mappings: [{type: custom}]}}"},
        "`initial_value` 'many' is not a value for type float; the slot begins with None",
    ),
    (
        {"domain__r": "slots: {x: {type: categorical, values: [a], initial_value: b, mappings: [{type: custom}]}}"},
        "`initial_value` 'b' is not one of a; the slot begins with 'b'",
    ),
    ({"domain__r": "responses:\n  ask: [{text: a}]\n"}, "domain/r.yml:2: response 'ask': its name does not begin with"),
    ({"domain__r": "responses:\n  utter_b: [{text: ''}]\n"}, "response 'utter_b': a variation says nothing"),
    ({"domain__r": "intents: [say hi]\n"}, "intent 'say hi': no payload such as `/name` can name what has spaces"),
    ({"config": "language: en\npipeline: [{name: a.B}]\npolicies: [C]"}, "no counterpart for C, a.B; left out"),
]


@pytest.mark.parametrize(("files", "expected"), WARNED)
def test_a_likely_mistake_in_a_script_is_warned_about(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    given = dict(files)
    steps = given.pop("stories", "")
    text = f"stories:\n- story: a\n  steps:\n  {steps}\n" if steps else ""
    assert any(expected in str(warning) for warning in script(tmp_path, text, **given).warnings)
