import random
import re

import pytest

from training.hearing.sentences import grammar, held_out_sentences, training_sentences, written_by_hand
from training.hearing.values import MAKERS, digits, number, ordinal


def test_sentences_are_lower_case_words_without_punctuation() -> None:
    assert all(re.fullmatch(r"[a-z']+( [a-z']+)*", one.written) for one in training_sentences(1500))


def test_the_same_seed_makes_the_same_sentences_and_fewer_are_the_first_of_more() -> None:
    assert training_sentences(50, seed=4) == training_sentences(80, seed=4)[:50]
    assert training_sentences(50, seed=4) != training_sentences(50, seed=5)


def test_no_sentence_is_drawn_twice() -> None:
    found = [one.written for one in training_sentences(800)]
    assert len(set(found)) == len(found)


def test_what_is_held_out_is_never_trained_on() -> None:
    trained = {one.written for one in training_sentences(1500)}
    assert not trained & {one.written for one in held_out_sentences(20)}
    assert not trained & set(written_by_hand())


def test_short_answers_are_never_held_out() -> None:
    assert all(len(one.written.split()) >= 4 for one in held_out_sentences(20))


def test_a_letter_is_spoken_by_its_name() -> None:
    dice = random.Random(0)
    spelled = next(one for one in iter(lambda: grammar().one(dice), None) if re.search(r"\bay\b", one.spoken))
    assert re.search(r"\ba\b", spelled.written) and "ay" not in spelled.written.split()


def test_questions_end_with_a_question_mark_for_the_voice_alone() -> None:
    dice = random.Random(1)
    asked = next(one for one in iter(lambda: grammar().one(dice), None) if one.written.startswith("where is "))
    assert asked.spoken.endswith("?") and "?" not in asked.written


def test_every_slot_of_the_grammar_can_be_filled() -> None:
    known = set(grammar().rules) | set(MAKERS)
    templates = [text for _, sentences in grammar().groups.values() for text in sentences]
    texts = [*templates, *(text for rule in grammar().rules.values() for text in rule)]
    assert {slot for text in texts for slot in re.findall(r"\{(\w+)\}", text)} <= known


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "zero"),
        (20, "twenty"),
        (48, "forty eight"),
        (100, "one hundred"),
        (219, "two hundred and nineteen"),
        (1005, "one thousand and five"),
        (48_219, "forty eight thousand two hundred and nineteen"),
    ],
)
def test_numbers_are_said_as_people_say_them(value: int, said: str) -> None:
    assert number(value) == said


def test_days_are_ordinals() -> None:
    assert [ordinal(day) for day in (1, 12, 20, 23, 30, 31)] == [
        "first",
        "twelfth",
        "twentieth",
        "twenty third",
        "thirtieth",
        "thirty first",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_digits_say_as_many_as_asked_for(seed: int) -> None:
    words = digits(random.Random(seed), 6).split()
    assert len(words) == 6  # "double four" are two words for two digits
