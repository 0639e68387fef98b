"""Draws a verdict as one HTML file that needs nothing from outside: what changes, for whom, and what speaks against it.

Everything comes from the verdict, so a page can be drawn again when a person was forgotten. Places are computed
here; `diff.html.j2` only puts them down. Texts of turns are escaped by the template.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from training.gate.verdict import Check, Comparison, Past, PastTurn, Point, Shift, Slice, Turn, Verdict

SIZE = 260
"""Side of the reliability picture, in CSS pixels."""
SPAN = 200
"""Width of a picture of a change."""
STEP = 26
"""Side of a cell of the confusion picture."""
VERDICT, PAGE = "verdict.json", "diff.html"
PAST = 200
"""Past turns that are shown."""
_LABELS = 14
_ORDER = ("failed", "waived", "insufficient data", "passed")
_ORDERED = {"length": "length in characters", "month": "month"}
"""Kinds of slices whose names have an order of their own, and their titles."""
_TITLES = {
    "intent": "Intents",
    "entities": "Entities",
    "ranking": "Next action",
    "retrieval": "Pages found",
    "generator": "Wording",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """A change on a line from -`reach` to +`reach`: places in pixels."""

    reach: float

    def at(self, value: float) -> float:
        """Where a value lies."""
        return round((max(-self.reach, min(self.reach, value)) / self.reach + 1) * SPAN / 2, 1)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the confusion picture. `change` below zero: fewer rows are mixed up."""

    column: int
    row: int
    change: int
    shade: float
    title: str


@dataclass(frozen=True, slots=True)
class Group:
    """Slices of a kind, on one scale. `still` ones did not change and are folded away."""

    kind: str
    title: str
    moved: tuple[Slice, ...]
    still: tuple[Slice, ...]
    scale: Scale


