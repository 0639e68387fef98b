"""The table and the picture of `benchmarks.continual`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Line = Mapping[str, Any]

_HEAD = (
    "| method | accuracy at the end | forgetting | excess forgetting | backward transfer "
    "| s a round (the last) | rows (the last) |"
)
_SHOWN = ("accuracy", "forgetting", "excess_forgetting", "backward")
_COLOURS = {"joint": "#222222", "replay": "#1b6e53", "LwF": "#2f6fb5", "EWC": "#b3541e", "naive": "#8a8a8a"}
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 380, 300, 46, 40, 10, 36


def table(lines: Sequence[Line]) -> str:
    """Markdown, a part for each group; points are percent."""
    said = []
    for group in dict.fromkeys(line["group"] for line in lines):
        said += [f"**{group}**", "", _HEAD, "| --- | --- | --- | --- | --- | --- | --- |"]
        said += [_cells(line) for line in lines if line["group"] == group]
        said.append("")
    return "\n".join(said)


def _cells(line: Line) -> str:
    found = line["figures"]
    points = [
        _points(found[name]) for name in ("accuracy", "forgetting", "excess_forgetting", "backward") if name in found
    ]
    time = f"{found['seconds'][0]:.1f} ({found['last_seconds'][0]:.1f})"
    return f"| {line['name']} | {' | '.join(points)} | {time} | {found['rows'][0]:,.0f} |"


def _points(figure: tuple[float, float, int]) -> str:
    mean, half, count = figure
    return f"{100 * mean:.1f}" + (f" ± {100 * half:.1f}" if count > 1 else "")


def plot(lines: Sequence[Line]) -> str:
    """Accuracy over all intents so far, after each round: a panel for each group, as SVG."""
    groups = list(dict.fromkeys(line["group"] for line in lines))
    panels = [_panel(group, [line for line in lines if line["group"] == group], at) for at, group in enumerate(groups)]
    width, height = (_WIDTH + _LEFT + _RIGHT) * len(groups), _HEIGHT + _TOP + _BOTTOM + 20 * 3
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(panels)}</svg>\n"
    )


def _panel(group: str, lines: Sequence[Line], place: int) -> str:
    left, bottom = place * (_WIDTH + _LEFT + _RIGHT) + _LEFT, _TOP + _HEIGHT
    rounds = len(lines[0]["curve"])

    def x(number: int) -> float:
        return left + _WIDTH * number / (rounds - 1)

    def y(share: float) -> float:
        return bottom - _HEIGHT * share

    parts = [f'<text x="{left}" y="{_TOP - 16}" font-weight="bold" font-size="14">{escape(group)}</text>']
    for tenth in range(0, 11, 2):
        parts.append(f'<path d="M{left} {y(tenth / 10):.1f}h{_WIDTH}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{left - 8}" y="{y(tenth / 10) + 4:.1f}" text-anchor="end">{tenth * 10}</text>')
    for number in range(rounds):
        label = f'<text x="{x(number):.1f}" y="{bottom + 18}" text-anchor="middle">{15 * (number + 1)}</text>'
        parts.append(label)
    middle = f'x="{left + _WIDTH / 2}" y="{bottom + 34}" text-anchor="middle" fill="#666"'
    parts.append(f"<text {middle}>intents so far; % of their messages understood</text>")
    for number, line in enumerate(lines):
        points = " ".join(f"{x(at):.1f},{y(share):.1f}" for at, share in enumerate(line["curve"]))
        colour = _COLOURS[line["name"].split(",")[0]]
        dash = ' stroke-dasharray="6 4"' if line["name"].startswith("joint") else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>')
        column, row = number % 2, number // 2
        at = (left + column * _WIDTH / 2, bottom + 56 + 20 * row)
        parts.append(f'<path d="M{at[0]:.0f} {at[1] - 4}h22" stroke="{colour}" stroke-width="2.5"{dash}/>')
        final = f"{100 * line['curve'][-1]:.1f}"
        parts.append(f'<text x="{at[0] + 28:.0f}" y="{at[1]}">{escape(line["name"])}: {final}</text>')
    return "".join(parts)
