"""Wording."""

from __future__ import annotations

from bot.core.conversation import Conversation
from bot.core.messages import Card, Choice, Choices, Custom, File, Image, Message, Text
from bot.core.program import Program, Slot, Variation
from bot.core.responses import fill, render, shown, with_parts

TALK = Conversation(id="c", channel="slack", slots={"name": "Ada", "n": 2.0})


def told(*variations: dict[str, object], talk: Conversation = TALK) -> str:
    program = Program(
        slots={"plan": Slot(name="plan", initial="Free"), "n": Slot(name="n")},
        responses={"utter_x": tuple(Variation.model_validate(v) for v in variations)},
    )
    return " | ".join(message.text for message in render("utter_x", talk, program))


def when(slot: str, value: object) -> dict[str, object]:
    return {"conditions": [{"slot": slot, "value": value}]}


def test_the_most_special_fitting_variation_wins() -> None:
    plain, channel = {"text": "plain"}, {"text": "channel", "channel": "slack"}
    condition = {"text": "condition", **when("plan", "FREE")}
    both = {"text": "both", "channel": "slack", **when("plan", "free")}
    assert told(plain, channel, condition, both) == "both"
    assert told(plain, channel, condition) == "channel"
    assert told(plain, condition) == "condition"
    assert told(plain, {"text": "no", **when("n", 3)}, {"text": "web", "channel": "web"}) == "plain"
    assert told({"text": "no", **when("n", 3)}) == ""


def test_the_choice_is_spread_but_repeatable() -> None:
    options = [{"text": str(i)} for i in range(3)]
    picked = [told(*options, talk=Conversation(id=f"c{i}")) for i in range(30)]
    assert set(picked) == {"0", "1", "2"}
    assert picked == [told(*options, talk=Conversation(id=f"c{i}")) for i in range(30)]


def test_holes_are_filled_and_unknown_ones_left() -> None:
    names = {"a": "x", "n": 2.0, "half": 0.5, "yes": True, "no": False, "none": None, "list": ["p", "q"]}
    assert fill("{a} {n} {half} {yes} {no}{none} {list} {other}", names) == "x 2 0.5 yes no p, q {other}"
    assert fill('/book{{"a": "{a}"}}', names) == '/book{"a": "x"}'
    assert fill('/book{"b": "{a}"}', names) == '/book{"b": "x"}'
    assert shown(3) == "3"


def test_every_kind_of_part() -> None:
    variation = {
        "text": "hi {name}",
        "image": "https://x/{n}.png",
        "buttons": [{"title": "{name}", "payload": "/a"}],
        "quick_replies": [{"title": "b", "payload": "/b"}],
        "elements": [
            {"title": "t", "subtitle": "{name}", "buttons": [{"title": "c", "payload": "/c"}, {"url": "/{n}"}, "odd"]},
            {"title": 3, "buttons": "odd", "image_url": "https://x/y.png", "url": "https://x"},
        ],
        "attachment": "https://x/invoice.pdf",
        "custom": {"k": ["{name}", {"deep": "{n}"}, 4]},
    }
    program = Program(responses={"utter_x": (Variation.model_validate(variation),)})
    (message,) = render("utter_x", TALK, program)
    text, image, card, odd, file, custom, choices = message.parts
    assert isinstance(text, Text) and text.text == "hi Ada"
    assert isinstance(image, Image) and image.url == "https://x/2.png"
    assert isinstance(card, Card) and card.subtitle == "Ada" and card.options[1].url == "/2"
    assert isinstance(odd, Card) and odd.title == "" and odd.url == "https://x"
    assert isinstance(file, File) and file.name == "invoice.pdf"
    assert isinstance(custom, Custom) and custom.data == {"k": ["Ada", {"deep": "2"}, 4]}
    assert isinstance(choices, Choices) and [c.title for c in choices.options] == ["Ada", "b"]
    assert [c.title for c in message.choices] == ["c", "", "Ada", "b"]


def test_an_attachment_that_is_an_object_is_passed_on() -> None:
    variation = Variation.model_validate({"attachment": {"type": "pdf", "name": "{name}"}})
    (message,) = render("utter_x", TALK, Program(responses={"utter_x": (variation,)}))
    assert message.parts == (Custom(data={"attachment": {"type": "pdf", "name": "Ada"}}),)
    bare = Variation.model_validate({"attachment": "/"})
    (message,) = render("utter_x", TALK, Program(responses={"utter_x": (bare,)}))
    assert message.parts == (File(name="/", url="/"),)


def test_further_parts_add_buttons_and_take_the_place_of_their_kind() -> None:
    own = Choices(options=(Choice(title="A"),))
    message = Message(id="", name="utter_x", parts=(Text(text="a"), Custom(data={"n": 1}), own))
    more = (Choices(options=(Choice(title="B"),)), Image(url="i"), Text(text="b"))
    found = with_parts(message, more)
    assert [part.kind for part in found.parts] == ["text", "image", "custom", "choices"]
    assert (found.text, [choice.title for choice in found.choices], found.name) == ("b", ["A", "B"], "utter_x")
    assert with_parts(message, ()) is message
    assert with_parts(Message(id="", parts=()), (Text(text="b"),)).parts == (Text(text="b"),)
