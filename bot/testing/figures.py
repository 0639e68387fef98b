"""What a test run found, as figures: precision, recall and F1 by label, in the shape of Rasa's reports."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bot.core.events import Entity
from bot.testing.playing import Check, Compared

Pair = tuple[str, str]
"""What was right, and what was found instead or as well."""
Report = dict[str, Any]
"""Rows by label and averages; see `classification`."""
NONE = "None"
"""What stands for an entity that is not there, in Rasa's story reports."""
NO_ENTITY = "no_entity"
_WORD = re.compile(r"\S+")


class Share(NamedTuple):
    """How many of how many."""

    right: int
    total: int

    @property
    def value(self) -> float:
        """As a number from 0 to 1; 1 when there was nothing to get wrong."""
        return self.right / self.total if self.total else 1.0


def shares(tested: Sequence[Compared]) -> dict[str, Share]:
    """Stories, steps, intents, entities and actions that were right."""
    steps = [judged for one in tested for judged in one.counted]
    checks = [check for one in tested for check in one.checks]
    found = {"stories": Share(sum(one.passed for one in tested), len(tested))}
    found["steps"] = Share(sum(judged.right for judged in steps), len(steps))
    for name, kinds in (("intents", ("intent",)), ("entities", ("entities",)), ("actions", ("action", "listen"))):
        chosen = [check for check in checks if check.kind in kinds]
        found[name] = Share(sum(check.right for check in chosen), len(chosen))
    return found


def pairs(checks: Iterable[Check], *kinds: str) -> list[Pair]:
    """Right and found labels of the checks of some kinds."""
    return [(check.expected, check.got) for check in checks if check.kind in kinds]


def classification(found: Sequence[Pair], *, leave_out: str = "") -> Report:
    """Precision, recall and F1 by label with their averages; `accuracy`, or `micro avg` when a label is left out."""
    gold, got = Counter(right for right, _ in found), Counter(said for _, said in found)
    hits = Counter(right for right, said in found if right == said)
    labels = sorted((set(gold) | set(got)) - {leave_out})
    rows = {label: _row(hits[label], got[label], gold[label]) for label in labels}
    report: Report = dict(rows)
    if leave_out:
        report["micro avg"] = _row(*(sum(count[label] for label in labels) for count in (hits, got, gold)))
    else:
        report["accuracy"] = sum(hits.values()) / len(found) if found else 0.0
    report["macro avg"] = _average(rows, dict.fromkeys(labels, 1))
    report["weighted avg"] = _average(rows, {label: gold[label] for label in labels})
    return report


def _row(hits: int, got: int, gold: int) -> dict[str, float]:
    precision, recall = (hits / total if total else 0.0 for total in (got, gold))
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1-score": f1, "support": gold}


def _average(rows: dict[str, dict[str, float]], weights: dict[str, int]) -> dict[str, float]:
    total = sum(weights.values())
    names = ("precision", "recall", "f1-score")
    mean = {
        name: sum(row[name] * weights[label] for label, row in rows.items()) / total if total else 0.0 for name in names
    }
    return {**mean, "support": sum(row["support"] for row in rows.values())}


def confused(found: Sequence[Pair], report: Report, most: int = 3) -> Report:
    """The report with `confused_with`: what each label was most often taken for."""
    wrong: dict[str, Counter[str]] = {}
    for right, said in found:
        if right != said:
            wrong.setdefault(right, Counter())[said] += 1
    made = dict(report)
    for label in {right for right, _ in found}:
        row = made[label]
        assert isinstance(row, dict)
        made[label] = {**row, "confused_with": dict(wrong.get(label, Counter()).most_common(most))}
    return made


def aligned(check: Check) -> list[Pair]:
    """The entities of a text side by side: each as `[Rome](city)`, `None` where the other side has none."""
    sides = [_by_span(check.gold), _by_span(check.found)]
    spans = sorted({span for side in sides for span in side})
    return [(sides[0].get(span, NONE), sides[1].get(span, NONE)) for span in spans]


def _by_span(entities: Iterable[Entity]) -> dict[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    for entity in entities:
        value = "" if str(entity.value) == entity.text else f":{entity.value}"
        text = f"[{entity.text}]({entity.type}{value})"
        span = entity.start, entity.end
        found[span] = found.get(span, "") + text
    return found


def words(check: Check) -> list[Pair]:
    """The entity types of a text word by word, `no_entity` where there is none: how Rasa scores extractors."""
    return [
        (_type_at(check.gold, *word.span()), _type_at(check.found, *word.span())) for word in _WORD.finditer(check.said)
    ]


def _type_at(entities: Iterable[Entity], start: int, end: int) -> str:
    names = [entity.type for entity in entities if entity.start < end and entity.end > start]
    return names[0] if names else NO_ENTITY
