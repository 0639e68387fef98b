"""Which rows teach and which measure: decided by ids and a salt, so that it stays the same while data grow.

A row of the log goes where its customer goes, so conversations and customers never straddle; a row without a customer
goes where its words go. Where the log spans eight weeks, what people labelled of its newest weeks only measures; labels
that nobody gave cannot measure, so they teach at once, or a bot would learn what is new a month late. Then rows that
say the same (a cluster) are brought to one side: the more protected side keeps them, "test" before "time" before
"train", and the copies on the other side are left out. Two exceptions keep this fair and useful: an author's own
example is not lost because a customer said the same; and what an earlier bundle was trained on never measures a later
one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from math import ceil
from typing import Literal

from training.examples import OOS

Side = Literal["train", "time", "test", "out"]
"""`time` is the hold-out of the newest weeks, `test` the one by hash; `out` rows take no part."""
_PROTECTED = {"train": 0, "time": 1, "test": 2}
FEWEST = 2
"""Rows of a label that training needs."""
_WEEK = 7 * 86_400.0
_SPAN = 8
_MOST_WEEKS = 4

SAME_WORDS = "says the same as a row that measures"
AUTHORS = "says the same as an example of the author"
NOT_HUMAN = "no person gave its label, and only such labels measure"
SAME_CUSTOMER = "its customer is in the newest weeks, which measure"


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """`share` of the rows is held out (0..1), but about `most` at the most; `salt` gives another split."""

    share: float = 0.2
    most: int = 600
    salt: str = "held-out-1"


@dataclass(frozen=True, slots=True)
class Place:
    """What a row's side depends on. `anchor` is its customer, or else its words; `cluster` is what says the same.

    `author`: it has no customer. `human`: a person gave the label. `taught`: an earlier bundle was trained on it.
    `at` is the time in seconds since 1970, 0 where it has none.
    """

    anchor: str
    cluster: str
    label: str
    author: bool = True
    human: bool = True
    taught: bool = False
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Sided:
    """A row's side, and why it was left out."""

    side: Side
    why: str = ""


def pseudonym(sender: str) -> str:
    """A name for a customer that does not tell who they are; the same for the same sender."""
    return hashlib.sha256(f"customer\n{sender}".encode()).hexdigest()[:16] if sender else ""


def fraction(anchor: str, salt: str) -> float:
    """Where an anchor falls in 0..1, evenly spread."""
    digest = hashlib.sha256(f"{salt}\n{anchor}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def newest(places: Sequence[Place]) -> float | None:
    """Since when the log's rows only measure: its newest weeks, an eighth of its span; None below eight weeks."""
    times = [place.at for place in places if place.at]
    weeks = (max(times) - min(times)) / _WEEK if times else 0.0
    if weeks < _SPAN:
        return None
    return max(times) - min(_MOST_WEEKS, ceil(weeks / _SPAN)) * _WEEK


def sides(places: Sequence[Place], options: SplitOptions, since: float | None = None) -> list[Sided]:
    """The side of each row. `since` is the border of the time hold-out, see `newest`.

    Labels that would keep too few rows to learn from are not measured: the customers that they come from teach.
    """
    share = min(options.share, options.most / max(1, len(places)))
    held_out = {place.anchor for place in places if fraction(place.anchor, options.salt) < share}
    pinned: set[str] = set()
    while True:
        own = [_own(place, held_out - pinned, since if place.anchor not in pinned else None) for place in places]
        found = _together(places, own, pinned)
        more = _poor(places, found) - pinned
        if not more:
            return found
        pinned |= more


def _poor(places: Sequence[Place], found: Sequence[Sided]) -> set[str]:
    """The anchors of labels that keep fewer than two different rows for training."""
    kept: dict[str, set[str]] = defaultdict(set)
    for place, one in zip(places, found, strict=True):
        if one.side == "train":
            kept[place.label].add(place.cluster)
    return {place.anchor for place in places if len(kept[place.label]) < FEWEST and place.label not in (OOS, "")}


def _together(places: Sequence[Place], own: Sequence[Side], pinned: Set[str]) -> list[Sided]:
    """Each cluster on one side."""
    held = {p.anchor for p, side in zip(places, own, strict=True) if not p.author and side in ("time", "test")}
    clusters = _cluster_sides(places, own, pinned)
    return [_settled(place, side, clusters[place.cluster], held) for place, side in zip(places, own, strict=True)]


def _own(place: Place, held_out: Set[str], since: float | None) -> Side:
    if place.taught:
        return "train"
    if place.anchor in held_out:
        return "test"
    return "time" if since is not None and place.at >= since and place.human else "train"


def _cluster_sides(places: Sequence[Place], own: Sequence[Side], pinned: Set[str]) -> dict[str, tuple[Side, bool]]:
    """The side that keeps each cluster, and whether its author, or an earlier bundle, decided that."""
    members: dict[str, list[int]] = defaultdict(list)
    for row, place in enumerate(places):
        members[place.cluster].append(row)
    found = {}
    for name, rows in members.items():
        fixed = [row for row in rows if places[row].taught or places[row].anchor in pinned]
        authors = [row for row in rows if places[row].author]
        counted = fixed or authors or [row for row in rows if own[row] == "train" or places[row].human]
        chosen: Side = max((own[row] for row in counted), key=_PROTECTED.__getitem__, default="train")
        found[name] = (chosen, bool(fixed or authors))
    return found


def _settled(place: Place, own: Side, cluster: tuple[Side, bool], held: Set[str]) -> Sided:
    if own != "train" and not place.human:
        return Sided("out", NOT_HUMAN)
    kept, by_author = cluster
    if own == "train" and not place.author and not place.taught and place.anchor in held:
        return Sided("out", SAME_CUSTOMER)
    if (own == "train") == (kept == "train"):
        return Sided(own)
    if own == "train":
        return Sided("out", SAME_WORDS)
    return Sided("out", AUTHORS if by_author else SAME_WORDS)
