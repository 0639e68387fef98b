"""The bot's messages of a turn as the one text that a chat completion is, with the sources as URL citations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bot.core.messages import File, Image, Message, Part, Source, Text
from connectors.openai_api_models import Annotation, UrlCitation
from connectors.rendering import NOTHING, joined, plain_text

_BREAK = "\n\n"


class Telling:
    """A text that grows by drafts and messages and is never taken back, as a client reads it.

    A draft is the beginning of a message that may in the end be another one; then the message follows it in full.
    Offsets of annotations count characters of `text`.
    """

    def __init__(self) -> None:
        self.text = ""
        self.annotations: list[Annotation] = []
        self._told = 0

    def draft(self, words: str) -> str:
        """What is new since the last call; nothing where a draft takes back what the one before it said."""
        text = self._after(words)
        if not text.startswith(self.text):
            return ""
        return self._grow(text)

    def message(self, message: Message) -> str:
        """What is new with a message of the bot."""
        content = _content(message)
        if not content:
            return ""
        new = self._say(content)
        self.annotations += _annotations(message, len(self.text) - len(content), len(content))
        return new

    def end(self) -> str:
        """What is new at the end of the turn: a bot is never silent."""
        return "" if self._told else self._say(NOTHING)

    def cited(self, length: int) -> list[Annotation]:
        """The annotations of the first characters of the text."""
        return [one for one in self.annotations if one.url_citation.end_index <= length]

    def _say(self, content: str) -> str:
        if not self._after(content).startswith(self.text):
            self._told = len(self.text)
        new = self._grow(self._after(content))
        self._told = len(self.text)
        return new

    def _after(self, content: str) -> str:
        told = self.text[: self._told]
        return f"{told}{_BREAK}{content}" if told else content

    def _grow(self, text: str) -> str:
        new, self.text = text[len(self.text) :], text
        return new


def content_of(messages: Iterable[Message]) -> str:
    """The text of a turn's messages."""
    return _BREAK.join(filter(None, map(_content, messages)))


def _content(message: Message) -> str:
    return _BREAK.join(filter(None, map(_drawn, joined(message.parts))))


def _drawn(part: Part) -> str:
    """A part in the Markdown that chat front ends draw."""
    match part:
        case Image():
            return f"![{part.alt}]({part.url})"
        case File() if part.url:
            return f"[{part.name}]({part.url})"
        case _:
            return plain_text(part).strip("\n")


def _annotations(message: Message, begin: int, length: int) -> Iterator[Annotation]:
    """A citation for each place that rests on a source with an address; for the whole message where none is named."""
    for source in message.sources:
        if source.url:
            for start, stop in _places(message, source) or [(0, length)]:
                cited = UrlCitation(
                    start_index=begin + start, end_index=begin + stop, title=source.title, url=source.url
                )
                yield Annotation(url_citation=cited)


def _places(message: Message, source: Source) -> list[tuple[int, int]]:
    """The source's spans, which count characters of the message's text, in the message's content."""
    found: list[tuple[int, int]] = []
    before = at = 0
    for part in joined(message.parts):
        drawn = _drawn(part)
        if isinstance(part, Text):
            lead = len(part.text) - len(part.text.lstrip("\n"))
            for start, stop in source.spans:
                if before <= start < before + len(part.text):
                    shift = at - before - lead
                    found.append((max(at, start + shift), min(stop + shift, at + len(drawn))))
            before += len(part.text) + 1
        at += len(drawn) + len(_BREAK) if drawn else 0
    return found
