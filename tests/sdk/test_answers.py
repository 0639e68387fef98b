"""Whatever an action server answers: a result, or an error of ours; never anything else."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core.errors import SkillError
from bot.core.protocols import ActionResult
from bot.core.rasa.facts import KNOWN
from bot.sdk.answers import Reader, whole
from tests.sdk.serving import PROGRAM

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_FIELDS = ("name", "value", "text", "data", "metadata", "parse_data", "intent", "entities", "date_time", "timestamp")
_KEYS = ("text", "buttons", "elements", "custom", "template", "response", "image", "attachment", "quick_replies", "n")
EVENTS = st.builds(
    lambda kind, rest: {"event": kind, **rest},
    st.sampled_from(sorted(KNOWN)) | JSON,
    st.dictionaries(st.sampled_from(_FIELDS), JSON, max_size=4),
)
RESPONSES = st.dictionaries(st.sampled_from(_KEYS), JSON, max_size=4)
ANSWERS = st.fixed_dictionaries(
    {}, optional={"events": st.lists(EVENTS | JSON, max_size=3), "responses": st.lists(RESPONSES, max_size=3)}
)


@settings(max_examples=60, deadline=None)
@given(ANSWERS | JSON)
@example({"events": [{"event": "user", "parse_data": "x"}]})
@example({"events": [{"event": "user", "metadata": "x"}]})
@example({"responses": [{"buttons": [{"title": {"a": 1}, "payload": 3}], "text": 1.0}]})
@example({"events": [{"event": "slot", "name": 3, "value": math.inf}]})
@example({"events": [{"event": "session_ended"}, {"event": ""}]})
def test_any_answer_is_a_result_or_an_error_of_ours(answer: Any) -> None:
    try:
        result = Reader("action_x", PROGRAM).result(answer)
    except SkillError:
        return
    assert isinstance(result, ActionResult)


@settings(max_examples=30, deadline=None)
@given(JSON)
def test_whole_numbers_become_integers_and_nothing_else_changes(value: Any) -> None:
    assert whole(value) == value
    assert not isinstance(whole(2.0), float) and isinstance(whole(2.5), float) and whole(math.inf) == math.inf
