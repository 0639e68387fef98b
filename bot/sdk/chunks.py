"""A streamed response put together: its pieces arrive one by one and make one message when it ends."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from bot.core.messages import Message
from bot.core.rasa.facts import read_parts


class Chunks:
    """The pieces of one streamed response: texts are joined, the last image, attachment and custom part count."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._rest: dict[str, JsonValue] = {}

    def add(self, piece: Mapping[str, JsonValue]) -> None:
        """Take a piece with any of text, image, custom, attachment, buttons, elements."""
        for key, value in piece.items():
            if key == "text":
                self._text.append(str(value))
            elif isinstance(value, list):
                earlier = self._rest.get(key)
                self._rest[key] = [*(earlier if isinstance(earlier, list) else []), *value]
            elif value:
                self._rest[key] = value

    def message(self) -> Message | None:
        """The message; None when nothing came."""
        parts = read_parts("".join(self._text), self._rest)
        return Message(id="", parts=parts) if parts else None
