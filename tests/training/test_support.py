from __future__ import annotations

import dataclasses
from collections import Counter
from random import Random

import numpy as np
import pytest

from skills.support_words import sentences
from tests.skills.test_support_scorer import scorer
from training.support import NEVER, Scored, calibrated, conformal, set_threshold
from training.support_claims import Passage, claims, hard, usable
from training.support_spoil import SPOILERS, reworded

PAGES = [
    Passage(
        "Kettles\nThe Alba costs €89 and holds 0.9 litres. The Brisa costs €59. It is not quiet at all.", "kettles"
    ),
    Passage("Teapots\nThe Fern costs €34, if it is in stock. You can put it into the dishwasher.", "kettles"),
    Passage("Returns\nYou can send things back within 30 days after delivery. Opened tea cannot be returned.", "shop"),
    Passage("Delivery\nWe deliver to Belgium in 2 to 4 working days. Delivery costs €4.90 for a small parcel.", "shop"),
]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("value", "The Alba costs €89."),
        ("name", "We send it to Belgium."),
        ("word", "You can lend a mug."),
        ("denial", "Opened tea cannot be returned."),
        ("bound", "You have it within 30 days."),
        ("condition", "The Fern costs €34, if it is in stock."),
        ("splice", "The Alba costs €89 and holds 0.9 litres."),
    ],
)
def test_a_spoiled_sentence_is_another_one(kind: str, sentence: str) -> None:
    made = {SPOILERS[kind](sentence, [page.text for page in PAGES], Random(seed)) for seed in range(20)} - {None}
    assert made and sentence not in made


def test_claims_are_half_supported_of_many_kinds_and_the_same_for_a_seed() -> None:
    made = claims(PAGES, 60, seed=3)
    kinds = Counter(item.kind for item in made)
    assert made == claims(PAGES, 60, seed=3) and made != claims(PAGES, 60, seed=4)
    assert 0.35 < kinds["reworded"] / len(made) < 0.65 and len(kinds) >= 6
    assert all(len(item.claim.sources) >= 2 for item in made)
    assert claims([], 10) == []


def test_a_deleted_sentence_is_not_in_its_sources() -> None:
    deleted = [item for item in claims(PAGES, 80, seed=1) if item.kind == "deleted"]
    texts = {sentence for page in PAGES for sentence in sentences(page.text)}
    assert deleted
    for item in deleted:
        held = {sentence for source in item.claim.sources for sentence in sentences(source)}
        assert len(texts & held) < sum(len(usable(page.text)) + 1 for page in PAGES)


def test_a_rewording_stays_a_sentence() -> None:
    said = {
        reworded("You cannot return opened tea (or coffee), and used cartridges too.", (), Random(n)) for n in range(30)
    }
    assert len(said) > 3 and all(text[0].isupper() and text[-1] == "." and "  " not in text for text in said)


def test_the_checks_find_some_of_the_spoiled_claims_and_few_of_the_true_ones() -> None:
    made = claims(PAGES, 50, seed=5)
    kept = hard(made)
    true = [sum(item.supported for item in items) for items in (made, kept)]
    false = [sum(not item.supported for item in items) for items in (made, kept)]
    assert true[1] >= 0.8 * true[0] and false[1] < 0.8 * false[0]


def test_a_threshold_bounds_the_share_of_unsupported_claims_that_are_shown() -> None:
    random = np.random.default_rng(0)
    shown = []
    for _ in range(200):
        supported = random.random(1000) < 0.5
        scores = np.clip(random.normal(0.4 + 0.3 * supported, 0.15), 0, 1).astype(np.float32)
        threshold = conformal(Scored(scores[:300], supported[:300]), 0.02)
        shown.append(float((~supported[300:] & (scores[300:] >= threshold)).mean()))
    assert 0.01 < np.mean(shown) < 0.0215  # the bound is nearly reached


def test_too_few_claims_promise_nothing_and_easy_ones_let_all_through() -> None:
    few = Scored(np.array([0.9, 0.1], np.float32), np.array([True, False]))
    assert conformal(few, 0.01) == NEVER
    easy = Scored(np.ones(500, np.float32), np.ones(500, np.bool_))
    assert conformal(easy, 0.01) == 0.0
    kept = calibrated(scorer(), dataclasses.replace(easy), 0.01).calibration
    assert (kept.claims, kept.unsupported, kept.passed) == (500, 0, 1.0)


def test_a_threshold_is_set_from_a_bots_pages() -> None:
    kept = set_threshold(scorer(), PAGES, count=50).calibration
    assert kept.claims > 10 and 0 < kept.unsupported < kept.claims and kept.risk == 0.01
