from __future__ import annotations

import pytest

from bot.core.messages import Audio, Card, Choice, Choices, Custom, File, Image, Message, Part, Source, Text
from connectors.rendering import NOTHING, plain_text, rasa_messages

YES = Choice(title="Yes", payload="/affirm")
BUTTONS = [{"title": "Yes", "payload": "/affirm"}]
RENDERED: dict[str, tuple[tuple[Part, ...], list[dict[str, object]]]] = {
    "a text": ((Text(text="hi"),), [{"text": "hi"}]),
    "a text with blank lines is split": ((Text(text="a\n\nb\n \nc"),), [{"text": "a"}, {"text": "b"}, {"text": "c"}]),
    "a text with buttons is not": (
        (Text(text="a\n\nb"), Choices(options=(YES,))),
        [{"text": "a\n\nb", "buttons": BUTTONS}],
    ),
    "buttons alone name themselves": ((Choices(options=(YES,)),), [{"text": "- Yes", "buttons": BUTTONS}]),
    "a picture": ((Image(url="https://x.example/a.png"),), [{"image": "https://x.example/a.png"}]),
    "a custom payload keeps its nulls": ((Custom(data={"a": None}),), [{"custom": {"a": None}}]),
    "a card degrades": (
        (Card(title="T", subtitle="S", options=(YES,), image_url="https://x.example/a.png"),),
        [{"text": "T : S", "buttons": BUTTONS}, {"image": "https://x.example/a.png"}],
    ),
    "a file": (
        (File(name="a.pdf", url="https://x.example/a.pdf"),),
        [{"attachment": {"type": "file", "payload": {"title": "a.pdf", "src": "https://x.example/a.pdf"}}}],
    ),
    "a stored file has a name only": ((File(name="a.pdf", blob="0" * 64),), [{"text": "a.pdf"}]),
    "sound": ((Audio(blob="0" * 64),), [{"text": "[audio]"}]),
    "nothing becomes words": ((), [{"text": NOTHING}]),
    "a blank text becomes words": ((Text(text=" \n\n "),), [{"text": NOTHING}]),
}  # fmt: skip


@pytest.mark.parametrize("case", RENDERED)
def test_parts_take_rasas_shape(case: str) -> None:
    parts, expected = RENDERED[case]
    found = rasa_messages((Message(id="1", parts=parts),), "u").model_dump(exclude_none=True)
    assert found == [{"recipient_id": "u", **item} for item in expected]


def test_sources_stand_on_the_last_text() -> None:
    source = Source(document="d", title="T", chunk="c")
    message = Message(id="1", parts=(Text(text="a\n\nb"), Image(url="https://x.example/")), sources=(source,))
    first, second, _ = rasa_messages((message,), "u").root
    assert first.sources is None
    assert second.sources is not None and second.sources[0].document == "d"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Text(text="a"), "a"),
        (Image(url="https://x.example/", alt="A cup"), "A cup"),
        (Card(title="T"), "T"),
        (Custom(data={}), "[custom content]"),
        (Choices(options=(YES, YES)), "- Yes\n- Yes"),
    ],
)
def test_every_part_has_a_text_to_fall_back_on(part: Part, text: str) -> None:
    assert plain_text(part) == text
