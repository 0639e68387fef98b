"""What a bot goes on learning from when the conversations themselves are gone.

    STATE/replay/rows.jsonl     masked, labelled messages, one a line, as in snapshots

A log is kept for a limited time, and a bot that is trained on what is left of it would unlearn the rest. So when a
bundle has proved itself, a bounded number of the messages that taught it is kept for each intent, and later rounds
learn from those whose conversations have expired. The rules:

1. Which ones: those that people labelled first, and of these the ones whose mean is closest to the mean of all
   (herding; Welling 2009, as in iCaRL, Rebuffi et al. 2017). What is kept stands for all: it weighs as much.
2. As long as the log has a conversation, the log speaks for it: a label that was taken back there does not come back.
3. A person who refuses, or is erased, takes their messages along. Under opt-in only people who said yes are kept.
4. What a rule labelled goes when the rule is not believed any more.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from bot.config import PrivacySettings
from bot.core.errors import IntegrityError
from bot.core.events import Recorded
from training.clusters import Vectors
from training.consent import Permission, expired
from training.labels import RuleBook
from training.privacy import natural
from training.rows import Row
from training.settling import SETTLED
from training.sides import pseudonym

FOLDER, FILE = "replay", "rows.jsonl"
SOURCE = "replay"
"""The source of rows whose conversations are gone."""
_BATCH = 512


class Kept(Row):
    """A row that is kept. `agreed`: the person had said yes to being learned from; `stands_for`: how many rows."""

    agreed: bool = False
    stands_for: float = 1.0


@dataclass(frozen=True, slots=True)
class Today:
    """What decides which rows may be used: the log, the project's policy, the time in seconds since 1970, the rules."""

    log: Sequence[Recorded]
    policy: PrivacySettings
    now: float
    book: RuleBook = field(default_factory=RuleBook)

    def live(self) -> set[str]:
        """The conversations that the log still tells."""
        last = {fact.conversation: fact for fact in self.log}
        return {
            name
            for name, fact in last.items()
            if fact.event.kind != "erased" and not expired(fact.at, self.policy, self.now)
        }

    def words(self) -> dict[str, bool]:
        """The latest yes or no of customers, by pseudonym."""
        said = Permission(self.log, self.policy, self.now).words()
        return {pseudonym(sender): train for sender, train in said.items()}


class Replay:
    """The messages kept below the folder `state`, `per_intent` of each at the most; 0 keeps none.

    `vectors` encodes texts to choose by (None: the choice is by digest, which is at random but always the same).
    """

    def __init__(self, state: Path, per_intent: int, vectors: Vectors | None = None) -> None:
        self.path, self.most, self._vectors = state / FOLDER / FILE, per_intent, vectors

    def recalled(self, today: Today) -> tuple[Row, ...]:
        """The rows of conversations that are gone, to learn from.

        Raises:
            IntegrityError: the file is not ours.
        """
        live = today.live()
        gone = [kept for kept in self._usable(today) if kept.conversation not in live]
        return tuple(_row(kept) for kept in chosen(gone, self.most, self._vectors))

    def keep(self, rows: Iterable[Row], today: Today, *, more: bool = True) -> int:
        """Keep some of the rows that taught a bundle; how many there are now. Call it as the only trainer.

        Without `more` no row is added, but those that are kept become as they are now, or go: a label may have been
        taken back, or a word hidden.
        """
        live, words, known = today.live(), today.words(), {row.id: row.stands_for for row in self.rows()}
        fresh = [
            Kept(
                **row.model_dump(),
                agreed=words.get(row.user, False),
                stands_for=1.0 if more else known[row.id],
            )
            for row in rows
            if row.side == "train" and row.conversation in live and words.get(row.user, True)
            if more or row.id in known
        ]
        gone = [kept for kept in self._usable(today) if kept.conversation not in live]
        return self._write(chosen([*gone, *fresh], self.most, self._vectors))

    def forget(self, conversations: Collection[str]) -> int:
        """Drop the rows of some conversations; how many there were."""
        rows = self.rows()
        left = [row for row in rows if row.conversation not in conversations]
        if len(left) < len(rows):
            self._write(left)
        return len(rows) - len(left)

    def conversations(self, who: str) -> tuple[str, ...]:
        """The conversations of a customer, or the one with this id, that rows are kept of."""
        wanted = pseudonym(who)
        return tuple(sorted({row.conversation for row in self.rows() if who == row.conversation or row.user == wanted}))

    def rows(self) -> tuple[Kept, ...]:
        """All that is kept.

        Raises:
            IntegrityError: the file is not ours.
        """
        try:
            return tuple(Kept.model_validate_json(line) for line in self.path.read_bytes().splitlines())
        except FileNotFoundError:
            return ()
        except ValidationError as error:
            raise IntegrityError(str(self.path), "is not what `bot learn` kept; move it away to go on") from error

    def _usable(self, today: Today) -> list[Kept]:
        words = today.words()
        believed = {SETTLED, *(name for name, standing in today.book.standings().items() if standing.on)}
        return [
            kept
            for kept in self.rows()
            if words.get(kept.user, kept.agreed or today.policy.train == "opt-out")
            and (kept.human or all(mark.rule in believed for mark in kept.marks))
        ]

    def _write(self, rows: Sequence[Kept]) -> int:
        if not rows:
            self.path.unlink(missing_ok=True)
            return 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{FILE}.{os.getpid()}")
        ordered = sorted(rows, key=lambda row: row.id)
        fresh.write_bytes(b"".join(row.model_dump_json(exclude_defaults=True).encode() + b"\n" for row in ordered))
        fresh.replace(self.path)
        return len(rows)


