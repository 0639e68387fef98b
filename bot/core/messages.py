"""What channels deliver and what we send: one vocabulary of frozen values for both directions.

A message is a sequence of parts. A channel that cannot show a part shows its text.
Values carry no storage keys; only `Message.id` names a message, and it is unique within its conversation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Value):
    """Plain text, or the small Markdown subset that channels draw: emphasis, lists, links."""

    kind: Literal["text"] = "text"
    text: str


class Audio(Value):
    """Sound kept in the blob store. `blob` is its sha256 in hex, `seconds` its length."""

    kind: Literal["audio"] = "audio"
    blob: str
    media_type: str = "audio/wav"
    seconds: float = 0.0


class Image(Value):
    """A picture by address. `alt` is what a screen reader says."""

    kind: Literal["image"] = "image"
    url: str
    alt: str = ""


class File(Value):
    """A file by address or by blob (sha256 in hex)."""

    kind: Literal["file"] = "file"
    name: str
    url: str | None = None
    blob: str | None = None
    media_type: str = "application/octet-stream"


class Choice(Value):
    """One button. `payload` comes back as the next message's text when it is pressed; `url` opens a page instead."""

    title: str
    payload: str = ""
    url: str | None = None


class Choices(Value):
    """Buttons or quick replies."""

    kind: Literal["choices"] = "choices"
    options: tuple[Choice, ...]


class Card(Value):
    """A titled block with an optional picture, link and buttons."""

    kind: Literal["card"] = "card"
    title: str
    subtitle: str = ""
    image_url: str | None = None
    url: str | None = None
    options: tuple[Choice, ...] = ()


class Custom(Value):
    """A payload that only one channel's client understands; passed through untouched."""

    kind: Literal["custom"] = "custom"
    data: dict[str, JsonValue]


Part = Annotated[Text | Audio | Image | File | Choices | Card | Custom, Field(discriminator="kind")]


class Source(Value):
    """Where an answer comes from, as shown to the customer.

    `spans` are the characters [start, end) of the message's text that rest on it; none: all of it does.
    """

    document: str
    title: str
    chunk: str
    url: str | None = None
    spans: tuple[tuple[int, int], ...] = ()


class Message(Value):
    """One message, in or out. `name` is the response it was made from (`utter_...`), if any."""

    id: str
    parts: tuple[Part, ...]
    sources: tuple[Source, ...] = ()
    reply_to: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """All text parts, joined by line feeds."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Every button in the message."""
        parts = [part for part in self.parts if isinstance(part, Choices | Card)]
        return tuple(option for part in parts for option in part.options)

    @property
    def offers(self) -> tuple[Choice, ...]:
        """All that may come back as pressed: the buttons, and every "/..." in a payload for one channel's client."""
        custom = [text for part in self.parts if isinstance(part, Custom) for text in _commands(part.data)]
        return self.choices + tuple(Choice(title=text, payload=text) for text in custom)


def _commands(data: JsonValue) -> Iterator[str]:
    """The texts in a JSON value that begin with a slash."""
    if isinstance(data, dict | list):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _commands(item)
    elif isinstance(data, str) and data.startswith("/"):
        yield data


class Address(Value):
    """Where a message comes from and where answers go."""

    channel: str
    conversation: str
    sender: str


class Inbound(Value):
    """One delivery by a channel. `key` is the client's own message id, unique in its conversation for ever.

    `payloads`: a text such as `/intent{...}` is obeyed though no button offered it. `claimed` is the channel that the
    client says it is; nothing trusts it.
    """

    address: Address
    message: Message
    key: str
    metadata: dict[str, JsonValue] = {}
    payloads: bool = False
    claimed: str = ""
