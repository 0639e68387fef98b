"""Rows and results for tests of the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.evaluate import IntentResult
from training.examples import NOWHERE, IntentExample, Origin
from training.gate.evidence import Evidence, Side
from training.gate.measured import Measured, measured_intents
from training.gate.verdict import Integrity

WHOLE = Integrity(passed=True, rows=10, agreement=1.0, largest_change=0.0)
KNOWN = ("a", "b", "other")


def result(number: int, right: bool, intent: str = "a", score: float = 0.9, origin: Origin = NOWHERE) -> IntentResult:
    """A row and what a bundle makes of it; rows with different numbers are no near-duplicates."""
    row = IntentExample(f"text {chr(0x4E00 + number)}", intent, where=f"rows:{number}", origin=origin)
    return IntentResult(row, intent if right else "other", score, 0.9, True, True)


def results(right: int, wrong: int, intent: str = "a", first: int = 0) -> list[IntentResult]:
    return [result(first + number, number < right, intent) for number in range(right + wrong)]


def pair(both: int, gained: int, lost: int, neither: int = 0) -> tuple[list[IntentResult], list[IntentResult]]:
    """Candidate and current on the same rows, by who is right: both, only the candidate, only the current, neither."""
    said = [(True, True)] * both + [(True, False)] * gained + [(False, True)] * lost + [(False, False)] * neither
    return (
        [result(number, new) for number, (new, _) in enumerate(said)],
        [result(number, old) for number, (_, old) in enumerate(said)],
    )


def measured(pair: tuple[Sequence[IntentResult], Sequence[IntentResult]]) -> tuple[Measured, Measured]:
    return measured_intents(pair[0], KNOWN), measured_intents(pair[1], KNOWN)


def evidence(
    pair: tuple[Sequence[IntentResult], Sequence[IntentResult]], labels: Mapping[str, Sequence[str]] | None = None
) -> Evidence:
    """What is known of two bundles that were only asked for intents."""
    known = labels or {"intent": KNOWN}
    return Evidence(WHOLE, Side(known, intents=pair[0]), Side(known, intents=pair[1]), current_id="old")
