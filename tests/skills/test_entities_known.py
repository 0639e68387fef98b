"""Known texts: what was annotated in an example is found when it is heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import IntegrityError
from bot.core.protocols import Utterance
from skills.entities import EntityExtractor, EntityRules
from skills.entities_known import FILE, Annotated, KnownTexts

TRIP: Annotated = ("fly from Rome to New York", [(9, 13, "city#from"), (17, 25, "city#to")])


def found(known: KnownTexts, text: str) -> list[tuple[str, str | None, str]] | None:
    entities = known.find(text)
    return None if entities is None else [(e.type, e.role, text[e.start : e.end]) for e in entities]


def test_case_and_punctuation_do_not_matter() -> None:
    expected = [("city", "from", "ROME"), ("city", "to", "New  York")]
    assert found(KnownTexts.of([TRIP]), "Fly, from ROME to New  York!") == expected


def test_other_words_are_not_known() -> None:
    assert found(KnownTexts.of([TRIP]), "fly from Rome to New York today") is None
    assert found(KnownTexts({}), "fly") is None


def test_a_text_without_entities_is_known_to_have_none() -> None:
    assert found(KnownTexts.of([("good day", [])]), "Good day.") == []


def test_a_text_that_is_annotated_in_two_ways_is_not_known() -> None:
    assert found(KnownTexts.of([TRIP, (TRIP[0], []), TRIP]), TRIP[0]) is None


def test_parts_of_words_are_left_to_the_head() -> None:
    assert found(KnownTexts.of([("the housekeys", [(4, 9, "place")])]), "the housekeys") is None


def test_letters_that_are_several_when_normalised_are_left_to_the_head() -> None:
    assert found(KnownTexts.of([("a \u00bd b", [])]), "a 1\u20442 b") is None


def test_known_texts_are_kept_in_a_bundle_without_their_words(tmp_path: Path) -> None:
    made = EntityExtractor(None, EntityRules(synonyms={"new york": "NYC"}))
    made.known = KnownTexts.of([TRIP])
    made.save(tmp_path)
    assert b"Rome" not in (tmp_path / FILE).read_bytes()
    (entities,) = EntityExtractor.load(tmp_path).run([Utterance("fly from rome to new york")], [])
    assert [(e.value, e.role) for e in entities] == [("rome", "from"), ("NYC", "to")]


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"x": 1}')
    with pytest.raises(IntegrityError, match="train again"):
        KnownTexts.load(tmp_path)
