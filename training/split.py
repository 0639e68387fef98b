"""Which rows are held out: a pure function of ids, words and salt, the same for ever and on every machine.

Rows of one customer share a side (`training.sides`), others go by a text's key, its set of normalised words with digits
masked, so "Order 4711?" and "order: order 0815" share a side. As data grow, rows only ever move from the held-out side
to training, never back: what is held out now was held out from every older bundle, so old and new can be compared on
it. Deciding by hash keeps each label's share only on average; labels that would have fewer than two rows left for
training keep all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from training.examples import IntentExample, SlotExample
from training.sides import Place, fraction, pseudonym, sides
from training.sides import SplitOptions as SplitOptions

Labelled = TypeVar("Labelled", IntentExample, SlotExample)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Split(Generic[Labelled]):
    """The two sides, and the labels that have no held-out row."""

    train: tuple[Labelled, ...]
    held_out: tuple[Labelled, ...]
    unmeasured: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cleaned(Generic[Labelled]):
    """Rows without repetitions. `conflicts` are (kept, other) rows that say the same but have different labels."""

    rows: tuple[Labelled, ...]
    repeated: int
    conflicts: tuple[tuple[Labelled, Labelled], ...]


def normalise(text: str) -> str:
    """Compatibility form, case folded, only words, digits masked. Texts without words stay as they are."""
    plain = re.sub(r"\d", "0", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(_WORD.findall(plain)) or plain.strip()


def key(text: str) -> str:
    """What near-duplicates have in common: the sorted set of normalised words."""
    return " ".join(sorted(set(normalise(text).split())))


def position(text: str, salt: str) -> float:
    """Where the text's key falls in 0..1, evenly spread."""
    return fraction(key(text), salt)


def clean(rows: Sequence[Labelled]) -> Cleaned[Labelled]:
    """Drop rows that say the same with the same label; keep those whose labels differ, and name them.

    Numbers count here: "order 1" and "order 2" are two rows.
    """
    kept: list[Labelled] = []
    first: dict[str, Labelled] = {}
    seen: set[tuple[str, object]] = set()
    conflicts: list[tuple[Labelled, Labelled]] = []
    for row in rows:
        text = " ".join(row.text.casefold().split())
        label = row.intent if isinstance(row, IntentExample) else (row.intent, row.tags)
        if (text, label) in seen:
            continue
        if text in first and first[text].intent != row.intent:
            conflicts.append((first[text], row))
        first.setdefault(text, row)
        seen.add((text, label))
        kept.append(row)
    return Cleaned(tuple(kept), len(rows) - len(kept), tuple(conflicts))


def split(rows: Sequence[Labelled], options: SplitOptions) -> Split[Labelled]:
    """Divide rows into those to train on and those to measure on; rows that would be on both are left out of one."""
    found = list(zip(rows, sides([_place(row) for row in rows], options), strict=True))
    train = tuple(row for row, one in found if one.side == "train")
    return on_sides(train, tuple(row for row, one in found if one.side in ("test", "time")))


def on_sides(train: tuple[Labelled, ...], held_out: tuple[Labelled, ...]) -> Split[Labelled]:
    """Rows whose sides are known."""
    labels = {row.intent for row in (*train, *held_out)}
    return Split(train, held_out, tuple(sorted(labels - {row.intent for row in held_out})))


def _place(row: IntentExample | SlotExample) -> Place:
    words, customer = key(row.text), pseudonym(row.origin.user or row.origin.group)
    human = isinstance(row, SlotExample) or row.weight >= 1
    return Place(customer or words, words, row.intent, author=not customer, human=human)
