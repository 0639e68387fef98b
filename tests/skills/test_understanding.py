"""The composite: one pass, every field filled, and odd texts answered sensibly."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import IntegrityError
from bot.core.program import Behaviour, Program
from bot.core.protocols import Utterance
from skills.encoder import Encoder
from skills.entities import EntityExtractor, EntityRules
from skills.intent import Examples, IntentHead
from skills.language import LanguageIdentification
from skills.understanding import MAX_CHARACTERS, RANKING, Understander


@pytest.fixture(scope="module")
def folder(head: IntentHead, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("bundle")
    head.save(found / "intent")
    return found


@pytest.fixture(scope="module")
def understander(folder: Path, encoder: Encoder) -> Understander:
    return Understander.load(folder, encoder, None, "b1")


def test_every_field_is_filled(understander: Understander) -> None:
    (found,) = understander.run([Utterance("where is my parcel?")])
    assert (found.text, found.language, found.supported, found.bundle) == ("where is my parcel?", "en", True, "b1")
    assert found.intents[0].name == "order_status"
    assert found.in_scope >= found.threshold
    assert np.isclose(np.linalg.norm(found.vector), 1, atol=1e-5)


def test_ranking_is_descending_and_short(understander: Understander) -> None:
    (found,) = understander.run([Utterance("cancel it")])
    scores = [candidate.score for candidate in found.intents]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) <= RANKING
    assert sum(scores) <= 1 + 1e-5


def test_results_come_in_order_with_blanks_between(understander: Understander) -> None:
    texts = ["hello", "", "i want my money back", "  \n", "cancel my order"]
    found = understander.run([Utterance(text) for text in texts])
    assert [one.text for one in found] == texts
    assert [one.intents[0].name if one.intents else None for one in found] == [
        "greet",
        None,
        "refund",
        None,
        "cancel_order",
    ]
    assert found[1].vector is None
    assert found[1].in_scope == 0


def test_nothing_gives_nothing(understander: Understander) -> None:
    assert understander.run([]) == []
    assert understander.run([Utterance("")])[0].intents == ()


@pytest.mark.parametrize("text", ["😀😀😀", "....", "\ud83d", "12345"])
def test_texts_without_words_fit_no_intent(understander: Understander, text: str) -> None:
    (found,) = understander.run([Utterance(text)])
    assert found.in_scope < found.threshold


def test_an_example_is_meant_even_if_it_looks_like_noise(head: IntentHead, encoder: Encoder, tmp_path: Path) -> None:
    noise = "hdjejene qwrtzp"
    plain = Understander.load(_with(head, tmp_path / "plain"), encoder)
    known = Understander.load(_with(head, tmp_path / "known", noise), encoder)
    assert plain.run([Utterance(noise)])[0].in_scope == 0
    assert known.run([Utterance(noise)])[0].in_scope > 0.9


def _with(head: IntentHead, folder: Path, *examples: str) -> Path:
    """A bundle of the head, which knows the examples as its first intent's."""
    again = IntentHead(head.intents, head.weights, head.blend, head.encoder)
    again.examples = Examples.of(examples, [0] * len(examples))
    again.save(folder / "intent")
    return folder


def test_what_a_message_means_depends_on_its_text_and_sometimes_on_the_day(head: IntentHead, encoder: Encoder) -> None:
    dated = EntityExtractor(rules=EntityRules(built_in=("date", "email")))
    with_dates = Understander(encoder, head, dated, LanguageIdentification(("en",)))
    assert with_dates.sameness(Utterance("yes please", now=1e9)) == ("yes please", None)
    assert with_dates.sameness(Utterance("until tomorrow", now=1e9)) == ("until tomorrow", date(2001, 9, 9))
    assert with_dates.sameness(Utterance("yes " * 100)) is None
    without = Understander(encoder, head, None, LanguageIdentification(("en",)))
    assert without.sameness(Utterance("until tomorrow", now=1e9)) == ("until tomorrow", None)


def test_an_enormous_text_is_read_at_its_beginning(understander: Understander) -> None:
    (found,) = understander.run([Utterance("where is my parcel " * 500_000)])
    assert len(found.text) == MAX_CHARACTERS
    assert found.intents[0].name == "order_status"


def test_another_language_is_said_to_be_unsupported(understander: Understander) -> None:
    german, english = understander.run([Utterance("Wo bleibt denn mein Paket?"), Utterance("where is it")])
    assert (german.language, german.supported) == ("de", False)
    assert (english.language, english.supported) == ("en", True)


def test_languages_come_from_the_program(folder: Path, encoder: Encoder) -> None:
    program = Program(behaviour=Behaviour(languages=("en", "de")))
    found = Understander.load(folder, encoder, program)
    assert found.run([Utterance("Wo bleibt denn mein Paket?")])[0].supported


def test_a_bundle_without_heads_still_gives_vector_and_language(tmp_path: Path, encoder: Encoder) -> None:
    (found,) = Understander.load(tmp_path, encoder).run([Utterance("where is my parcel")])
    assert (found.intents, found.in_scope, found.entities) == ((), 0.0, ())
    assert found.vector.shape == (384,)


def test_a_damaged_head_is_refused(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "intent").mkdir()
    with pytest.raises(IntegrityError, match=r"intent\.json"):
        Understander.load(tmp_path, encoder)
