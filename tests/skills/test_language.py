"""Language identification: right on sentences, and never certain about scraps."""

from __future__ import annotations

import pytest

from skills.language import LanguageIdentification


@pytest.fixture(scope="module")
def english() -> LanguageIdentification:
    return LanguageIdentification(["en"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("where is my parcel", "en"),
        ("can u pls chek ordr 48213 asap", "en"),
        ("Wo ist mein Paket?", "de"),
        ("Meine Bestellung ist noch nicht angekommen", "de"),
        ("où est ma commande", "fr"),
        ("quiero devolver esto", "es"),
        ("dove si trova il mio pacco", "it"),
        ("waar is mijn bestelling", "nl"),
        ("gdzie jest moja paczka", "pl"),
        ("我的订单在哪里", "zh"),
        ("请问 iPhone 什么时候发货", "zh"),
        ("返品したいのですが", "ja"),
        ("배송이 언제 도착하나요", "ko"),
        ("Где мой заказ?", "ru"),
    ],
)
def test_sentences_are_told_apart(english: LanguageIdentification, text: str, language: str) -> None:
    assert english.run([text]) == [language]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "48213",
        "😀😀",
        "Hallo",
        "Maria Gonzalez Perez",
        "my name is Jürgen Müller",
        "14 Mill Lane, Oxford",
        "anna@example.org",
        "asdf qwer zxcv",
        "i ordered 饺子 yesterday and it is not here",
    ],
)
def test_scraps_and_names_count_as_the_bots_own_language(english: LanguageIdentification, text: str) -> None:
    assert english.run([text]) == ["en"]


def test_own_language_is_the_first_of_the_bot() -> None:
    chinese = LanguageIdentification(["zh-CN", "en"])
    assert chinese.run(["ok", "取消", "where is my parcel"]) == ["zh", "zh", "en"]


def test_bots_own_language_wins_within_a_script() -> None:
    assert LanguageIdentification(["uk"]).run(["Где мой заказ?"]) == ["uk"]


def test_only_the_beginning_of_a_long_text_is_read(english: LanguageIdentification) -> None:
    assert english.run(["where is my parcel " * 100_000 + "我的订单"]) == ["en"]
