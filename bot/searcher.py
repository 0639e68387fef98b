"""A knowledge index as a skill, so that its searches run in a thread of their own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from bot.core.protocols import Hits, Query
from retrieval.search import KnowledgeIndex
from skills.encoder_recent import LONGEST


class Searcher:
    """A knowledge index as a skill: one `Hits` per `Query`."""

    name = "retrieval"

    def __init__(self, index: KnowledgeIndex) -> None:
        self._index = index

    def run(self, batch: Sequence[Query]) -> Sequence[Hits]:
        """See `Retriever.search`."""
        return self._index.search(batch)


def sameness(query: Query) -> Hashable | None:
    """What the passages for a short question depend on."""
    return None if query.filters or len(query.text) > LONGEST else (query.text, query.top)