def _row(kept: Kept) -> Row:
    weight = kept.weight * kept.stands_for if kept.human else kept.weight
    return Row(**{**kept.model_dump(exclude={"agreed", "stands_for"}), "source": SOURCE, "weight": weight})


def chosen(rows: Iterable[Kept], most: int, vectors: Vectors | None = None) -> list[Kept]:
    """At most so many rows of each intent, which stand for all; the order of the rows does not matter.

    Rows of which only entities were judged count by the kinds of these.
    """
    groups: dict[str, list[Kept]] = defaultdict(list)
    for row in sorted({row.id: row for row in rows}.values(), key=_rank):
        groups[row.intent or " ".join(sorted({tag[2:] for tag in row.tags or ()}))].append(row)
    return [row for _, group in sorted(groups.items()) for row in _some(group, most, vectors)]


def _some(group: Sequence[Kept], most: int, vectors: Vectors | None) -> list[Kept]:
    if len(group) <= most:
        return list(group)
    human = [row for row in group if row.human]
    first, rest = (human, []) if len(human) >= most else ([], human)
    pool = first or [row for row in group if not row.human]
    picked = [*rest, *(pool[place] for place in _herded(pool, most - len(rest), vectors))]
    share = sum(row.stands_for for row in group) / len(picked) if picked else 1.0
    return [row.model_copy(update={"stands_for": round(share, 3)}) for row in picked]


def _herded(rows: Sequence[Kept], count: int, vectors: Vectors | None) -> list[int]:
    """The places of rows whose mean comes closest to the mean of all, one after the other."""
    if vectors is None or count >= len(rows):
        return list(range(min(count, len(rows))))
    texts = [natural(row.text).text for row in rows]
    found = np.concatenate([vectors(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)])
    return herded(found, np.array([row.stands_for for row in rows]), count)


def herded(vectors: npt.NDArray[np.float32], weights: npt.NDArray[np.float64], count: int) -> list[int]:
    """`count` different rows of `vectors` (rows, dimension), by herding towards their weighted mean."""
    goal = weights @ vectors / weights.sum()
    left, total, places = np.ones(len(vectors), bool), np.zeros_like(goal), list[int]()
    for number in range(1, min(count, len(vectors)) + 1):
        away = (((total + vectors) / number - goal) ** 2).sum(axis=1)
        best = int(np.where(left, away, np.inf).argmin())
        left[best] = False
        total = total + vectors[best]
        places.append(best)
    return places


def _rank(row: Kept) -> tuple[bool, str]:
    return not row.human, hashlib.sha256(row.id.encode()).hexdigest()
