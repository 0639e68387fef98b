"""Draws an evaluation as one HTML file that needs nothing from outside: figures, pictures, the errors to look at.

The pictures are inline SVG computed here; `report.html.j2` only places them. Texts of rows are escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from training.evaluate import BORDER

Report = Mapping[str, Any]

SIZE = 260
"""Side of the square plots, in CSS pixels."""
_MATRIX_LABELS = 18
_LOWER_IS_BETTER = {"ece", "brier"}
_TITLES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "in_scope_acceptance": "In-scope rows accepted",
    "oos_recall": "Out-of-scope recall",
    "oos_recall@0.97": "Out-of-scope recall at 97 % acceptance",
    "oos_auroc": "Out-of-scope AUROC",
    "slot_f1": "Slot F1",
    "exact_match": "All slots of the row right",
    "known_accuracy": "Accuracy where another story has the action",
    "mrr": "Mean reciprocal rank",
    "answered": "Answerable queries above the floor",
    "refused": "Unanswerable queries below the floor",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline figure; `low` and `high` bound its 95 % interval."""

    title: str
    value: float
    low: float
    high: float
    rows: int
    hint: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the confusion picture; `shade` lies in 0..1, `right` marks the diagonal."""

    column: int
    row: int
    count: int
    shade: float
    right: bool
    title: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The labels that are confused most, in the order of rows (gold) and columns (predicted)."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]


def render(report: Report, title: str = "") -> str:
    """The HTML page of an evaluation, as `training.evaluate` gives it."""
    return _template().render(
        report=report,
        title=title or f"How good is {report['skill']}?",
        figures=[_figure(name, figure) for name, figure in report["metrics"].items()],
        matrix=_matrix(report),
        reliability=[_dot(item) for item in report["reliability"]],
        curve=_polyline(report["risk_coverage"]),
        risk_top=_risk_top(report["risk_coverage"]),
        most=max((item["count"] for item in report["confusions"]), default=1),
        size=SIZE,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("training", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2")


def _figure(name: str, figure: Mapping[str, float]) -> Figure:
    hint = "lower is better" if name in _LOWER_IS_BETTER else ""
    title = _TITLES.get(name, name)
    return Figure(title, figure["value"], figure["low"], figure["high"], int(figure["n"]), hint)


def _matrix(report: Report) -> Matrix:
    """Labels that take part in most errors; the diagonal is what was right."""
    weight: dict[str, int] = {}
    for item in report["confusions"]:
        if item["predicted"].endswith(BORDER):
            continue
        for label in (item["gold"], item["predicted"]):
            weight[label] = weight.get(label, 0) + item["count"]
    chosen = sorted(weight, key=lambda label: -weight[label])[:_MATRIX_LABELS]
    labels = tuple(sorted(chosen))
    counts = {(item["gold"], item["predicted"]): item["count"] for item in report["confusions"]}
    counts |= {
        (row["label"], row["label"]): round(row["support"] * row["recall"]["value"]) for row in report["per_class"]
    }
    return Matrix(labels, tuple(_cells(labels, counts)))


def _cells(labels: Sequence[str], counts: Mapping[tuple[str, str], int]) -> list[Cell]:
    worst = max((count for (gold, predicted), count in counts.items() if gold != predicted), default=1)
    cells = []
    for row, gold in enumerate(labels):
        for column, predicted in enumerate(labels):
            count, right = counts.get((gold, predicted), 0), row == column
            if count:
                shade = 0.18 if right else 0.25 + 0.75 * count / worst
                cells.append(Cell(column, row, count, shade, right, f"{gold} taken for {predicted}: {count}"))
    return cells


def _dot(item: Mapping[str, float]) -> dict[str, float]:
    x, y = _place(item["confidence"], item["accuracy"])
    return {"x": x, "y": y, "rows": item["rows"], "confidence": item["confidence"], "accuracy": item["accuracy"]}


def _risk_top(curve: Sequence[Mapping[str, float]]) -> float:
    """The top of the risk axis: a round number above the curve."""
    highest = max((point["risk"] for point in curve), default=0.0)
    return next((top for top in (0.05, 0.1, 0.2, 0.3, 0.5) if highest <= top), 1.0)


def _polyline(curve: Sequence[Mapping[str, float]]) -> str:
    top = _risk_top(curve)
    places = [_place(point["coverage"], point["risk"] / top) for point in curve]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _place(x: float, y: float) -> tuple[float, float]:
    """Plot coordinates of a point of the unit square."""
    return round(x * SIZE, 2), round((1 - y) * SIZE, 2)