def write_pages(folder: Path, verdict: Verdict) -> Path:
    """Write verdict.json and diff.html into a folder; the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT).write_text(verdict.model_dump_json(indent=1) + "\n", encoding="utf-8")
    page = folder / PAGE
    page.write_text(render(verdict), encoding="utf-8")
    return page


def forget(reports: Path, conversations: Set[str]) -> tuple[Path, ...]:
    """Take the turns of some conversations out of all pages below a folder; the pages that were changed."""
    changed = []
    for path in sorted(reports.glob(f"*/{VERDICT}")):
        verdict = Verdict.model_validate_json(path.read_bytes())
        left = _without(verdict, conversations)
        if left != verdict:
            changed.append(write_pages(path.parent, left))
    return tuple(changed)


def render(verdict: Verdict) -> str:
    """The HTML page."""
    scale = _scale(verdict.comparisons)
    return _template().render(
        verdict=verdict,
        titles=_TITLES,
        scale=scale,
        checks=sorted(verdict.checks, key=lambda check: _ORDER.index(check.state)),
        against=_against(verdict),
        groups=_groups(verdict.slices),
        labels=_labels(verdict.pictures.shifts),
        cells=_cells(verdict.pictures.shifts),
        dots=[(name, [_dot(point) for point in points]) for name, points in _curves(verdict)],
        size=SIZE,
        span=SPAN,
        step=STEP,
        past=_past(verdict.past),
    )


def _past(past: Past | None) -> list[PastTurn]:
    """The past turns to show: those that people judged first, then the others as they came."""
    return [] if past is None else sorted(past.changed, key=lambda turn: turn.better is None)[:PAST]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("training", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["points"] = points
    return environment.get_template("diff.html.j2")


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{share * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def _scale(comparisons: Sequence[Comparison]) -> Scale:
    """One scale for all skills, so that they can be compared by eye."""
    reaches = [
        abs(value)
        for item in comparisons
        if item.change is not None and item.margin is not None
        for value in (item.change.low, item.change.high, item.margin)
    ]
    return Scale(1.15 * max([*reaches, 0.02]))


def _against(verdict: Verdict) -> list[str]:
    """What stopped the candidate, in a few words each."""
    found = [] if verdict.integrity.passed else ["a fresh process predicts otherwise"]
    found += [
        f"{_TITLES.get(item.skill, item.skill).lower()}: {item.finding}"
        for item in verdict.comparisons
        if item.finding in ("worse", "inconclusive", "below floor")
    ]
    failed = dict.fromkeys(check.name for check in verdict.checks if check.state == "failed")
    return found + [_SAID.get(name, name) for name in failed]


_SAID = {
    "flips": "too many turns got worse",
    "critical": "a critical intent got worse",
    "slices": "some customers are worse off",
    "calibration": "its confidence is less right",
    "scope": "it tells strange messages less well",
    "noise": "it understands noisy messages less well",
    "size": "it is too large",
    "latency": "it is too slow",
    "tests": "test conversations fail",
    "labels": "labels contradict what is known",
    "improvement": "nothing is better",
    "voice": "it words answers less like people do",
    "forgetting": "it forgets its language",
    "support": "it says more that no passage says",
    "silence": "it answers more that no passage answers",
}


def _groups(slices: Sequence[Slice]) -> list[Group]:
    kinds = dict.fromkeys(item.kind for item in slices)
    found = []
    for kind in kinds:
        rows = [item for item in slices if item.kind == kind]
        moved = [item for item in rows if item.gains or item.flips]
        moved.sort(key=lambda item: (0 if kind in _ORDERED else item.gains - item.flips, item.name))
        reach = max([abs(edge) for item in moved for edge in (item.change.low, item.change.high)], default=0.0)
        still = tuple(item for item in rows if not (item.gains or item.flips))
        found.append(Group(kind, _ORDERED.get(kind, kind), tuple(moved), still, Scale(max(reach, 0.02))))
    return found


def _labels(shifts: Sequence[Shift]) -> list[str]:
    """The labels that take part in most of the change."""
    weight: dict[str, int] = {}
    for item in shifts:
        for label in (item.right, item.said):
            weight[label] = weight.get(label, 0) + abs(item.after - item.before)
    return sorted(sorted(weight, key=lambda label: (-weight[label], label))[:_LABELS])


def _cells(shifts: Sequence[Shift]) -> list[Cell]:
    labels = _labels(shifts)
    shown = [item for item in shifts if item.right in labels and item.said in labels]
    most = max((abs(item.after - item.before) for item in shown), default=1)
    return [
        Cell(
            labels.index(item.said),
            labels.index(item.right),
            item.after - item.before,
            0.25 + 0.75 * abs(item.after - item.before) / most,
            f"{item.right} taken for {item.said}: {item.before} before, {item.after} after",
        )
        for item in shown
    ]


def _curves(verdict: Verdict) -> list[tuple[str, Sequence[Point]]]:
    pictures = verdict.pictures
    both = (("in use", pictures.reliable_before), ("candidate", pictures.reliable_after))
    return [(name, found) for name, found in both if found]


def _dot(point: Point) -> dict[str, float]:
    return {
        "x": round(point.confidence * SIZE, 1),
        "y": round((1 - point.accuracy) * SIZE, 1),
        "confidence": point.confidence,
        "accuracy": point.accuracy,
        "rows": point.rows,
    }


def _less(past: Past, conversations: Set[str]) -> Past:
    left = tuple(turn for turn in past.changed if turn.conversation not in conversations)
    return past.model_copy(update={"changed": left})


def _without(verdict: Verdict, conversations: Set[str]) -> Verdict:
    def kept(turns: Sequence[Turn]) -> tuple[Turn, ...]:
        return tuple(turn for turn in turns if turn.conversation not in conversations)

    def quiet(check: Check) -> Check:
        left = tuple(quote for quote in check.examples if quote.conversation not in conversations)
        return check.model_copy(update={"examples": left})

    changes = {
        "flips": kept(verdict.flips),
        "gains": kept(verdict.gains),
        "checks": tuple(quiet(check) for check in verdict.checks),
        "past": None if verdict.past is None else _less(verdict.past, conversations),
    }
    return verdict.model_copy(update=changes)
