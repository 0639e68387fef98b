"""Whatever stands in the files of a project, reading it gives a project or a ProjectError."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.errors import ProjectError
from bot.project import load_project
from bot.yaml import parse_yaml
from tests.project.build import GOOD, write

KEYS = (
    *("version", "nlu", "flows", "intents", "entities", "slots", "responses", "actions", "forms", "rules", "stories"),
    *("intent", "examples", "synonym", "regex", "lookup", "text", "steps", "collect", "action", "next", "if", "then"),
    *("else", "set_slots", "link", "call", "handoff", "noop", "id", "nlu_trigger", "rejections", "utter", "type"),
    *("mappings", "entity", "values", "initial_value", "buttons", "condition", "custom", "name", "metadata", "a", "<<"),
)
WORDS = ("END", "greet", "order_id", "utter_hello", "slots.order_id", "text", "- hi [x](y)", "from_entity", "a", "")
scalars = (
    st.sampled_from(WORDS)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.text("ab :-{}[]()\\/_é1.", max_size=8)
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)
noise = st.text(alphabet=":-[]{}&*!|>'\"%#?,\n\t ab1~\0é\ud800", max_size=60)


def dumped(tree: object) -> str:
    """The tree as flow-style YAML, of which JSON is nearly a part."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {dumped(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(dumped, tree)) + "]"
    if isinstance(tree, str):
        return "'" + tree.replace("'", "''") + "'"
    return (
        {True: "true", False: "false", None: "null"}.get(tree, str(tree)) if not isinstance(tree, float) else str(tree)
    )


def attempt(name: str, text: str) -> None:
    with TemporaryDirectory() as folder:
        content = text.encode("utf-8", "surrogatepass")
        root = write(Path(folder), {"domain.yml": GOOD["domain.yml"], name: content})
        try:
            load_project(root)
        except ProjectError as error:
            assert str(error)


@settings(max_examples=60)
@given(noise | trees.map(dumped))
def test_any_text_is_yaml_or_a_project_error(text: str) -> None:
    try:
        parse_yaml(text, "a.yml").plain()
    except ProjectError as error:
        assert error.where.startswith("a.yml")


top_keys = st.sampled_from(KEYS[:11])
sections = st.dictionaries(top_keys, trees, min_size=1, max_size=4)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(sections.map(dumped))
def test_any_project_is_read_or_refused(text: str) -> None:
    attempt("data/any.yml", text)


@pytest.mark.slow
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["data/any.yml", "domain.yml", "config.yml"]), noise | sections.map(dumped) | trees.map(dumped))
def test_any_project_is_read_or_refused_at_length(name: str, text: str) -> None:
    attempt(name, text)


shaped = st.fixed_dictionaries(
    {},
    optional={
        "nlu": st.lists(st.dictionaries(st.sampled_from(KEYS[11:17]), trees, max_size=3), max_size=3),
        "flows": st.dictionaries(
            st.sampled_from(["a", "b"]),
            st.fixed_dictionaries(
                {"steps": st.lists(st.dictionaries(st.sampled_from(KEYS[17:36]), trees, max_size=3), max_size=4)},
                optional={"nlu_trigger": trees, "if": trees, "persisted_slots": trees},
            ),
        ),
        "slots": st.dictionaries(
            st.sampled_from(["a", "b"]), st.dictionaries(st.sampled_from(KEYS[34:42]), trees, max_size=5)
        ),
        "responses": st.dictionaries(
            st.sampled_from(["utter_a", "b"]),
            st.lists(st.dictionaries(st.sampled_from(KEYS[38:48]), trees, max_size=3), max_size=3),
        ),
        "intents": st.lists(trees, max_size=3),
        "entities": st.lists(trees, max_size=3),
    },
)


@pytest.mark.slow
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(shaped.map(dumped))
def test_projects_of_nearly_the_right_shape_are_read_or_refused(text: str) -> None:
    attempt("data/any.yml", text)
