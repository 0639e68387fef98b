"""The markup of examples: every form gives the plain text and spans with the right offsets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import ProjectError
from bot.core.events import Entity
from bot.project.markup import parse_markup

FORMS = [
    ("to [Rome](city)", "to Rome", [("city", "Rome", "Rome", None, None)]),
    ("to [the capital](city:Rome)", "to the capital", [("city", "the capital", "Rome", None, None)]),
    ('[Rome]{"entity": "city", "role": "to"} now', "Rome now", [("city", "Rome", "Rome", "to", None)]),
    ('[two]{"entity": "n", "group": "1", "value": 2}', "two", [("n", "two", 2, None, "1")]),
    ('[two]{"entity": "n", "group": 1}', "two", [("n", "two", "two", None, "1")]),
    ('[A1][{"entity":"a"},{"entity":"b"}]', "A1", [("a", "A1", "A1", None, None), ("b", "A1", "A1", None, None)]),
    ('[x]{"entity": "a", "value": "}"}.', "x.", [("a", "x", "}", None, None)]),
    ("[a](x)[b](y)", "ab", [("x", "a", "a", None, None), ("y", "b", "b", None, None)]),
    (r"\[not\](this) [a\]b](x)", "[not](this) a]b", [("x", "a]b", "a]b", None, None)]),
    ("see [1] and [2] below", "see [1] and [2] below", []),
    ("in [Rome](city", "in [Rome](city", []),
    ("in [Bonn]()", "in [Bonn]()", []),
    ('[Rome]{"entity": "big city", "confidence": 1}', "Rome", [("big city", "Rome", "Rome", None, None)]),
    ("[] (x) ]{", "[] (x) ]{", []),
    ("[a [b](x)", "[a b", [("x", "b", "b", None, None)]),
    ("[北京](city:Beijing)的天气", "北京的天气", [("city", "北京", "Beijing", None, None)]),
    (r"back\slash \\ [a][b]", r"back\slash \ [a][b]", []),
]


@pytest.mark.parametrize(("source", "text", "spans"), FORMS)
def test_markup_becomes_text_and_spans(source: str, text: str, spans: list[tuple[object, ...]]) -> None:
    marked = parse_markup(source)
    assert marked.text == text
    assert [(e.type, e.text, e.value, e.role, e.group) for e in marked.entities] == spans
    assert all(text[e.start : e.end] == e.text for e in marked.entities)


def test_a_value_written_inline_is_a_synonym() -> None:
    assert parse_markup("[NYC](city:New York) or [Rome](city)").synonyms == (("NYC", "New York"),)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("[a](x:)", "no value"),
        ("[a]{entity: x}", "not JSON"),
        ('[a]{"entity": "x"', "not JSON"),
        ('[a]{"entity": 5}', 'needs "entity"'),
        ('[a]{"entity": "x", "role": 5}', '"role" of an annotation'),
        ('[a]{"entity": "x", "value": []}', '"value" of an annotation'),
        ('[a]{"entity": "x", "grup": "1"}', "did you mean 'group'"),
        ('[a][{"entity": "x"}, 5]', "found 5"),
    ],
)
def test_broken_markup_says_what_is_expected(source: str, hint: str) -> None:
    with pytest.raises(ProjectError, match=hint.replace("[", r"\[")):
        parse_markup(source)


def escaped(text: str) -> str:
    return "".join("\\" + letter if letter in "[](){}\\" else letter for letter in text)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
spans = st.tuples(words, st.from_regex(r"[a-z_]{1,6}", fullmatch=True) | st.none())


@settings(max_examples=60)
@given(st.lists(spans, max_size=6))
def test_what_is_written_is_read_back(parts: list[tuple[str, str | None]]) -> None:
    source = "".join(escaped(text) if kind is None else f"[{escaped(text)}]({kind})" for text, kind in parts)
    marked = parse_markup(source)
    expected, at = [], 0
    for text, kind in parts:
        if kind:
            expected.append(Entity(type=kind, value=text, text=text, start=at, end=at + len(text)))
        at += len(text)
    assert marked.text == "".join(text for text, _ in parts)
    assert list(marked.entities) == expected


@given(st.text(alphabet='[](){}\\:,"ab 1entiy', max_size=40))
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        marked = parse_markup(source)
    except ProjectError:
        return
    assert all(marked.text[e.start : e.end] == e.text for e in marked.entities)
