"""Entities of texts that are, word by word, examples of an author: what was annotated there is what is meant.

Of an example is kept a digest of its words and, for each entity, its kind, first and last word; no text. Examples whose
entities do not begin and end with words are left out, and so are those that are annotated in two ways.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bot.core.errors import IntegrityError
from bot.core.events import Entity
from skills.entities_head import entity_at
from skills.intent import digest_of, word_spans

FILE = "known.json"
Annotated = tuple[str, Sequence[tuple[int, int, str]]]
"""A text and its spans: start, end (characters), kind (`type#role#group`)."""


class Known(NamedTuple):
    """How many words a text has, and of each entity the kind, the first word and the one after its last."""

    words: int
    spans: tuple[tuple[str, int, int], ...]


class KnownTexts:
    """Finds texts that are known by the digest of their words."""

    def __init__(self, table: Mapping[int, Known]) -> None:
        self.table = dict(table)

    @classmethod
    def of(cls, texts: Iterable[Annotated]) -> KnownTexts:
        """Of annotated texts."""
        found: dict[int, Known | None] = {}
        for text, spans in texts:
            digest, known = digest_of(text), _known(text, spans)
            found[digest] = known if found.get(digest, known) == known else None
        return cls({digest: known for digest, known in found.items() if known is not None})

    def find(self, text: str) -> list[Entity] | None:
        """The entities of a known text; None when it is not known."""
        known = self.table.get(digest_of(text)) if self.table else None
        places = word_spans(text) if known is not None else []
        if known is None or len(places) != known.words:
            return None
        return [entity_at(text, kind, (places[first][0], places[end - 1][1]), 1.0) for kind, first, end in known.spans]

    def save(self, folder: Path) -> None:
        """Write `known.json`."""
        table = {
            f"{digest:x}": [known.words, [list(span) for span in known.spans]] for digest, known in self.table.items()
        }
        (folder / FILE).write_text(json.dumps(table, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> KnownTexts:
        """Read what `save` wrote; nothing is known where nothing was written.

        Raises:
            IntegrityError: the file is damaged.
        """
        path = folder / FILE
        if not path.exists():
            return cls({})
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            return cls({
                int(digest, 16): Known(int(words), tuple((str(kind), int(a), int(b)) for kind, a, b in spans))
                for digest, (words, spans) in table.items()
            })  # fmt: skip
        except (ValueError, TypeError, AttributeError) as error:
            raise IntegrityError(str(path), f"expected a table of known texts, found {error!r}; train again") from error


def _known(text: str, spans: Sequence[tuple[int, int, str]]) -> Known | None:
    places = word_spans(text)
    starts = {start: number for number, (start, _) in enumerate(places)}
    ends = {end: number + 1 for number, (_, end) in enumerate(places)}
    if any(start not in starts or end not in ends for start, end, _ in spans):
        return None
    return Known(len(places), tuple((kind, starts[start], ends[end]) for start, end, kind in spans))
