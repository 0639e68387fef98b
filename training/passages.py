"""What a log says about which passage answers which question: the rows of the query projection.

A passage counts where a customer liked the answer that cited it, or got it after saying the same in other words: the
labels of task "passage" that `training.labels` merges from all rules. Liked answers alone can only confirm what the
search already finds; rephrased questions are where it learns. Rows are dealt to sides like all rows of the log: the
newest weeks measure, customers and near-duplicates stay on one side. No reviewer labels passages yet, so here what
customers showed measures as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.protocols import Hits, Query, Retriever
from bot.manifest import DataSet
from training.clusters import Vectors, clusters
from training.data import data_set, nfc
from training.examples import Origin, PassageExample
from training.gate.measured import Judged
from training.labels import ENOUGH, Signals
from training.privacy import natural
from training.progress import Progress, silent
from training.recipes.projection import Pair
from training.sides import Place, SplitOptions, newest, pseudonym, sides
from training.split import key

ENOUGH_PAIRS = 40
"""Pairs that teach, below which nothing is fitted: a handful would be learned by heart."""
ENOUGH_HELD_OUT = 20
DEPTH = 20
"""Documents that are looked through for the right one; beyond, it counts as not found."""
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Passages:
    """Rows of both sides; `since` is when the newest weeks begin, that only measure (None: the log is too short)."""

    train: tuple[PassageExample, ...] = ()
    held_out: tuple[PassageExample, ...] = ()
    since: float | None = None

    @property
    def enough(self) -> bool:
        """Whether a projection can be fitted and judged."""
        return len(self.train) >= ENOUGH_PAIRS and len(self.held_out) >= ENOUGH_HELD_OUT

    def pairs(self) -> list[Pair]:
        """The rows that teach, the oldest first, as the recipe takes them."""
        ordered = sorted(self.train, key=lambda row: (row.at, row.where))
        return [Pair(row.text, row.chunk, row.weight, key(row.text)) for row in ordered]

    def described(self) -> DataSet:
        """For the manifest."""
        return data_set("passages of the log", self.train)


def passages(signals: Signals, documents: Mapping[str, str], vectors: Vectors | None = None) -> Passages:
    """The rows of a log that was masked. `documents` are those of the index in use, by the ids of their chunks."""
    return by_weeks(list(_rows(signals, documents)), vectors)


def by_weeks(rows: Sequence[PassageExample], vectors: Vectors | None = None) -> Passages:
    """Rows on their sides: time, customers and near-duplicates, as `training.sides` says."""
    names = clusters([row.text for row in rows], vectors)
    places = [
        Place(anchor=row.origin.user or key(row.text), cluster=name, label="", author=False, at=row.at)
        for row, name in zip(rows, names, strict=True)
    ]
    since = newest(places)
    found = list(zip(rows, sides(places, SplitOptions(), since), strict=True))
    train = tuple(row for row, one in found if one.side == "train")
    return Passages(train, tuple(row for row, one in found if one.side in ("time", "test")), since)


def judged(retriever: Retriever, rows: Sequence[PassageExample], progress: Progress = silent) -> list[Judged]:
    """The reciprocal rank of the right document for each row; 0 where it is not among the first `DEPTH`."""
    found: list[Judged] = []
    for first in range(0, len(rows), _BATCH):
        progress(first / len(rows), "measuring")
        batch = rows[first : first + _BATCH]
        hits = retriever.search([Query(text=row.text, top=4 * DEPTH) for row in batch])
        found += [_judged(row, one) for row, one in zip(batch, hits, strict=True)]
    return found


def _judged(row: PassageExample, hits: Hits) -> Judged:
    documents = list(dict.fromkeys(hit.document for hit in hits.hits))[:DEPTH]
    rank = next((rank for rank, name in enumerate(documents, 1) if name == row.document), 0)
    best = hits.hits[0] if hits.hits else None
    return Judged(
        text=row.text,
        right=row.document,
        said=best.document if best else "",
        score=1 / rank if rank else 0.0,
        sureness=best.score if best else 0.0,
        lang=row.lang,
        where=row.where,
        origin=row.origin,
    )


def _rows(signals: Signals, documents: Mapping[str, str]) -> Iterable[PassageExample]:
    turns = {(turn.conversation, turn.turn): turn for turn in signals.turns}
    for label in signals.labels:
        turn = turns.get((label.conversation, label.turn))
        usable = label.task == "passage" and label.confidence >= ENOUGH and label.value in documents
        if turn is None or not usable or not turn.said:
            continue
        yield PassageExample(
            text=natural(nfc(turn.text)).text,
            chunk=label.value,
            document=documents[label.value],
            weight=label.confidence,
            at=turn.at,
            lang=turn.language or "en",
            where=f"{turn.conversation}, turn {turn.turn}",
            origin=Origin(turn.conversation, turn.channel, "", "log", pseudonym(turn.user or turn.conversation)),
        )
