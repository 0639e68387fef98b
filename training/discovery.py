"""New intents, proposed from what the bot did not understand.

Turns that no intent fits are clustered by their sentence vectors: agglomerative, average linkage, cosine 0.75. A
cluster of enough different texts is proposed with a name made of its most telling words; a person names it, or says
which intent it belongs to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from bot.core.defaults import OUT_OF_SCOPE
from bot.core.events import Recorded
from training.examples import OOS
from training.judgements import Judged, Place, judged
from training.review import FRAME, Desk, turn_place, usable
from training.signals import LoggedTurn, turns
from training.split import normalise

ALIKE = 0.75
FEWEST = 3
_MOST = 2000
"""Texts that are clustered; the work grows with their square."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_NAMED = 2
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Turns that may share an intent of their own. `texts`: the most typical first; `places`: all turns that say one.

    `nearest` is the labelled text most like the cluster's centre, with its intent; `alike` is their cosine.
    """

    name: str
    texts: tuple[str, ...]
    places: tuple[Place, ...]
    nearest: tuple[str, str]
    alike: float


@dataclass(frozen=True, slots=True)
class Survey:
    """How many turns were looked at, what was said where no intent fits (the newest first), and proposals."""

    turns: int
    misfits: tuple[str, ...]
    found: tuple[Discovery, ...]


def survey(history: Sequence[Recorded], desk: Desk) -> Survey:
    """Look through the log, as it may be learned from."""
    logged, known = [turn for turn in turns(history) if usable(turn)], judged(history)
    strange = _strange(logged[-FRAME:], known, desk)
    misfits = tuple(dict.fromkeys(turn.text for turn in reversed(strange)))
    return Survey(min(len(logged), FRAME), misfits, tuple(_proposals(strange, logged, desk)))


def discover(history: Sequence[Recorded], desk: Desk) -> list[Discovery]:
    """Proposals, the largest first. `history` is the log as it may be learned from."""
    return list(survey(history, desk).found)


def _proposals(
    strange: Sequence[LoggedTurn], logged: Sequence[LoggedTurn], desk: Desk, alike: float = ALIKE, fewest: int = FEWEST
) -> list[Discovery]:
    texts = list(dict.fromkeys(turn.text for turn in reversed(strange)))[:_MOST]
    if len(texts) < fewest:
        return []
    vectors = desk.vectors(texts)
    rarity = _rarity(turn.text for turn in logged)
    found = []
    for members in groups(vectors, alike):
        said = {normalise(texts[n]) for n in members}
        if len(said) >= fewest:
            typical = _typical(members, vectors)
            chosen = [texts[n] for n in typical]
            wanted = set(chosen)
            places = tuple(turn_place(turn) for turn in strange if turn.text in wanted)
            near, cosine = _nearest(vectors[members].mean(axis=0), desk)
            found.append(Discovery(_name(chosen, rarity, desk.labels), tuple(chosen), places, near, cosine))
    return sorted(found, key=lambda one: (-len(one.places), one.name))


def groups(vectors: Vectors, alike: float) -> list[list[int]]:
    """Rows that belong together: agglomerative clustering with average linkage, cut at this cosine. Largest first."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(vectors) < 2:
        return [[n] for n in range(len(vectors))]
    tree = linkage(vectors.astype(np.float64), method="average", metric="cosine")
    owner = fcluster(np.clip(tree, 0, None), t=1 - alike, criterion="distance")
    found: dict[int, list[int]] = {}
    for row, cluster in enumerate(owner.tolist()):
        found.setdefault(cluster, []).append(row)
    return sorted(found.values(), key=lambda rows: (-len(rows), rows[0]))


def _strange(logged: Iterable[LoggedTurn], known: Mapping[Place, Judged], desk: Desk) -> list[LoggedTurn]:
    """Turns that nobody judged and the model finds no intent for; and those that people called out of scope."""
    open_ = [
        turn for turn in logged if turn_place(turn) not in known or known[turn_place(turn)].label in (OOS, OUT_OF_SCOPE)
    ]
    texts = list(dict.fromkeys(turn.text for turn in open_))
    readings = dict(zip(texts, desk.read(texts) if texts else (), strict=True))
    outside = {desk.outside, ""}

    def misfit(turn: LoggedTurn) -> bool:
        found = readings[turn.text]
        best = found.intents[0].name if found.intents else ""
        return turn_place(turn) in known or found.in_scope < found.threshold or best in outside

    return [turn for turn in open_ if misfit(turn)]


def _typical(members: Sequence[int], vectors: Vectors) -> list[int]:
    centre = vectors[members].mean(axis=0)
    return sorted(members, key=lambda n: (-float(vectors[n] @ centre), n))


def _nearest(centre: Vectors, desk: Desk) -> tuple[tuple[str, str], float]:
    if not desk.examples:
        return ("", ""), 0.0
    cosines = desk.vectors([text for text, _ in desk.examples]) @ (centre / np.linalg.norm(centre))
    best = int(cosines.argmax())
    return desk.examples[best], float(cosines[best])


def _rarity(texts: Iterable[str]) -> dict[str, float]:
    """How rare each word is among the turns of the log."""
    counts: Counter[str] = Counter()
    total = 0
    for text in texts:
        total += 1
        counts.update(set(_WORD.findall(text.casefold())))
    return {word: log((total + 1) / count) for word, count in counts.items()}


def _name(texts: Sequence[str], rarity: Mapping[str, float], taken: Mapping[str, str]) -> str:
    """The two words that most of the texts share and few others have, in the order in which they are said."""
    counts = Counter(word for text in texts for word in set(_WORD.findall(text.casefold())))
    weight = {word: count * rarity.get(word, 0.0) for word, count in counts.items() if count > 1 or len(texts) == 1}
    best = sorted(weight, key=lambda word: (-weight[word], word))[:_NAMED]
    spoken = " ".join(texts).casefold()
    name = "_".join(sorted(best, key=spoken.find)) or "new_intent"
    ascii_name = re.sub(r"[^a-z0-9_]", "", name) or "new_intent"
    number = 1
    while (ascii_name if number == 1 else f"{ascii_name}_{number}") in taken:
        number += 1
    return ascii_name if number == 1 else f"{ascii_name}_{number}"
