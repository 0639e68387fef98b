"""Valid Rasa projects with damage: whatever is broken, the answer is a project or a ProjectError."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.errors import ProjectError
from bot.project.validate import validate
from bot.yaml import parse_yaml
from tests.project.build import RASA, write
from tests.project.test_fuzz import dumped, noise, scalars

MORE = {
    "config.yml": """\
        language: en
        assistant_id: a
        pipeline: [{name: DIETClassifier}, {name: FallbackClassifier, threshold: 0.3}]
        policies: [{name: MemoizationPolicy, max_history: 3}, {name: RulePolicy, core_fallback_threshold: 0.3}]
        """,
    "credentials.yml": "rest:\nsocketio: {user_message_evt: a, jwt_key: '${ABSENT_KEY}'}\n",
    "domain/more.yml": """\
        session_config: {session_expiration_time: 60, carry_over_slots_to_new_session: true}
        config: {store_entities_as_slots: true}
        e2e_actions: [Hello there]
        slots:
          amount:
            type: float
            mappings: [{type: from_text, conditions: [{active_loop: trip_form, requested_slot: day}]}]
        """,
    "data/more.yml": """\
        stories:
        - story: one
          steps:
          - or: [{intent: greet}, {user: 'hi [Rome](city)'}, {slot_was_set: [city]}]
          - checkpoint: x
        - story: two
          metadata: {a: 1}
          steps:
          - checkpoint: x
            slot_was_set: [{city: null}]
          - bot: Hello there
          - intent: deny
            entities: [day, {city: Rome, role: to}]
          - active_loop: trip_form
          - active_loop: null
          - checkpoint: x
        rules:
        - rule: three
          conversation_start: true
          wait_for_user_input: false
          condition: [{slot_was_set: [{sure: true}]}]
          steps: [{intent: affirm}, {action: utter_sure}, '...']
        """,
}
FILES = {name: dedent(str(text)) for name, text in {**RASA, **MORE}.items()}
TREES = {name: parse_yaml(text, name).plain() for name, text in FILES.items()}
names = st.sampled_from(sorted(FILES))
values: st.SearchStrategy[Any] = scalars | st.sampled_from(
    [[], {}, [None], [[]], {"a": None}, {"intent": []}, [{"greet": {}}], "..."]
)
quick = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
long = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def attempt(name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        root = write(Path(folder), {**RASA, **MORE})
        (root / name).write_bytes(content)
        try:
            validate(root)
        except ProjectError as error:
            assert str(error)


@st.composite
def damaged_bytes(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file with some bytes taken out, doubled or put in."""
    name = draw(names)
    content = FILES[name].encode()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(start + 12, len(content))))
        put = draw(st.sampled_from([b"", content[start:end] * 2]) | st.binary(max_size=3) | noise.map(_encoded))
        content = content[:start] + put + content[end:]
    return name, content


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@st.composite
def damaged_tree(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file with one or two of its values replaced, removed or moved."""
    name = draw(names)
    tree = TREES[name]
    for _ in range(draw(st.integers(1, 2))):
        tree = _replaced(tree, draw)
    return name, dumped(tree).encode("utf-8", "surrogatepass")


def _replaced(tree: Any, draw: st.DrawFn) -> Any:
    inner = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    if not inner or draw(st.integers(0, 5)) == 0:
        return draw(values)
    key, value = draw(st.sampled_from(inner))
    if isinstance(tree, list):
        times = draw(st.sampled_from([1, 1, 1, 0, 2]))
        return [*tree[:key], *[_replaced(value, draw)] * times, *tree[key + 1 :]]
    changed = dict(tree)
    match draw(st.sampled_from(["inside", "inside", "inside", "gone", "renamed"])):
        case "gone":
            del changed[key]
        case "renamed":
            changed[draw(st.sampled_from(["a", "intent", "steps", "slot_was_set", "null"]))] = changed.pop(key)
        case _:
            changed[key] = _replaced(value, draw)
    return changed


@quick
@given(damaged_bytes())
def test_a_file_with_damaged_bytes_is_read_or_refused(damage: tuple[str, bytes]) -> None:
    attempt(*damage)


@quick
@given(damaged_tree())
def test_a_file_with_damaged_structure_is_read_or_refused(damage: tuple[str, bytes]) -> None:
    attempt(*damage)


@pytest.mark.slow
@long
@given(damaged_bytes() | damaged_tree())
def test_a_damaged_file_is_read_or_refused_at_length(damage: tuple[str, bytes]) -> None:
    attempt(*damage)


def test_the_project_that_is_damaged_has_no_errors(tmp_path: Path) -> None:
    assert not [finding for finding in validate(write(tmp_path, {**RASA, **MORE})) if finding.level == "error"]
