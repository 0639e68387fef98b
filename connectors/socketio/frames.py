"""Messages as the frames that Rasa's Socket.IO clients read.

A text is split on blank lines, one frame a piece; quick replies go with the last piece. A custom payload is sent as its
`data` when it is written in Rasa's way (`{"data": ...}`), else under `custom`, as the REST channel does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from bot.core.messages import Audio, Card, Choice, Choices, Custom, File, Image, Message, Part, Text
from connectors.rendering import joined, pieces, plain_text

Frame = JsonValue


def _text(piece: str, **more: JsonValue) -> Frame:
    return {"text": piece, **more}


def frames(message: Message) -> list[Frame]:
    """What is emitted for a message, in order."""
    found = list(_frames(joined(message.parts)))
    texts = [frame for frame in found if isinstance(frame, dict) and "text" in frame]
    if message.sources and texts:
        texts[-1]["sources"] = [source.model_dump(mode="json", exclude={"chunk"}) for source in message.sources]
    return found


def _frames(parts: Sequence[Part]) -> Iterator[Frame]:
    for index, part in enumerate(parts):
        following = parts[index + 1] if index + 1 < len(parts) else None
        match part:
            case Text() if isinstance(following, Choices):
                yield from _with_replies(part.text, following.options)
            case Choices() if index and isinstance(parts[index - 1], Text):
                continue
            case Choices():
                yield from _with_replies(plain_text(part), part.options)
            case Text():
                yield from map(_text, pieces(part.text))
            case Image():
                yield {"attachment": {"type": "image", "payload": {"src": part.url}}}
            case Card():
                yield {"attachment": {"type": "template", "payload": _template(part)}}
            case Custom():
                yield _custom(part.data)
            case File() | Audio():
                yield _attachment(part)


def _custom(data: dict[str, JsonValue]) -> Frame:
    if set(data) == {"data"}:
        return data["data"]
    return {"attachment": data["attachment"]} if set(data) == {"attachment"} else {"custom": data}


def _with_replies(text: str, options: Sequence[Choice]) -> Iterator[Frame]:
    *before, last = pieces(text) or [""]
    yield from (_text(piece, quick_replies=[]) for piece in before)
    replies: list[JsonValue] = [
        {"content_type": "text", "title": option.title, "payload": option.payload} for option in options
    ]
    yield _text(last, quick_replies=replies)


def _template(card: Card) -> dict[str, JsonValue]:
    element: dict[str, JsonValue] = {"title": card.title, "subtitle": card.subtitle}
    if card.image_url:
        element["image_url"] = card.image_url
    if card.url:
        element["default_action"] = {"type": "web_url", "url": card.url}
    element["buttons"] = [_card_button(option) for option in card.options]
    return {"template_type": "generic", "elements": element}


def _card_button(option: Choice) -> JsonValue:
    if option.url:
        return {"type": "web_url", "title": option.title, "url": option.url}
    return {"type": "postback", "title": option.title, "payload": option.payload}


def _attachment(part: File | Audio) -> Frame:
    if isinstance(part, File) and part.url:
        return {"attachment": {"type": "file", "payload": {"title": part.name, "src": part.url}}}
    return {"text": plain_text(part)}
