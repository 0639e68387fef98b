"""The floor: good questions stand above it, foreign ones and noise below, with the real encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bot.core.protocols import Query
from retrieval.calibration import FOREIGN_TRUST, half
from retrieval.index import read_index
from retrieval.ingest import ingest
from retrieval.relevance import Relevance, fit
from retrieval.search import KnowledgeIndex
from tests.retrieval.embedder import BagOfWords, Encoded

ARTICLES = {
    "returns-window": "# How long you can return something\n\nYou have 30 days to send an article back, counted from "
    "the day it was delivered. Presents have the same 30 days.",
    "shipping-costs": "# What delivery costs\n\nDelivery inside Belgium costs four euros and is free from fifty euros. "
    "To Germany and France it costs nine euros.",
    "descaling": "# How to descale a kettle\n\nFill the kettle with water and a spoon of citric acid. Boil it, wait an "
    "hour, and rinse twice. Limescale is harmless, but slows the kettle down.",
    "payment": "# How you can pay\n\nWe take credit cards, bank transfer and PayPal. Companies may pay by invoice.",
    "opening-hours": "# Opening hours\n\nThe showroom is open from Tuesday to Saturday, ten to six. On public holidays "
    "it is closed.",
}
GOOD = {
    "How many days do I have to send something back?": "returns-window",
    "what would shipping to germany cost": "shipping-costs",
    "How do I get the limescale out of my kettle?": "descaling",
    "Can I pay with PayPal?": "payment",
    "Are you open on Saturday?": "opening-hours",
}
FOREIGN = (
    "Who won the football last night?",
    "What is the capital of Mongolia?",
    "Write me a poem about love",
    "How do I file my tax return?",
    "qwhe sdkjf lkjsdf",
    "blub blub",
    "!!!",
    "",
)


class Blind(BagOfWords):
    """Texts are nothing to it: every one gets another vector, even if it says the same."""

    def run(self, texts: Sequence[str]) -> list[Encoded]:
        rows = np.random.default_rng(len(texts)).standard_normal((len(texts), self.dimension)).astype(np.float32)
        return [Encoded(row / np.linalg.norm(row)) for row in rows]


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeIndex:
    from skills.encoder import Encoder

    folder = tmp_path_factory.mktemp("articles")
    for name, text in ARTICLES.items():
        (folder / f"{name}.md").write_text(text)
    encoder = Encoder.load()
    ingest([folder], folder / ".index", encoder)
    return KnowledgeIndex.open(folder / ".index", encoder)


@pytest.mark.parametrize("question", GOOD)
def test_a_good_question_stands_above_the_floor(knowledge: KnowledgeIndex, question: str) -> None:
    (hits,) = knowledge.search([Query(question)])
    assert hits.hits[0].document == GOOD[question]
    assert hits.hits[0].score >= hits.floor


@pytest.mark.parametrize("question", FOREIGN)
def test_a_foreign_question_and_noise_stay_below(knowledge: KnowledgeIndex, question: str) -> None:
    (hits,) = knowledge.search([Query(question)])
    assert all(hit.score < hits.floor for hit in hits.hits)


def test_a_slip_of_the_finger_still_finds_its_article(knowledge: KnowledgeIndex) -> None:
    (hits,) = knowledge.search([Query("my ketle is full of limescal")])
    assert hits.hits[0].document == "descaling"


def test_without_evidence_the_prior_stays() -> None:
    fitted = fit(np.zeros(0), np.zeros(0), 20.0)
    assert (fitted.slope, fitted.bias) == pytest.approx((Relevance().slope, Relevance().bias))


def test_evidence_moves_the_threshold_between_right_and_wrong() -> None:
    """An encoder for which all texts are alike: right hits score 0.95, wrong ones 0.8."""
    fitted = fit(np.full(100, 0.95), np.full(100, 0.8), 20.0)
    right, wrong = fitted.probability(np.array([0.95, 0.8], np.float32))
    assert wrong < 0.5 < right


def test_probability_rises_with_the_score_whatever_the_evidence() -> None:
    fitted = fit(np.zeros(100), np.ones(100), 1000.0)
    low, high = fitted.probability(np.array([0.2, 0.9], np.float32))
    assert low < high


@pytest.mark.parametrize(
    ("text", "expected"),
    [("how can I pay now", "how I now"), ("open", "en"), ("可以用信用卡吗？", "信用卡吗？"[1:]), ("", "")],
)
def test_a_half_question_keeps_half_of_the_words(text: str, expected: str) -> None:
    assert half(text) == expected


def test_the_words_decide_where_the_encoder_cannot_read(tmp_path: Path) -> None:
    rows = [f"entry{n} word{n} thing{n} matter{n} point{n}" for n in range(25)]
    (tmp_path / "faq.jsonl").write_text("\n".join(json.dumps({"question": row, "answer": row}) for row in rows))
    found = {}
    for name, embedder in (("reads", BagOfWords()), ("does not", Blind())):
        ingest([tmp_path / "faq.jsonl"], tmp_path / name, embedder)
        found[name] = read_index(tmp_path / name)[1].relevance.trust
    assert found == {"reads": 1.0, "does not": FOREIGN_TRUST}
