"""Texts as they are read aloud: what is for the eye goes, what is a fact stays."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_to_num import text2num

from skills.speakable import Part, parts_of, speakable
from skills.speakable_numbers import cardinal

DIGITS = {
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    "de": ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
}

ENGLISH = {
    "Your order **48213** left.": "Your order four eight two, one three left.",
    "Order KT-48213 is #4821.": "Order K T, four eight two, one three is number four eight two one.",
    "Your code is 1234": "Your code is one two three four.",
    "It costs €12.50, not $3 or £1.": "It costs twelve euros and fifty cents, not three dollars or one pound.",
    "1,234.50 EUR, 0.99 EUR, 5.00 EUR": "one thousand two hundred thirty-four euros and fifty cents, "
    "ninety-nine cents, five euros.",
    "$1.5 million": "one point five million dollars.",
    "Call +44 20 7946 0123.": "Call plus four four, two zero, seven nine four six, zero one two three.",
    "Call 555-0123.": "Call five five five, zero one two three.",
    "Write to jo.b4@kettle.example.": "Write to jo dot b four at kettle dot example.",
    "See https://kettle.example/a-b?id=42.": "See kettle dot example slash a dash b question mark id equals four two.",
    "See kettle.example/help now": "See kettle dot example slash help now.",
    "22 November 2026, May 3rd, the 3rd of May": "twenty-second November, twenty twenty-six, May third, "
    "the third of May.",
    "2026-11-22 or 25/12/2026": "November twenty-second, twenty twenty-six or December twenty-fifth, "
    "twenty twenty-six.",
    "03/04/2026": "three, four, twenty twenty-six.",
    "2026-45-22": "two zero two six - four five - two two.",
    "At 14:30, 9:05, 9:00, 9 am and 3:05 pm": "At fourteen thirty, nine oh five, nine o'clock, nine a.m. and three oh "
    "five p.m.",
    "9:00-17:00, 3–5 days": "nine o'clock to seventeen o'clock, three to five days.",
    "1.7 l, 2,200 W, 1 kg, -5 °C, 12.5 %": "one point seven litres, two thousand two hundred watts, one kilogram, "
    "minus five degrees Celsius, twelve point five percent.",
    "30 x 20 cm": "thirty by twenty centimetres.",
    "in 1987, 2005 and the 1980s": "in nineteen eighty-seven, two thousand five and the nineteen eighties.",
    "order 12000 kettles, the 2nd lot": "order twelve thousand kettles, the second lot.",
    "0049 and 3.11.2 and 1/2 and 24/7": "zero zero four nine and three dot eleven dot two and one half and twenty-four "
    "slash seven.",
    "B2B, MP3, a 30-day trial, gate 4B": "B two B, M P three, a thirty day trial, gate four B.",
    "e.g. Dr. No & co.": "for example Doctor No and co.",
    "5 < 6": "five less than six.",
    "12345678901234567": "one two three, four five six, seven eight nine, zero one two, three four five, six seven.",
}
GERMAN = {
    "Ihre Bestellung 48213 kam am 3. Mai 2026 um 14:30 Uhr an.": "Ihre Bestellung vier acht zwei, eins drei kam am "
    "dritten Mai zweitausendsechsundzwanzig um vierzehn Uhr dreißig an.",
    "12,50 € bzw. 1.234,56 EUR": "zwölf Euro fünfzig beziehungsweise eintausendzweihundertvierunddreißig Euro "
    "sechsundfünfzig.",
    "der 22.11.2026, 24.12.": "der zweiundzwanzigste November zweitausendsechsundzwanzig, vierundzwanzigster Dezember",
    "1,7 l, 1 kg, 1 Minute, 1 Tag, 1 €": "eins Komma sieben Liter, ein Kilogramm, eine Minute, ein Tag, ein Euro.",
    "z. B. 3–5 Tage, um 1:00 Uhr, 9 Uhr": "zum Beispiel drei bis fünf Tage, um ein Uhr, neun Uhr.",
    "2,5 Mio. €": "zwei Komma fünf Millionen Euro.",
    "Tel. 030 1234567": "Telefon null drei null, eins zwei drei, vier fünf sechs sieben.",
    "1987": "neunzehnhundertsiebenundachtzig.",
}
CHINESE = {
    "您的订单48213将于2026年11月22日14:30送达。": "您的订单四八二，一三将于二零二六年十一月二十二日十四点三十分送达。",
    "价格是¥12.50或100元。": "价格是十二点五零元或一百元。",
    "2个工作日，2026-11-22，9:05": "两个工作日，二零二六年十一月二十二日，九点零五分。",
    "打8.5折，12.5%，-5°C": "打八点五折，百分之十二点五，负五摄氏度。",
    "第１２号": "第十二号。",
}


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [(code, *case) for code, cases in (("en", ENGLISH), ("de", GERMAN), ("zh", CHINESE)) for case in cases.items()],
)
def test_numbers_and_signs_are_said_in_words(language: str, text: str, words: str) -> None:
    assert speakable(text, language) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Hello\n\nSee [our page](https://x.example/a) 😀 now", "Hello. See our page now."),
        ("- *Red* one\n- __Blue__ one\n\n> `Quoted`", "Red one. Blue one. Quoted."),
        ("1. First\n2. Second", "one: First. two: Second."),
        ("| a | b |\n|---|---|\n| c | d |", "a, b. c, d."),
        ("```py\nprint\n```\n---\nDone", "print. Done."),
        ("![a cup](https://x.example/c.png) ~~old~~ <b>new</b>", "a cup old new"),
        ("snake_case * 3️⃣ → \u202eend\u200b", "snake_case * three end."),
        ("Tom &amp; Ann", "Tom and Ann."),
        ("🎉👍🏽", ""),
        ("", ""),
        ("... _", ""),
    ],
)  # fmt: skip
def test_what_is_for_the_eye_is_left_out(text: str, words: str) -> None:
    assert speakable(text, "en") == words


def test_another_language_keeps_its_numbers_for_the_engine() -> None:
    assert speakable("**Bonjour** 12 😀", "fr") == "Bonjour 12."


def test_hints_are_lowered() -> None:
    text = 'One<break time="300ms"/>two <emphasis>now</emphasis><break strength="strong"/>.'
    assert parts_of(text, "en") == [Part("One", 0.3), Part("two <emphasis> now </emphasis>", 0.7)]
    assert speakable(text, "en") == "One, two now"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<say-as interpret-as="characters">ab12</say-as>', "A B one two"),
        ('<say-as interpret-as="digits">123</say-as>', "one two three"),
        ('<say-as interpret-as="telephone">12-34</say-as>', "one two, three four"),
        ('<say-as interpret-as="ordinal">3</say-as>', "third"),
        ('<say-as interpret-as="date">2026-11-22</say-as>', "November twenty-second, twenty twenty-six"),
        ('<sub alias="World Wide Web">WWW</sub>', "World Wide Web"),
        ("<speak><p>Hi</p></speak>", "Hi"),
        ("<emphasis>open", "open."),
        ("</emphasis></sub>stray", "stray."),
    ],
)  # fmt: skip
def test_what_stands_in_a_hint_is_said_as_asked(text: str, words: str) -> None:
    assert speakable(text, "en") == words


def test_signs_alone_are_not_said() -> None:
    assert parts_of('{ <emphasis><break time="1s"/>Yes</emphasis>', "en")[0] == Part("", 1.0)


def test_a_text_cannot_be_silent_for_long() -> None:
    pauses = [part.pause_s for part in parts_of('<break time="99999s"/>' * 9, "en")]
    assert max(pauses) == 3 and sum(pauses) == 10


@settings(max_examples=40)
@given(st.integers(1, 999_999), st.sampled_from(["en", "de"]))
def test_words_of_a_number_are_the_number(number: int, language: str) -> None:
    words = cardinal(number, language).replace("-", " ")
    assert text2num(words, language) == number


CODES = st.from_regex(r"\A[A-Z]{1,4}-?[0-9]{3,9}\Z", fullmatch=True)
PHONES = st.from_regex(r"\A\+[1-9][0-9] [0-9]{3} [0-9]{4,6}\Z", fullmatch=True)
IDS = st.from_regex(r"\A#?[0-9]{5,20}\Z", fullmatch=True).filter(lambda text: not text.endswith("000"))
MAILS = st.from_regex(r"\A[a-z]{2,5}[0-9]{1,4}@[a-z]{2,6}\.example\Z", fullmatch=True)


@settings(max_examples=40)
@given(st.lists(st.one_of(CODES, PHONES, IDS, MAILS), min_size=1, max_size=3), st.sampled_from(["en", "de"]))
def test_every_digit_of_a_code_is_said_in_its_order(tokens: list[str], language: str) -> None:
    words = re.findall(r"\w+", speakable(" ; ".join(tokens), language))
    said = "".join(str(DIGITS[language].index(word)) for word in words if word in DIGITS[language])
    assert said == re.sub(r"\D", "", "".join(tokens))


@settings(max_examples=80)
@given(st.text("0123456789 .,:;/-–+#%€$@xAbKmh<>()'\n年月日", max_size=40), st.sampled_from(["en", "de", "zh"]))
def test_no_digit_is_left_and_none_is_forgotten(text: str, language: str) -> None:
    words = speakable(text, language)
    assert not re.search("[0-9]", words)
    assert bool(re.search("[0-9]", text)) <= bool(re.search(r"\w", words))


@settings(max_examples=40)
@given(st.text(max_size=60), st.sampled_from(["en", "de", "zh", "fr"]))
def test_any_text_can_be_said(text: str, language: str) -> None:
    words = speakable(text, language)
    assert words == " ".join(words.split()) and "\0" not in words


@pytest.mark.parametrize("piece", ["1", "1.", "1,", "a@", "A1-", "<a ", "[a](", "*", "€1", "\n"])
def test_a_long_strange_text_takes_time_by_its_length(piece: str) -> None:
    assert speakable(piece * (2_000 // len(piece)), "en") is not None
