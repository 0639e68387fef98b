"""Lookup tables, author's patterns, synonyms."""

from __future__ import annotations

import pytest

from bot.core.errors import ProjectError
from bot.core.events import Entity
from skills.entities_rules import MAX_TEXT, Lookups, Patterns, Synonyms, spanned, words


def found(entities: list[Entity]) -> list[tuple[str, str, int, int]]:
    return [(entity.type, entity.text, entity.start, entity.end) for entity in entities]


def test_lookup_ignores_case_and_keeps_the_authors_spelling_as_value() -> None:
    [entity] = Lookups({"city": ["Cologne"]}).find("off to COLOGNE now")
    assert (entity.text, entity.value, entity.start, entity.end) == ("COLOGNE", "Cologne", 7, 14)


@pytest.mark.parametrize("text", ["cologneish", "a_cologne", "cologne2", "co logne"])
def test_lookup_matches_whole_words_only(text: str) -> None:
    assert Lookups({"city": ["cologne"]}).find(text) == []


@pytest.mark.parametrize(("text", "span"), [("cologne?", (0, 7)), ("(cologne)", (1, 8)), ("to-cologne", (3, 10))])
def test_lookup_finds_words_beside_signs(text: str, span: tuple[int, int]) -> None:
    [entity] = Lookups({"city": ["cologne"]}).find(text)
    assert (entity.start, entity.end) == span


def test_lookup_takes_the_longest_entry() -> None:
    tables = Lookups({"tea": ["green", "green tea", "green tea with mint"]})
    assert found(tables.find("a green  tea with milk")) == [("tea", "green  tea", 2, 12)]


def test_lookup_does_not_count_a_word_twice_for_one_type() -> None:
    tables = Lookups({"tea": ["green tea", "tea pot"]})
    assert found(tables.find("green tea pot")) == [("tea", "green tea", 0, 9)]


def test_lookup_reports_each_type_of_a_shared_entry() -> None:
    tables = Lookups({"fruit": ["orange"], "colour": ["orange"]})
    assert {entity.type for entity in tables.find("orange")} == {"fruit", "colour"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我想去北京旅游", ("北京", 3, 5)),
        ("买iPhone手机壳", ("iPhone手机壳", 1, 10)),
        ("ｉＰｈｏｎｅ手机壳", ("ｉＰｈｏｎｅ手机壳", 0, 9)),
    ],
)
def test_lookup_needs_no_spaces_in_chinese(text: str, expected: tuple[str, int, int]) -> None:
    [entity] = Lookups({"thing": ["北京", "iphone手机壳"]}).find(text)
    assert (entity.text, entity.start, entity.end) == expected


def test_lookup_of_signs_and_of_nothing() -> None:
    tables = Lookups({"language": ["C++", "C#", "  "]})
    assert found(tables.find("i know c++ and C#")) == [("language", "c++", 7, 10), ("language", "C#", 15, 17)]


def test_lookup_walks_the_text_once_whatever_the_size_of_the_table() -> None:
    tables = Lookups({"code": [f"item number {n}" for n in range(10_000)]})
    assert found(tables.find("send item number 9999 back")) == [("code", "item number 9999", 5, 21)]


def test_words_split_between_letters_signs_and_wide_characters() -> None:
    assert [word for word, _, _ in words("Don't 买2个!")] == ["don", "'", "t", "买", "2", "个", "!"]


def test_pattern_match_is_the_entity() -> None:
    entities = Patterns({"order_id": [r"\b\d{5}\b"], "zip": [r"[a-z]{2}\d"]}).find("order 48213, AB3")
    assert found(entities) == [("order_id", "48213", 6, 11), ("zip", "AB3", 13, 16)]


def test_pattern_that_matches_nothing_gives_no_empty_entity() -> None:
    assert Patterns({"x": ["a*"]}).find("bbb") == []


def test_pattern_that_explodes_finds_nothing_and_returns() -> None:
    assert Patterns({"x": [r"(a+)+$"]}).find("a" * 60 + "b") == []


def test_wrong_pattern_names_type_and_pattern() -> None:
    with pytest.raises(ProjectError, match=r"entity 'order_id'.*'\(\[0-9'"):
        Patterns({"order_id": ["([0-9"]})


def test_rules_look_at_the_beginning_of_a_long_text_only() -> None:
    text = "x " * MAX_TEXT + "cologne"
    assert Lookups({"city": ["cologne"]}).find(text) == []
    assert Patterns({"city": ["cologne"]}).find(text) == []


def test_synonym_replaces_the_value_and_keeps_the_text() -> None:
    entity = Synonyms({"big  apple": "New York"}).apply(spanned("the Big Apple", "city", "Big Apple", (4, 13), "head"))
    assert (entity.value, entity.text) == ("New York", "Big Apple")


def test_synonym_leaves_numbers_and_unknown_words_alone() -> None:
    synonyms = Synonyms({"two": "2"})
    number = spanned("two", "number", 2, (0, 3), "number")
    assert synonyms.apply(number) == number
    assert synonyms.apply(spanned("ten", "x", "ten", (0, 3), "head")).value == "ten"
