"""A growing text is said sentence by sentence, each once, and cut only where a sentence ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.sentences import Sentences, cut


def test_each_sentence_comes_once_and_as_soon_as_it_is_whole() -> None:
    growing = Sentences()
    assert growing.grow("Your parcel") == []
    assert growing.grow("Your parcel left.") == ["Your parcel left."]
    assert growing.grow("Your parcel left. It comes") == []
    assert growing.end("Your parcel left. It comes today") == [" It comes today"]
    assert growing.end("Your parcel left. It comes today") == []


def test_where_the_text_was_changed_the_new_one_is_said() -> None:
    growing = Sentences()
    growing.grow("It is blue. It is big.")
    assert growing.end("It is blue. It is small. That is all.") == [" It is small.", " That is all."]


def test_a_shorter_final_text_adds_nothing() -> None:
    growing = Sentences()
    growing.grow("It is blue. It is big.")
    assert growing.end("It is blue.") == []
    assert growing.end("") == []


@pytest.mark.parametrize(
    "text",
    [
        "We open at 9 a.m. on weekdays.",
        "Ask Dr. Miller or Prof. Smith.",
        "It costs 3.50 and weighs 2.5 kg.",
        "Es kommt am 3. Mai an.",
        "Das gilt z. B. für Kannen.",
        "See kettle.example/help?id=1 for more.",
        "Write to J. S. Miller, Ltd. in London.",
    ],
)
def test_a_full_stop_within_a_sentence_is_none(text: str) -> None:
    assert list(cut(text)) == [text]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Yes! Really? Yes…", ["Yes!", " Really?", " Yes…"]),
        ('He said "yes." We left.', ['He said "yes."', " We left."]),
        ("Your order is 48213. It left.", ["Your order is 48213.", " It left."]),
        ("We have:\n- kettles\n- cups\n", ["We have:", "\n- kettles", "\n- cups"]),
        ("包裹已经寄出。明天到！好吗？", ["包裹已经寄出。", "明天到！", "好吗？"]),
        ("他说“好。”然后走了。", ["他说“好。”", "然后走了。"]),
        ("\n\n. ", ["\n\n."]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_end_where_they_end(text: str, sentences: list[str]) -> None:
    assert list(cut(text)) == sentences


@settings(max_examples=50)
@given(st.text('aB3.!。 \n"', max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_nothing_is_lost_or_said_twice(text: str, cuts: list[int]) -> None:
    growing = Sentences()
    said = [sentence for place in sorted(cuts) for sentence in Sentences().grow(text[:place])]
    assert all(sentence.strip() for sentence in said)
    assert "".join([*growing.grow(text), *growing.end(text)]) == text.rstrip()
