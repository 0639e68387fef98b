"""The table and the picture of `benchmarks.year`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import floor

from benchmarks.year_bot import Month

_COLOURS = {"queue": "#1b6e53", "random": "#b3541e"}
_WIDTH, _LEFT, _GAP = 620, 62, 46


def table(months: Sequence[Month]) -> str:
    """A year, month by month, as Markdown."""
    head = (
        "| month | talks, turns | misunderstood | asked | corrections | other labels, right | verdict | accuracy "
        "| forgotten |"
    )
    rows = [
        f"| {number} | {month.counts.talks}, {month.counts.turns} | {month.counts.wrong + month.counts.refused} "
        f"| {month.counts.asked} "
        f"| {month.spent} | {month.signs:,} ({month.signs_right:.1%}) | {month.verdict} "
        f"| {month.accuracy:.3f} | {100 * month.forgotten:.1f} |"
        for number, month in enumerate(months, 1)
    ]
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |", *rows])


def plot(years: Mapping[str, Sequence[Month]], full: float, drawn: str = "queue") -> str:
    """Accuracy and verdicts of each year; of the one that is `drawn`, labels and forgetting too. SVG."""
    months = years[drawn]
    count = len(months)

    def x(number: int) -> float:
        return _LEFT + _WIDTH * (number + 0.5) / count

    top = 40.0
    parts = [f'<text x="{_LEFT}" y="22" font-weight="bold" font-size="14">Accuracy on dev, intents known so far</text>']
    worst = min(full, *(month.accuracy for year in years.values() for month in year))
    low, height = floor(max(worst - 0.04, 0.0) * 10) / 10, 230.0

    def y(share: float) -> float:
        return top + height * (1 - (max(share, low) - low) / (1 - low))

    parts += [_rule(y(tenth / 10), f"{tenth * 10} %") for tenth in range(round(low * 10), 11)]
    parts.append(_line([(_LEFT, y(full)), (_LEFT + _WIDTH, y(full))], "#2f6fb5", "6 4"))
    parts.append(f'<text x="{_LEFT + 4}" y="{y(full) - 5:.1f}" fill="#2f6fb5">every true label: {full:.3f}</text>')
    for place, (name, year) in enumerate(years.items()):
        colour = _COLOURS[name.split()[0]]
        parts.append(_line([(x(at), y(month.accuracy)) for at, month in enumerate(year)], colour))
        parts += [_mark(x(number), y(month.accuracy), month, colour) for number, month in enumerate(year)]
        at = (_LEFT + 300, top + height - 34 + 18 * place)
        parts.append(_line([(at[0], at[1] - 4), (at[0] + 22, at[1] - 4)], colour))
        said = f"corrections by {name}: {year[-1].accuracy:.3f}"
        parts.append(f'<text x="{at[0] + 28}" y="{at[1]}">{escape(said)}</text>')
    top += height + _GAP
    taught = "Labels that teach: settled (light), by people (dark); numbers: corrections spent"
    tops = ((taught, 120.0), ("Forgotten, points", 70.0))
    parts.append(_title(top, tops[0][0]))
    halo = 'fill="#555" stroke="#fff" stroke-width="3" paint-order="stroke"'
    most = max(month.signs + month.human for month in months) or 1
    parts += [_rule(top + 16, f"{most:,}"), _rule(top + tops[0][1], "0")]
    for number, month in enumerate(months):
        scale, wide = (tops[0][1] - 16) / most, _WIDTH / count * 0.6
        dark, light = month.human * scale, month.signs * scale
        left, bottom = x(number) - wide / 2, top + tops[0][1]
        parts.append(f'<path d="M{left:.1f} {bottom:.1f}h{wide:.1f}v-{dark:.1f}h-{wide:.1f}z" fill="#1b6e53"/>')
        parts.append(f'<path d="M{left:.1f} {bottom - dark:.1f}h{wide:.1f}v-{light:.1f}h-{wide:.1f}z" fill="#a8d3c3"/>')
        above = bottom - dark - light - 5
        parts.append(f'<text x="{x(number):.1f}" y="{above:.1f}" text-anchor="middle" {halo}>{month.spent}</text>')
    top += tops[0][1] + _GAP
    parts.append(_title(top, tops[1][0]))
    worst = max(0.04, *(month.forgotten for month in months))
    parts.append(_line([(x(n), top + tops[1][1] * (1 - m.forgotten / worst)) for n, m in enumerate(months)], "#8b5fbf"))
    parts += [_rule(top, f"{100 * worst:.0f}"), _rule(top + tops[1][1], "0")]
    top += tops[1][1] + 20
    parts += [f'<text x="{x(n):.1f}" y="{top}" text-anchor="middle">{n + 1}</text>' for n in range(count)]
    parts.append(f'<text x="{_LEFT + _WIDTH / 2}" y="{top + 18}" text-anchor="middle">month</text>')
    legend = "filled: promoted; hollow: kept back; red ring: poisoned labels refused; red cross: bad canary taken back"
    parts.append(f'<text x="{_LEFT}" y="{top + 40}" fill="#555">{legend}</text>')
    width, height = _LEFT + _WIDTH + 20, top + 54
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _mark(x: float, y: float, month: Month, colour: str) -> str:
    """What the gate said, and what became of a canary."""
    fill = colour if month.verdict.endswith("promoted") else "#fff"
    found = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
    if "then" in month.verdict:
        found += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="none" stroke="#c62828" stroke-width="2"/>'
    if "rolled back" in month.canary:
        found += f'<path d="M{x - 6:.1f} {y - 24:.1f}l12 12m0 -12l-12 12" stroke="#c62828" stroke-width="2.5"/>'
    return found


def _title(top: float, text: str) -> str:
    return f'<text x="{_LEFT}" y="{top - 10:.1f}" font-weight="bold" font-size="14">{text}</text>'


def _rule(y: float, text: str) -> str:
    line = f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="#e3e3e3"/>'
    return line + f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'


def _line(points: Sequence[tuple[float, float]], colour: str, dash: str = "") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"{dashed}/>'
