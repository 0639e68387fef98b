"""Key mashing and real words."""

from __future__ import annotations

import pytest

from skills.encoder import Encoder
from skills.gibberish import is_gibberish

ENCODER = Encoder.load()


def judged(text: str) -> bool:
    return is_gibberish(text, ENCODER.run([text])[0].offsets)


@pytest.mark.parametrize(
    "text",
    [
        "asdf qwer zxcv",
        "kjhkjh",
        "qqqqq wwww",
        "xkcdjq vbnmp",
        "jfjfjfjf kdkdkd",
        "sdfghjkl",
        "aaaaaaaaaaaa",
        "uiop asdf",
    ],
)
def test_key_mashing(text: str) -> None:
    assert judged(text)


@pytest.mark.parametrize(
    "text",
    [
        "where is my order", "48213", "adress chnge", "refnd", "recieve paccage", "Bestellung verfolgen", "ok", "Brisa",
        "asdf where is my order", "我的订单", "¿dónde está?", "...", "wher is mi pakage", "thx", "Corvo kettle", "KLM",
        "obrigado", "boa tarde", "kiitos", "aap kaise hain", "przepraszam, gdzie jest dworzec", "ciao ciao",
    ],
)  # fmt: skip
def test_words_misspelt_words_and_names(text: str) -> None:
    assert not judged(text)
