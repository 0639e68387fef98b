"""The extractor as a whole, with a head made by hand and with none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError, IntegrityError
from bot.core.events import Entity
from bot.core.protocols import Utterance
from skills.encoder import Encoding
from skills.entities import EntityExtractor, EntityRules, Locality
from skills.entities_decode import allowed_transitions, label_count
from skills.entities_head import EntityHead, HeadWeights, first_tokens, kind_name
from skills.entities_rules import words

KINDS = ("city#from", "city#to", "seats##2")
MEANING = {"cologne": 1, "rome": 3, "new": 3, "york": 4, "four": 5}


def encode(text: str) -> Encoding:
    """Words as tokens between two special ones; layer 2 says what the word means, layer 1 nothing."""
    tokens = words(text)
    states = np.zeros((len(tokens) + 2, label_count(KINDS)), np.float32)
    for row, (word, _, _) in enumerate(tokens, 1):
        states[row, MEANING.get(word, 0)] = 1.0
    offsets = np.array([(0, 0), *((start, end) for _, start, end in tokens), (0, 0)], np.int32)
    return Encoding(np.zeros(1, np.float32), {1: np.zeros_like(states), 2: states}, offsets)


def hand_made_head() -> EntityHead:
    size = label_count(KINDS)
    weights = HeadWeights(
        mix=np.array([0.25, 0.75], np.float32),
        weight=10 * np.eye(size, dtype=np.float32),
        bias=np.zeros(size, np.float32),
        transitions=allowed_transitions(KINDS),
    )
    return EntityHead(KINDS, (1, 2), weights, encoder="tiny", facts={"rows": 3})


def extract(extractor: EntityExtractor, text: str) -> list[tuple[str, object, str | None, str]]:
    [entities] = extractor.run([Utterance(text, 0.0)], [encode(text)])
    return [(item.type, item.value, item.role, item.extractor) for item in entities]


def test_head_finds_types_and_roles_with_character_offsets() -> None:
    text = "from Cologne  to New York, please"
    [entities] = hand_made_head().run([text], [encode(text)])
    assert [(item.type, item.role, item.text, item.start, item.end) for item in entities] == [
        ("city", "from", "Cologne", 5, 12),
        ("city", "to", "New York", 17, 25),
    ]
    assert all(0.9 < item.confidence <= 1 and item.extractor == "head" for item in entities)


def test_head_finds_groups() -> None:
    [[entity]] = hand_made_head().run(["four seats"], [encode("four seats")])
    assert (entity.type, entity.role, entity.group) == ("seats", None, "2")
    assert kind_name(entity) == "seats##2"


def test_head_says_which_layers_are_missing() -> None:
    encoding = Encoding(np.zeros(1, np.float32), {2: np.zeros((2, 7), np.float32)}, np.zeros((2, 2), np.int32))
    with pytest.raises(InputError, match=r"with layers \(1, 2\), without \[1\] found"):
        hand_made_head().run([""], [encoding])


def test_words_beyond_what_the_encoder_read_are_left_out() -> None:
    spans, rows = first_tokens("one two three", np.array([(0, 0), (0, 3), (4, 7), (0, 0)], np.int32))
    assert (spans, rows.tolist()) == ([(0, 3), (4, 7)], [1, 2])


def test_a_word_is_scored_at_its_first_piece() -> None:
    spans, rows = first_tokens("kettles!", np.array([(0, 0), (0, 6), (6, 7), (7, 8), (0, 0)], np.int32))
    assert (spans, rows.tolist()) == ([(0, 7), (7, 8)], [1, 3])


@pytest.mark.parametrize("text", ["", "   "])
def test_text_without_words_has_no_entities(text: str) -> None:
    assert extract(EntityExtractor(hand_made_head()), text) == []


def test_lookup_and_head_on_one_span_give_one_entity_with_value_and_role() -> None:
    rules = EntityRules(lookups={"city": ("COLOGNE",)})
    assert extract(EntityExtractor(hand_made_head(), rules), "from cologne") == [("city", "COLOGNE", "from", "lookup")]


def test_synonyms_come_last_and_reach_every_extractor() -> None:
    rules = EntityRules(lookups={"tea": ("oolong",)}, synonyms={"new york": "NYC", "oolong": "blue tea"})
    found = extract(EntityExtractor(hand_made_head(), rules), "oolong to New York")
    assert found == [("tea", "blue tea", None, "lookup"), ("city", "NYC", "to", "head")]


def test_rules_work_without_a_head_and_without_encodings_states() -> None:
    rules = EntityRules(patterns={"order_id": (r"\d{5}",)}, built_in=("number", "email"))
    extractor = EntityExtractor(rules=rules)
    assert extractor.layers == ()
    assert extract(extractor, "48213 and 7") == [("order_id", "48213", None, "regex"), ("number", 7, None, "number")]


def test_built_in_types_may_be_left_to_the_words() -> None:
    rules = EntityRules.of_types(("date", "phone"), lookups={}, patterns={}, synonyms={}, built_in=("phone", "money"))
    assert rules.built_in == ("phone",)


def test_a_project_gets_the_rules_of_its_declared_types_only() -> None:
    rules = EntityRules.of_types(
        ["city", "date"], lookups={"city": ("Rome",), "tea": ("oolong",)}, patterns={"x": ("y",)}, synonyms={"a": "b"}
    )
    assert (rules.lookups, rules.patterns, rules.built_in) == ({"city": ("Rome",)}, {}, ("date",))


def test_saved_extractor_finds_the_same(tmp_path: Path) -> None:
    rules = EntityRules(
        {"tea": ("oolong",)},
        {"order_id": (r"\d{5}",)},
        {"oolong": "乌龙"},
        ("money",),
        Locality("en", "GB", "Europe/London"),
    )
    extractor = EntityExtractor(hand_made_head(), rules)
    extractor.save(tmp_path)
    loaded = EntityExtractor.load(tmp_path)
    text = "oolong 48213 from Cologne to New York for £5"
    assert extract(loaded, text) == extract(extractor, text)
    assert (loaded.rules, loaded.layers) == (rules, extractor.layers)
    assert loaded.head is not None
    assert loaded.head.facts == {"rows": 3}


@pytest.mark.parametrize("name", ["rules.json", "head/head.json", "head/head.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_damaged_file_is_refused_and_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    EntityExtractor(hand_made_head()).save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=name.removeprefix("head/")):
        EntityExtractor.load(tmp_path)


def test_head_whose_kinds_do_not_fit_its_weights_is_refused(tmp_path: Path) -> None:
    hand_made_head().save(tmp_path)
    state = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps({**state, "kinds": ["city"]}))
    with pytest.raises(IntegrityError, match="1 kinds do not fit 7 labels"):
        EntityHead.load(tmp_path)


@pytest.mark.parametrize("field", ["kinds", "trunk_layers", "branch", "encoder", "facts"])
def test_description_that_lacks_a_field_is_refused_with_its_name(tmp_path: Path, field: str) -> None:
    hand_made_head().save(tmp_path)
    state = json.loads((tmp_path / "head.json").read_text())
    del state[field]
    (tmp_path / "head.json").write_text(json.dumps(state))
    with pytest.raises(IntegrityError, match=f"expected '{field}'"):
        EntityHead.load(tmp_path)


def test_head_of_another_encoder_is_refused(tmp_path: Path) -> None:
    EntityExtractor(hand_made_head()).save(tmp_path)
    assert EntityExtractor.load(tmp_path, "tiny").head is not None
    with pytest.raises(IntegrityError, match="expected a head for this encoder"):
        EntityExtractor.load(tmp_path, "large")


def test_entities_are_core_values() -> None:
    [[entity]] = EntityExtractor(hand_made_head()).run([Utterance("rome")], [encode("rome")])
    assert Entity.model_validate_json(entity.model_dump_json()) == entity
