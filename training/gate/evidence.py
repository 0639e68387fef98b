"""What the gate judges: both bundles on the same held-out rows, plain and with noise, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from bot.core.protocols import Utterance
from training.evaluate import IntentResult, SlotResult, Understander, intent_results, slot_results
from training.examples import OOS, IntentExample, SlotExample
from training.gate.measured import Judged, Measured, measured_intents, measured_scores, measured_slots, shared
from training.gate.verdict import Check, Integrity
from training.perturb import KINDS, perturbed
from training.progress import Progress, part, silent

_NOISY = 200
"""Rows that are measured again with each kind of noise."""
_TIMED = 50
_ROUNDS = 3
_FRESH = 1_000

Item = TypeVar("Item")
Tests = Mapping[str, bool]
"""The project's test conversations and stories by name, and whether each passed."""
Play = Callable[[Path], "Tests | None"]
"""Plays the project's tests with the skills in a bundle's folder; None where there are none."""


METRICS = {"ranking": "accuracy", "retrieval": "mrr", "generator": "rouge_l"}
"""What the mean score of a skill's rows is called."""


@dataclass(frozen=True, slots=True)
class Cost:
    """95th percentile of a message alone, in milliseconds (None: not measured), and the size of the folder in bytes."""

    p95_ms: float | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Side:
    """One bundle: the labels that it knows by skill, and what it makes of the held-out rows; `noise` by kind.

    `scored` are rows of other skills, which were judged by a score a row, by the skill's name.
    """

    labels: Mapping[str, Sequence[str]]
    intents: Sequence[IntentResult] = ()
    slots: Sequence[SlotResult] = ()
    noise: Mapping[str, Sequence[IntentResult]] = field(default_factory=dict)
    scored: Mapping[str, Sequence[Judged]] = field(default_factory=dict)
    cost: Cost | None = None
    tests: Tests | None = None

    def measured(self) -> dict[str, Measured]:
        """By skill, as a comparison needs it."""
        found = {}
        if self.labels.get("intent") and self.intents:
            found["intent"] = measured_intents(self.intents, self.labels["intent"])
        if self.labels.get("entities") and self.slots:
            found["entities"] = measured_slots(self.slots, self.labels["entities"])
        for skill, rows in self.scored.items():
            if rows:
                found[skill] = measured_scores(skill, METRICS[skill], rows, self.labels.get(skill, ()))
        return found


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known. `skills` are those that were trained: only they are compared.

    `fresh` is what the current bundle makes of rows that the candidate was trained on; `more` are checks of skills that
    look after themselves.
    """

    integrity: Integrity
    candidate: Side
    current: Side | None = None
    current_id: str | None = None
    skills: Sequence[str] = ("intent", "entities")
    fresh: Sequence[IntentResult] = ()
    more: Sequence[Check] = ()


def paired(candidate: Side, current: Side) -> tuple[Side, Side]:
    """Both with those of their scored rows that the other has as well, in the same order."""
    both = {
        skill: shared(rows, current.scored[skill])
        for skill, rows in candidate.scored.items()
        if skill in current.scored
    }
    ours, theirs = ({skill: rows[side] for skill, rows in both.items()} for side in (0, 1))
    return replace(candidate, scored={**candidate.scored, **ours}), replace(current, scored=theirs)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The rows to measure on."""

    intents: Sequence[IntentExample] = ()
    slots: Sequence[SlotExample] = ()


def measure(bundle: Understander, labels: Mapping[str, Sequence[str]], rows: HeldOut, told: Progress = silent) -> Side:
    """Run a bundle over the rows, and over some of them with noise."""
    side = Side(labels)
    if labels.get("intent") and rows.intents:
        intents = intent_results(bundle, rows.intents, part(told, 0.0, 0.5))
        side = replace(side, intents=intents, noise=_noise(bundle, rows.intents))
    if labels.get("entities") and rows.slots:
        side = replace(side, slots=slot_results(bundle, rows.slots, part(told, 0.5, 1.0)))
    return side


def opinions(current: Understander, rows: Sequence[IntentExample], told: Progress = silent) -> Sequence[IntentResult]:
    """What the current bundle makes of rows that the candidate learned from; a sample where they are many."""
    inside = [row for row in rows if row.intent != OOS]
    return intent_results(current, _some(inside, _FRESH), told) if inside else ()


def latencies(bundles: Sequence[Understander], texts: Sequence[str]) -> list[float]:
    """The 95th percentile of each bundle's time for one message, in ms, taking turns.

    The best of up to three rounds; the first is enough when it finds no difference of a tenth. A number is added to
    each text, as encodings of recent texts are kept.
    """
    asked = _some(list(texts), _TIMED)
    rounds = []
    for turn in range(_ROUNDS):
        times = np.zeros((len(bundles), len(asked)))
        for at, text in enumerate(asked):
            for number in range(len(bundles)):
                which = (number + at) % len(bundles)
                said = [Utterance(text=f"{text} {turn}{at}{which}")]
                started = time.perf_counter()
                bundles[which].run(said)
                times[which, at] = time.perf_counter() - started
        rounds.append(np.quantile(times, 0.95, axis=1))
        if max(rounds[-1]) <= 1.1 * min(rounds[-1]):
            break
    return [float(best) * 1000 for best in np.min(rounds, axis=0)]


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take, but for a generator: its size is that of the base that somebody chose."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path.relative_to(folder).parts[0] != "generator")


def _noise(bundle: Understander, rows: Sequence[IntentExample]) -> dict[str, Sequence[IntentResult]]:
    plain = _some([row for row in rows if row.intent != OOS], _NOISY)
    return {kind: intent_results(bundle, perturbed(plain, kind)) for kind in KINDS if plain}


def _some(items: Sequence[Item], most: int) -> list[Item]:
    """Evenly spread over all, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, most)]
