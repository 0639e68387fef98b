"""Which rows are held out: a pure function of text and salt, the same for ever and on every machine.

Near-duplicates fall on one side: the split looks at a text's key, its set of normalised words with digits masked, so
"Order 4711?" and "order 9: order" share a side. As data grow, rows only ever move from the held-out side to training,
never back: what is held out now was held out from every older bundle, so old and new can be compared on it. Deciding by
hash keeps each label's share only on average; labels that would have fewer than two rows left for training keep all.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from training.examples import OOS, IntentExample, SlotExample

Labelled = TypeVar("Labelled", IntentExample, SlotExample)
_FEWEST = 2
"""Rows of a label that training needs."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """`share` of the keys is held out (0..1), but about `most` rows at the most; `salt` gives another split."""

    share: float = 0.2
    most: int = 600
    salt: str = "held-out-1"


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
    digest = hashlib.sha256(f"{salt}\n{key(text)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


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
    """Divide rows into those to train on and those to measure on."""
    share = min(options.share, options.most / max(1, len(rows)))
    held = [position(row.text, options.salt) < share for row in rows]
    by_label: dict[str, list[bool]] = defaultdict(list)
    for row, out in zip(rows, held, strict=True):
        by_label[row.intent].append(out)
    lost = {name for name, outs in by_label.items() if outs.count(False) < _FEWEST and name != OOS}
    kept = {key(row.text) for row in rows if row.intent in lost}
    sides = [out and key(row.text) not in kept for row, out in zip(rows, held, strict=True)]
    train = tuple(row for row, out in zip(rows, sides, strict=True) if not out)
    held_out = tuple(row for row, out in zip(rows, sides, strict=True) if out)
    return Split(train, held_out, tuple(sorted(set(by_label) - {row.intent for row in held_out})))
