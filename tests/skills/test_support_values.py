from __future__ import annotations

import pytest

from skills.support import unsupported
from skills.support_values import stated
from skills.support_words import denies, language, sentences

ENGLISH = (
    "Teapots\nThe Fern costs €34 and holds 1 litre. The Iwa costs €79. Orders before 14:00 leave within 2 days.",
)
GERMAN = (
    "Rückgabe\nSie können Ware innerhalb von 30 Tagen zurückgeben. Geöffneter Tee kann nicht zurückgegeben werden.",
)
CHINESE = ("退货\n从签收起 30 天以内可以退货。打开过的茶叶不能退。运费是 6.90 欧元，满 50 欧元免运费。周六不送货。",)


def checks(answer: str, sources: tuple[str, ...]) -> list[str]:
    return [finding.check for finding in unsupported(answer, sources)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("thirty days", ["30"]),
        ("two hundred and fifty euros", ["250"]),
        ("einundzwanzig Tage", ["21"]),
        ("4,90 € or €4.90", ["4.9", "4.9"]),
        ("1,000 points, 1.234,50 Euro", ["1000", "1234.5"]),
        ("2 pm, 14:00", ["14:00", "14:00"]),
        ("每4周一次，三十天", ["4", "1", "30"]),
        ("a week, half a day", ["1", "0.5"]),
        ("one of them", []),
    ],
)
def test_numbers_come_in_one_form(text: str, numbers: list[str]) -> None:
    assert [amount.number for amount in stated(text)] == numbers


@pytest.mark.parametrize(
    ("sources", "answer"),
    [
        (ENGLISH, "The Fern costs 34 euros, the Iwa €79.00."),
        (ENGLISH, "Orders before 2 pm leave within two days."),
        (GERMAN, "Innerhalb von dreißig Tagen können Sie die Ware zurückgeben."),
        (GERMAN, "Leider kann geöffneter Tee nicht zurückgegeben werden."),
        (CHINESE, "三十天以内可以退货。"),
        (CHINESE, "您好，满 50 欧元免运费。"),
    ],
)
def test_a_value_may_be_written_in_another_way(sources: tuple[str, ...], answer: str) -> None:
    assert checks(answer, sources) == []


@pytest.mark.parametrize(
    ("sources", "answer", "check"),
    [
        (ENGLISH, "The Fern costs €3.4.", "value"),
        (ENGLISH, "The Fern costs $34.", "value"),
        (ENGLISH, "Orders leave within 2 weeks.", "value"),
        (ENGLISH, "Orders after 14:00 leave within 2 days.", "value"),
        (ENGLISH, "The Iwa costs €34.", "together"),
        (GERMAN, "Sie können Ware innerhalb von 13 Tagen zurückgeben.", "value"),
        (GERMAN, "Sie können Ware innerhalb von dreizehn Tagen zurückgeben.", "value"),
        (GERMAN, "Sie können Ware innerhalb von 30 Wochen zurückgeben.", "value"),
        (GERMAN, "Sie können Ware nicht innerhalb von 30 Tagen zurückgeben.", "denial"),
        (GERMAN, "Die Lieferung ist kostenlos.", "word"),
        (CHINESE, "40天以内可以退货。", "value"),
        (CHINESE, "三天以内可以退货。", "value"),
        (CHINESE, "30 周以内可以退货。", "value"),
        (CHINESE, "满50美元免运费。", "value"),
        (CHINESE, "打开过的茶叶可以退。", "denial"),
        (CHINESE, "我们送到冰岛。", "word"),
    ],
)
def test_another_value_unit_bound_or_holder_is_found(sources: tuple[str, ...], answer: str, check: str) -> None:
    assert check in checks(answer, sources)


def test_languages_are_told_apart_and_their_sentences_and_denials_found() -> None:
    assert [language(text) for text in (ENGLISH[0], GERMAN[0], CHINESE[0], "")] == ["en", "de", "zh", "en"]
    assert sentences("Am 15. Mai kommt es. Das ist z.B. gut! 好吗？好。") == [
        "Am 15. Mai kommt es.",
        "Das ist z.B. gut!",
        "好吗？",
        "好。",
    ]
    assert denies("不能退", "zh") and not denies("不同的茶", "zh") and denies("keine Rückgabe", "de")
