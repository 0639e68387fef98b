"""Faults of Rasa projects, one of each kind: each is an error with its file, its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.project import ProjectErrors
from tests.project.build import script

S, R, D, N, F = "data/more.yml", "data/rules2.yml", "domain/more.yml", "data/nlu2.yml", "domain/forms.yml"
KINDS: dict[str, tuple[str, str, int, str]] = {
    "a tab instead of spaces": (S, "stories:\n\t- story: a\n", 2, "use spaces"),
    "a colon inside a text": (D, "responses:\n  utter_a:\n  - text: note: this\n", 3, "put the text in quotes"),
    "a list that is never closed": (S, "stories: [{story: a\n", 2, "not valid YAML"),
    "a key written twice": (S, "stories: []\nstories: []\n", 2, "keep one of them"),
    "a misspelt section": (S, "storys: []\n", 1, "did you mean 'stories'?"),
    "stories that are no list": (S, "stories:\n  story: a\n", 2, "must be a list of items"),
    "a rule among the stories": (S, "stories:\n- rule: a\n  steps: []\n", 2, "this belongs below `rules:`"),
    "a story without a name": (S, "stories:\n- steps:\n  - intent: greet\n", 2, "`story` is missing"),
    "steps that are no list": (S, "stories:\n- story: a\n  steps: {intent: greet}\n", 3, "`steps` must be a list"),
    "a misspelt key of a story": (S, "stories:\n- story: a\n  step: []\n", 3, "did you mean 'steps'?"),
    "an unknown kind of step": (
        S,
        "stories:\n- story: a\n  steps:\n  - says: hi\n",
        4,
        "a step with one of intent, user",
    ),
    "a misspelt key of a step": (
        S,
        "stories:\n- story: a\n  steps:\n  - intent: greet\n    entites: [city]\n",
        5,
        "did you mean 'entities'?",
    ),
    "a step without an intent": (S, "stories:\n- story: a\n  steps:\n  - intent:\n", 4, "`intent` is missing"),
    "an entity that is no name": (
        S,
        "stories:\n- story: a\n  steps:\n  - intent: greet\n    entities: [[city]]\n",
        5,
        "such as `- city` or `- city: Rome`",
    ),
    "broken markup in a message": (S, "stories:\n- story: a\n  steps:\n  - user: to [Rome]{city}\n", 4, "is not JSON"),
    "a slot condition without a slot": (
        S,
        "stories:\n- story: a\n  steps:\n  - slot_was_set:\n",
        4,
        "`slot_was_set` is empty; name a slot",
    ),
    "an empty or": (S, "stories:\n- story: a\n  steps:\n  - or: []\n", 4, "list at least one way"),
    "an action inside or": (
        S,
        "stories:\n- story: a\n  steps:\n  - or:\n    - action: utter_hello\n",
        5,
        "is `intent:`, `user:` or `slot_was_set:`",
    ),
    "a gap in a story": (S, "stories:\n- story: a\n  steps:\n  - '...'\n", 4, "for rules only; remove it"),
    "the form step of Rasa 1": (S, "stories:\n- story: a\n  steps:\n  - form: trip_form\n", 4, "`active_loop:` since"),
    "an action that does not exist": (
        S,
        "stories:\n- story: a\n  steps:\n  - action: action_boook\n",
        4,
        "did you mean 'action_book'?",
    ),
    "a response that does not exist": (
        R,
        "rules:\n- rule: a\n  steps:\n  - intent: deny\n  - action: utter_wrong_number\n",
        5,
        "write it under `responses:`",
    ),
    "a condition that is an intent": (
        R,
        "rules:\n- rule: a\n  condition:\n  - intent: greet\n  steps:\n  - action: utter_bye\n",
        4,
        "is `slot_was_set:` or `active_loop:`",
    ),
    "a flag that is no truth value": (
        R,
        "rules:\n- rule: a\n  conversation_start: yes\n  steps:\n  - action: utter_bye\n",
        3,
        "must be true or false",
    ),
    "forms as a list": (F, "forms:\n- trip\n", 2, "must be a map such as `my_form"),
    "a form with mappings as in Rasa 2": (
        F,
        "forms:\n  old:\n    required_slots:\n      city:\n      - type: from_entity\n        entity: city\n",
        4,
        "add to `mappings:` of 'city' what stands here, with `conditions: [{active_loop: old, requested_slot: city}]`",
    ),
    "a form with its slots at the top": (F, "forms:\n  old:\n    city:\n    - type: from_text\n", 3, "below it"),
    "a form with a slot that does not exist": (
        F,
        "forms:\n  f:\n    required_slots:\n    - ctiy\n",
        4,
        "did you mean 'city'?",
    ),
    "a form written twice": (F, "forms:\n  trip_form: {required_slots: [city]}\n", 2, "in domain.yml:9 already"),
    "a session that ends before it begins": (F, "session_config:\n  session_expiration_time: -1\n", 2, "0 for never"),
    "a slot of an unknown type": (D, "slots:\n  a:\n    type: txt\n", 3, "did you mean 'text'?"),
    "a mapping of an unknown kind": (
        D,
        "slots:\n  a:\n    type: text\n    mappings:\n    - type: from_entty\n",
        5,
        "did you mean 'from_entity'?",
    ),
    "a button without a title": (
        D,
        "responses:\n  utter_a:\n  - text: a\n    buttons:\n    - payload: /greet\n",
        5,
        "`title` is missing; expected a text",
    ),
    "examples that are no lines": (N, "nlu:\n- intent: greet\n  examples: 5\n", 3, "must be lines or a list"),
    "bot texts that are no list": (F, "e2e_actions: hello\n", 1, "must be a list of texts"),
    "a history of no states": ("config.yml", "policies:\n- {name: MemoizationPolicy, max_history: 0}\n", 2, "above 0"),
    "a threshold above one": (
        "config.yml",
        "policies:\n- name: RulePolicy\n  core_fallback_threshold: 7\n",
        2,
        "must be a number from 0 to 1",
    ),
    "an ambiguity that is no number": (
        "config.yml",
        "pipeline:\n- name: FallbackClassifier\n  ambiguity_threshold: some\n",
        2,
        "`ambiguity_threshold` must be a number from 0 to 1, found 'some'",
    ),
    "a component without a name": ("config.yml", "pipeline:\n- epochs: 5\n", 2, "such as `- name: DIETClassifier`"),
    "a server without an address": ("endpoints.yml", "action_endpoint:\n  token: a\n", 2, "`url` is missing"),
    "a channel with a text for settings": ("credentials.yml", "rest: on\n", 1, "as a map (key: value)"),
}


def test_there_are_at_least_25_kinds() -> None:
    assert len(KINDS) >= 25


@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_project_is_refused_with_file_line_and_fix(tmp_path: Path, kind: str) -> None:
    name, text, line, fix = KINDS[kind]
    with pytest.raises(ProjectErrors) as caught:
        script(tmp_path, **{name.removesuffix(".yml").replace("/", "__"): text})
    found = [error for error in caught.value.errors if fix in str(error)]
    assert found, str(caught.value)
    assert found[0].where == f"{name}:{line}"
    assert str(found[0]).startswith(f"{name}:{line}: ")
