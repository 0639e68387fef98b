"""Documents and the chunks they are searched by.

A reader turns a file into `Document`s: sections of paragraphs under their headings, or a question with its answer.
`chunks_of` cuts a document along that structure. Rules:

* A heading always starts a new chunk; its whole path ("Returns › Sale items") is the chunk's title.
* Paragraphs of one section are merged up to `TARGET` words. A sentence is never cut, unless it alone is longer than
  `LONGEST` words, which only text without punctuation is.
* The size of a text is its number of words, where each Chinese, Japanese or Korean character counts as one.
* The id of a chunk is a hash of all that is stored of it, so an unchanged chunk keeps its id and its vectors.

This module imports the standard library only: it also runs in the child process that reads files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

TARGET = 90
LONGEST = 360
ARROW = " › "

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+", re.UNICODE)
_CLOSERS = "\"'”’)\\]」』）】*_"
_SENTENCE_END = re.compile(rf"[.!?…][{_CLOSERS}]*\s+|[。！？；][{_CLOSERS}]*\s*|\n+")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|no|nr|approx|mr|mrs|ms|dr|st|inc|ltd|co)|\b[A-Z])\.\s+$", re.I)
_MARKUP = re.compile(
    r"!?\[([^\]\n]*)\]\([^)\s]*(?:\s[^)\n]*)?\)|<!--[\s\S]*?-->|^ {0,3}(?:(?:#{1,6}|>)[ \t]+|```[^\n]*\n?)|[*`]+", re.M
)


@dataclass(frozen=True, slots=True)
class Section:
    """Paragraphs under a path of headings. A paragraph may hold line breaks (lists, tables)."""

    headings: tuple[str, ...]
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a reader made of a file, or of one row of an FAQ. `questions` are ways to ask what `answer` answers."""

    id: str
    title: str
    sections: tuple[Section, ...] = ()
    questions: tuple[str, ...] = ()
    answer: str | None = None
    url: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, strings and dictionaries."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Document:
        """The inverse of `to_json`."""
        sections = tuple(Section(tuple(s["headings"]), tuple(s["paragraphs"])) for s in row["sections"])
        return cls(**{**row, "sections": sections, "questions": tuple(row["questions"])})


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit of search: a passage, or an FAQ entry. `title` holds the path of headings.

    `questions` are each searched by a vector of their own, beside that of the passage.
    """

    id: str
    document: str
    title: str
    text: str
    questions: tuple[str, ...] = ()
    answer: str | None = None
    url: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def passage(self) -> str:
        """The text that stands for the whole chunk in the index: title, question and text without markup."""
        asked = self.questions[:1] if self.answer is not None else ()
        return plain("\n".join(dict.fromkeys(part for part in (self.title, *asked, self.text) if part)))

    @property
    def body(self) -> str:
        """The passage without title and questions."""
        return plain(self.answer or self.text)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, strings and dictionaries."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Chunk:
        """The inverse of `to_json`."""
        return cls(**{**row, "questions": tuple(row["questions"])})


def size(text: str) -> int:
    """Words; each CJK character counts as one."""
    return len(_WORD.findall(text))


def plain(text: str) -> str:
    """The text without Markdown's marks; a link becomes its words."""
    return re.sub(r"[ \t]+", " ", _MARKUP.sub(lambda found: found.group(1) or "", text)).strip()


def sentences(text: str) -> list[str]:
    """The text cut after each sentence; the pieces joined give the text again. Line breaks end sentences too."""
    pieces, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text, start, end.end()):
            pieces.append(text[start : end.end()])
            start = end.end()
    return [*pieces, text[start:]] if text[start:] else pieces


def chunks_of(document: Document) -> tuple[Chunk, ...]:
    """The document's chunks, in its order; none if it holds no words."""
    if document.answer is not None:
        return (_chunk(document, document.title, document.answer, document.questions, document.answer),)
    found: list[Chunk] = []
    for section in document.sections:
        title = ARROW.join(_path(document.title, section.headings))
        asked = section.headings[-1:] if section.headings and section.headings[-1].endswith(("?", "？")) else ()
        for text in _merge(section.paragraphs):
            questions = (*asked, *(document.questions if not found else ()))
            found.append(_chunk(document, title, text, questions, None))
            asked = ()
    return tuple({chunk.id: chunk for chunk in found}.values())


def digest(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def _chunk(document: Document, title: str, text: str, questions: tuple[str, ...], answer: str | None) -> Chunk:
    parts = (document.id, title, text, questions, answer, document.url, document.metadata)
    return Chunk(digest(parts), *parts)


def _path(title: str, headings: tuple[str, ...]) -> Iterator[str]:
    """The title and the headings, without repeating what a file says twice (its title as first heading)."""
    last = ""
    for part in (title, *headings):
        if part and part.casefold() != last.casefold():
            yield part
            last = part


def _merge(paragraphs: Iterable[str]) -> Iterator[str]:
    """Texts of about `TARGET` words made of whole paragraphs, or of whole sentences of a long one."""
    parts: list[str] = []
    held = 0
    for part in (piece for paragraph in paragraphs for piece in _fit(paragraph.strip() + "\n\n")):
        words = size(part)
        if parts and held + words > TARGET:
            yield "".join(parts).strip()
            parts, held = [], 0
        parts.append(part)
        held += words
    if held:
        yield "".join(parts).strip()


def _fit(paragraph: str) -> Iterator[str]:
    if size(paragraph) <= TARGET:
        yield paragraph
        return
    for sentence in sentences(paragraph):
        yield from (sentence,) if size(sentence) <= LONGEST else _cut(sentence)


def _cut(text: str) -> Iterator[str]:
    """Pieces of `LONGEST` words, for text without sentence ends."""
    starts = [found.start() for found in _WORD.finditer(text)][::LONGEST]
    for start, end in zip([0, *starts[1:]], [*starts[1:], len(text)], strict=True):
        yield text[start:end]
