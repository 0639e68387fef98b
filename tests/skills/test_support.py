from __future__ import annotations

import numpy as np
import pytest

from skills.constraints import Constraints
from skills.decoder import greedy
from skills.prompting import ABSTAIN, END, special_tokens
from skills.support import quoted, sentences, unsupported

SOURCES = (
    "You can send things back within 30 days. Opened tea cannot be returned.",
    "We deliver to Belgium in 2 to 4 working days. Delivery costs €4.90.",
)


@pytest.mark.parametrize(
    "answer",
    [
        "You have 30 days to send it back.",
        "Sorry, opened tea can't be returned.",
        "Of course! Delivery to Belgium costs €4.90 and takes 2 to 4 working days.",
        "We can deliver within 4 working days.",
    ],
)
def test_what_the_sources_say_is_supported_in_other_words(answer: str) -> None:
    assert unsupported(answer, SOURCES) == []


@pytest.mark.parametrize(
    ("answer", "check", "what"),
    [
        ("You have 60 days to send it back.", "value", "60 days"),
        ("Delivery costs €5.90.", "value", "€5.90"),
        ("We deliver to France in 2 days.", "value", "France"),
        ("You can send it back by courier.", "word", "courier"),
        ("You get a refund within 30 days.", "word", "refund"),
        ("Opened tea can be returned.", "denial", "Opened tea cannot be returned."),
        ("You cannot send things back within 30 days.", "denial", SOURCES[0].split(". ")[0] + "."),
    ],
)
def test_what_they_do_not_say_is_found_and_named(answer: str, check: str, what: str) -> None:
    found = unsupported(answer, SOURCES)
    assert [(finding.check, finding.what) for finding in found] == [(check, what)]


def test_only_the_sentence_that_is_wrong_is_named() -> None:
    found = unsupported("Delivery costs €4.90. It comes by drone.", SOURCES)
    assert [finding.sentence for finding in found] == ["It comes by drone."]
    assert sentences("See www.kettle.example for 4.90 offers. Bye!") == [
        "See www.kettle.example for 4.90 offers.",
        "Bye!",
    ]


TEXTS = [*special_tokens(), "Your", " order", " is", " here", ".", " Anna", "4", " code", " I", " www"]
CONSTRAINTS = Constraints(TEXTS)


def write(likes: list[str], allowed: list[str] | None = None) -> str:
    """What is chosen when the texts that are liked come first, in this order, at every step."""
    liked = [9.0 * (len(likes) - likes.index(text)) if text in likes else 0.0 for text in TEXTS]
    logits = np.array(liked, np.float32)
    choose = CONSTRAINTS.around(greedy, allowed or [])
    written: list[int] = []
    while not written or (TEXTS[written[-1]] not in (END, ABSTAIN) and len(written) < 9):
        written.append(choose(logits, written))
    return "".join(TEXTS[token] for token in written)


def test_own_values_and_names_inside_a_sentence_cannot_be_written() -> None:
    assert write(["4", " www", "<code0>", "<|user|>", "Your", " Anna", " here", END]).startswith("Your here here")
    assert write(["<code1>", "<code0>", END], ["<code0>"]).startswith("<code0>")


def test_abstaining_comes_first_or_not_at_all() -> None:
    assert write([ABSTAIN]) == ABSTAIN
    assert write(["Your", ABSTAIN, END]).startswith("Your")
    assert write(["Your", END]) == "Your" + END
    nearly = np.array([2.0 * (text == ABSTAIN) for text in TEXTS], np.float32)
    assert TEXTS[CONSTRAINTS.around(greedy, [])(nearly, [])] != ABSTAIN  # the likeliest token, and yet less than a half
    alone = CONSTRAINTS.around(greedy, [], abstain=False)
    assert TEXTS[alone(np.array([9.0 * (text == ABSTAIN) for text in TEXTS], np.float32), [])] != ABSTAIN


def test_a_sentence_begins_with_a_capital_and_four_tokens_are_not_said_twice() -> None:
    likes = np.array([float(text == " Anna") for text in TEXTS], np.float32)
    choose = CONSTRAINTS.around(greedy, [])
    assert TEXTS[choose(likes, [TEXTS.index(".")])] == " Anna" != TEXTS[choose(likes, [TEXTS.index(" is")])]
    long = write([" is"])
    assert long.count(" is is is is") <= 1 and long.count(" is") < 9


def test_a_whole_sentence_of_a_source_is_a_quotation() -> None:
    assert quoted("Opened tea  cannot be returned.", SOURCES)
    assert quoted("Geöffneter Tee bleibt bei Ihnen", ["Zurück in 30 Tagen. Geöffneter Tee bleibt bei Ihnen."])
    assert not quoted("tea cannot be returned.", SOURCES)  # a part
    assert not quoted("You can send things back.", SOURCES)  # without its bound
    assert not quoted("It costs €89.", ["The Alba is loud. It costs €89."])  # what "it" is stands before
