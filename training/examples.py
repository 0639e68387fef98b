"""The rows that skills are trained and measured on, as frozen values.

One class per row format. Every row carries `where` (`file:line`, or the turn it came from) and its `origin`, which take
no part in equality: an error can name the place, and two rows with the same content are the same row. Texts are NFC.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OOS = "oos"
"""The intent of rows that belong to no trained intent. They measure and calibrate; they are never a class."""

OUTSIDE = "O"
"""The tag of a token outside every slot."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a row belongs to; empty where that is unknown.

    Rows of one `group` (a conversation, or another source of rows that are alike) are drawn together by a bootstrap.
    `month` is YYYY-MM, `source` a file's name, "project" or "reviewed turns". Rows of one `user`, who may have had many
    conversations, are never on both sides of a split.
    """

    group: str = ""
    channel: str = ""
    month: str = ""
    source: str = ""
    user: str = ""


NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class IntentExample:
    """A text and its intent. `intent` is `OOS` when none fits.

    `weight` is how far the label is believed: 1 if a person gave it, less if it was read from signals. Only rows that
    weigh 1 ever measure.
    """

    text: str
    intent: str
    lang: str = "en"
    where: str = field(default="", compare=False)
    origin: Origin = field(default=NOWHERE, compare=False)
    weight: float = field(default=1.0, compare=False)


@dataclass(frozen=True, slots=True)
class SlotExample:
    """A text with its slots. `tags` are BIO tags, one per token.

    `text` is the original text and `offsets` the character span (start, end) of each token in it. A row that comes as
    tokens only gets the tokens joined by single spaces (by nothing in Chinese, where a token is a character).
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    intent: str = ""
    lang: str = "en"
    text: str = ""
    offsets: tuple[tuple[int, int], ...] = ()
    where: str = field(default="", compare=False)
    origin: Origin = field(default=NOWHERE, compare=False)

    def __post_init__(self) -> None:
        """Fill text and offsets for rows that come as tokens only."""
        if self.text or not self.tokens:
            return
        gap = "" if self.lang.startswith("zh") else " "
        offsets, position = [], 0
        for token in self.tokens:
            offsets.append((position, position + len(token)))
            position += len(token) + len(gap)
        object.__setattr__(self, "text", gap.join(self.tokens))
        object.__setattr__(self, "offsets", tuple(offsets))


@dataclass(frozen=True, slots=True)
class FaqExample:
    """A question and the id of the entry that answers it (None: no entry does)."""

    text: str
    id: str | None
    lang: str = "en"
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PassageExample:
    """A question of a conversation and the chunk, and its document, that answered it, by their ids.

    `weight` is how far that is believed, `at` the time in seconds since 1970.
    """

    text: str
    chunk: str
    document: str
    lang: str = "en"
    where: str = field(default="", compare=False)
    origin: Origin = field(default=NOWHERE, compare=False)
    weight: float = field(default=1.0, compare=False)
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Passage:
    """An entry of a knowledge base: an FAQ pair (`question`, `answer`) or a passage (`text` only)."""

    id: str
    text: str
    title: str = ""
    question: str = ""
    answer: str = ""
    lang: str = "en"


Example = IntentExample | SlotExample | FaqExample | PassageExample
