"""The review queue of a project: its log, its bundles, its labelled examples.

The candidate that the bundle in use is compared with is the newest bundle made after it, if there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.bundles import Bundle, BundleStore
from bot.config import Settings
from bot.core.defaults import OUT_OF_SCOPE
from bot.core.errors import NotFound
from bot.core.events import Recorded
from bot.core.program import Program
from bot.core.protocols import Understanding, Utterance
from bot.project import Project
from skills.encoder import Encoder
from skills.understanding import Understander
from training.consent import Permission, masker_of
from training.data import reviewed
from training.examples import OOS
from training.judgements import Place
from training.labels import RULES_FILE, RuleBook
from training.privacy import natural
from training.redaction import redacted
from training.review import Desk, Read, Vectors
from training.settling import SETTLED
from training.snapshots import SNAPSHOTS, SnapshotStore, names_of
from training.split import normalise

_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where things are. `state` is the project's state folder."""

    project: Project
    models: BundleStore
    state: Path
    encoder: Encoder

    def desk(self, history: Sequence[Recorded]) -> Desk:
        """What reviewing needs; the labelled examples are the project's and those of the log.

        Raises:
            NotFound: nothing has been trained yet.
        """
        current = self.models.open_current()
        if current is None:
            raise NotFound(f"no trained models in {self.models.root}; run: bot train {self.project.root}")
        program, newer = self.project.program, self._newer(current)
        full = Understander.load(current.path, self.encoder, program, current.id)
        written = [(row.text, row.intent) for row in self.project.nlu.examples]
        logged = [(row.text, row.intent) for row in reviewed(history)[0]]
        return Desk(
            read=self._reader(current, program),
            vectors=vectors_of(self.encoder),
            spans=_batched(full),
            labels={name: intent.label for name, intent in program.intents.items()},
            examples=list(dict.fromkeys([*written, *logged])),
            candidate=None if newer is None else self._reader(newer, program),
            book=RuleBook.load(self.state / RULES_FILE),
            outside=OUT_OF_SCOPE if OUT_OF_SCOPE in program.intents else OOS,
            settled=self._settled(current),
        )

    def _settled(self, bundle: Bundle) -> dict[Place, float]:
        """How sure the meaning of each turn was that was settled for a bundle."""
        snapshots = SnapshotStore(self.state / SNAPSHOTS)
        rows = (row for name in names_of(self.models, bundle.id) for row in snapshots.rows_of(name))
        return {
            (row.conversation, row.turn): mark.confidence for row in rows for mark in row.marks if mark.rule == SETTLED
        }

    def _newer(self, current: Bundle) -> Bundle | None:
        ids = [item.id for item in self.models.list() if item.manifest is not None and item.id > current.id]
        return self.models.open(ids[0]) if ids else None

    def _reader(self, bundle: Bundle, program: Program) -> Read:
        """The bundle without its entity head, which is not needed to rank."""
        found = Understander.load(bundle.path, self.encoder, program, bundle.id)
        return _batched(Understander(self.encoder, found.intent, None, found.language, bundle.id))


def readable(log: Sequence[Recorded], settings: Settings) -> list[Recorded]:
    """The facts that may be learned from, as reviewers see them: not masked, but without words that were hidden."""
    permission = Permission(log, settings.privacy, time.time())
    talks: dict[str, list[Recorded]] = {}
    for recorded in log:
        talks.setdefault(recorded.conversation, []).append(recorded)
    allowed = {name for name, talk in talks.items() if permission.permitted(talk)}
    return redacted([recorded for recorded in log if recorded.conversation in allowed])


def unknown(history: Sequence[Recorded], labels: Mapping[str, str]) -> dict[str, list[str]]:
    """Intents that people named and the project does not have, with the different texts that they gave to them."""
    found: dict[str, dict[str, str]] = {}
    for row in reviewed(history)[0]:
        if row.intent not in labels and row.intent not in (OOS, OUT_OF_SCOPE):
            found.setdefault(row.intent, {}).setdefault(normalise(row.text), row.text)
    return {name: list(texts.values()) for name, texts in found.items()}


def anonymous(texts: Sequence[str], settings: Settings) -> list[str]:
    """Texts as they may stand in a project's files: made-up values for what tells who somebody is."""
    masker = masker_of(settings)
    return list(dict.fromkeys(natural(masker.mask(text).text).text for text in texts))


def vectors_of(encoder: Encoder) -> Vectors:
    """Sentence vectors of texts."""

    def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.stack([one.vector for part in _parts(texts) for one in encoder.run(part)])

    return vectors


def _batched(understander: Understander) -> Callable[[Sequence[str]], list[Understanding]]:
    def read(texts: Sequence[str]) -> list[Understanding]:
        return [
            one for part in _parts(texts) for one in understander.run([Utterance(text=text, now=0.0) for text in part])
        ]

    return read


def _parts(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[start : start + _TOGETHER] for start in range(0, len(texts), _TOGETHER)]
