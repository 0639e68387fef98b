"""What was heard, echoes, asides and spelled input."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.asides import aside, is_hum
from bot.core.echo import SILENCE, UNKNOWN, Echo, likeness
from bot.core.heard import Playback
from bot.core.spelling import read_back, written


def test_whole_sentences_and_whole_words_were_heard() -> None:
    reply = Playback().add("One two. ", 1000).add("Three four.", 1100)
    assert [reply.reach(at).heard() for at in (0, 999, 1000, 1600, 2100)] == [
        "", "One two. "[:8], "One two. ", "One two. Three", "One two. Three four.",
    ]  # fmt: skip
    assert [reply.reach(at).heard(estimate=False) for at in (999, 1600)] == ["", "One two. "]
    assert (reply.samples, reply.text, reply.over, reply.reach(9999).over) == (
        2100,
        "One two. Three four.",
        False,
        True,
    )


def test_marks_prove_words_and_older_news_changes_nothing() -> None:
    reply = Playback().add("ab cd ef", 300, ((50, 2), (250, 5)))
    assert [reply.reach(at).heard(estimate=False) for at in (49, 50, 249, 250, 300)] == [
        "",
        "ab",
        "ab",
        "ab cd",
        "ab cd ef",
    ]
    assert reply.reach(200).reach(10).played == 200
    assert Playback().add("", -5).add("(silent)", 0).heard() == "(silent)"


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(0, 500)), max_size=5), st.integers(-10, 3000))
@settings(max_examples=60, deadline=None)
def test_what_was_heard_is_the_beginning_of_the_text(pieces: list[tuple[str, int]], at: int) -> None:
    reply = Playback()
    for text, samples in pieces:
        reply = reply.add(text, samples)
    sure, guess = reply.reach(at).heard(estimate=False), reply.reach(at).heard()
    assert reply.text.startswith(guess)
    assert guess.startswith(sure)


WAVES = [-20.0 - 25 * ((n * 7 + n * n) % 5 == 0) - 3 * (n % 4) for n in range(120)]


def through(gain: float, lag: int, louder_from: int = 10**9) -> list[float]:
    """Likenesses of a reply that comes back; from a frame on, somebody speaks too."""
    echo, found = Echo(), []
    for number, level in enumerate(WAVES):
        back = WAVES[number - lag] + gain if number >= lag else -70.0
        echo, alike = echo.step(level, -10.0 if number >= louder_from else back)
        found.append(alike)
    return found


def test_a_reply_that_comes_back_is_an_echo_until_somebody_speaks_over_it() -> None:
    assert min(through(-20.0, 5)[60:]) >= 0.5
    assert max(through(-20.0, 5, louder_from=100)[100:104]) == 0.0


def test_without_an_echo_nothing_is_one() -> None:
    echo, found = Echo(), []
    for number, level in enumerate(WAVES):
        echo, alike = echo.step(level, -20.0 - 30 * (number % 11 < 3))
        found.append(alike)
    assert found[0] == UNKNOWN
    assert max(found[60:]) == 0.0


@pytest.mark.parametrize("level", [math.nan, math.inf, -math.inf, 0.0, -200.0])
def test_any_levels_are_taken(level: float) -> None:
    echo = Echo()
    for _ in range(70):
        echo, alike = echo.step(level, -level)
        assert 0 <= alike <= 1


def test_a_silent_stretch_of_the_reply_is_no_echo() -> None:
    echo = Echo()
    for number, level in enumerate(WAVES):
        echo, _ = echo.step(level, WAVES[number - 2] - 20 if number > 1 else -70.0)
    for _ in range(70):
        echo, alike = echo.step(SILENCE, -30.0)
    assert alike == 0.0


def test_a_transcript_of_our_own_words_is_alike() -> None:
    spoken = "Your parcel left on Monday."
    assert likeness("your parcel left", spoken) == 1.0
    assert likeness("the order is wrong", spoken) == 0.0
    assert likeness("Monday", spoken) == likeness("", spoken, short=True) == 0.0
    assert likeness("Monday", spoken, short=True) == 1.0


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        ("Mm-hmm.", "en", "backchannel"),
        ("Uh huh, okay", "en-US", "backchannel"),
        ("alles klar", "de", "backchannel"),
        ("alles klar", "en", ""),
        ("好的", "zh", "backchannel"),
        ("okay but when", "en", ""),
        ("Sorry, could you say that again please?", "en", "repeat"),
        ("Was?", "de", "repeat"),
        ("wie bitte", "", "repeat"),
        ("just a moment", "en", "wait"),
        ("Moment mal bitte", "de", "wait"),
        ("I want to return something", "en", ""),
        ("please", "en", ""),
        ("...", "en", ""),
        ("yes " * 40, "en", ""),
    ],
)
def test_asides(text: str, language: str, kind: str) -> None:
    assert aside(text, language) == kind


def test_hums_never_answer() -> None:
    assert [is_hum(text) for text in ("mhm", "uh huh hmm", "yes", "", "m" * 99)] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("my order is B as in Bravo, four double two please", "my order is B422 please"),
        ("four two two one eight", "42218"),
        ("it is four two uh then one eight three", "it is 42183"),
        ("forty two, thirteen, nine", "42139"),
        ("the code is oh four oh", "the code is 040"),
        ("Meine Nummer ist B wie Berta, zwo zwei acht", "Meine Nummer ist B228"),
        ("vier acht zweiundzwanzig einunddreißig", "482231"),
        ("bravo charlie dash triple nine", "BC-999"),
        ("double u w 4 2", "WW42"),
        ("s like sugar one two", "S12"),
        ("it is a four two one", "it is A421"),
        ("I have a B four two", "I have a B42"),
        ("john dot smith at example dot com", "john.smith@example.com"),
        ("j o h n at gmail dot co dot uk please", "john@gmail.co.uk please"),
        ("anna underscore k seven ät t bindestrich online Punkt de", "anna_k7@t-online.de"),
        ("I want two mugs", "I want two mugs"),
        ("one or two of them", "one or two of them"),
        ("see you at five", "see you at five"),
        ("write me at the office in town dot", "write me at the office in town dot"),
        ("we met at größe dot de", "we met at größe dot de"),
        ("order B422 and 48213", "order B422 and 48213"),
        ("triple", "triple"),
        ("b four two dash", "B42 dash"),
        ("double double you", "double double you"),
        ("a as in zebra", "a as in zebra"),
        ("twenty", "twenty"),
        ("_ at example dot com", "_ at example dot com"),
        ("I a", "I a"),
        ("a b", "a b"),
        ("", ""),
    ],
)
def test_what_is_spelled_is_written(said: str, found: str) -> None:
    assert written(said) == found


def test_where_a_code_or_an_address_was_asked_for_less_is_enough() -> None:
    assert written("two", "code") == "2"
    assert written("a four", "code") == "A4"
    assert written("twenty", "code") == "20"
    assert written("my e-mail is john smith at example dot com", "email") == "my e-mail is johnsmith@example.com"


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["a", "b", "at", "dot", "double", "two", "as", "in", "x", "twenty", "-", "@", "o"])).map(
        " ".join
    )
)
@settings(max_examples=50, deadline=None)
def test_any_text_can_be_written(text: str) -> None:
    assert (
        isinstance(written(text), str) and isinstance(written(text, "email"), str) and isinstance(read_back(text), str)
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("48213", "4 8 2, 1 3"),
        ("4821", "4 8, 2 1"),
        ("B4", "B 4"),
        ("1234567", "1 2 3, 4 5, 6 7"),
        ("AB-1", "A B, dash 1"),
        ("john.k@example.com", "john dot k at example dot com"),
        ("", ""),
    ],
)
def test_codes_are_read_back_in_groups(code: str, said: str) -> None:
    assert read_back(code) == said


def test_letters_are_explained_in_the_callers_language() -> None:
    assert read_back("B4", "de-DE", explain=True) == "B wie Berta 4"
    assert read_back("X", "fr", explain=True) == "X as in X-ray"
