"""Draws when the stages of spoken turns are reached, as an SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NAMES = {
    "vad_stop": "pause noticed",
    "asr_final": "words final",
    "eot": "turn over",
    "nlu": "answer known",
    "tts_ttfb": "first sound made",
    "playout": "first sound sent",
    "answer": "first sound at the caller",
}
WIDTH, LEFT, ROW, BINS = 760, 190, 46, 60


def histogram(stages: Sequence[Mapping[str, float]], answers: Sequence[float]) -> str:
    """A row of bars for each stage: how many turns reached it after so many ms. Seconds in."""
    rows = {name: [one[name] for one in stages if name in one] for name in NAMES if name != "answer"}
    rows["answer"] = [value for value in answers if value >= 0]
    most = max([0.5, *(value for values in rows.values() for value in values)])
    height = ROW * len(rows) + 50
    drawn = [part for number, (name, values) in enumerate(rows.items()) for part in _row(name, values, number, most)]
    ticks = [
        f'<text x="{LEFT + (WIDTH - LEFT - 20) * share / 4:.0f}" y="{height - 12}" text-anchor="middle">'
        f"{most * share / 4 * 1000:.0f} ms</text>"
        for share in range(5)
    ]
    style = "<style>text{font:13px system-ui,sans-serif;fill:#59636e}rect{fill:#1757c2}</style>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    title = "<title>When the stages of spoken turns are reached, after the caller's last sound</title>"
    return "\n".join([head, title, style, *drawn, *ticks, "</svg>", ""])


def _row(name: str, values: Sequence[float], number: int, most: float) -> list[str]:
    base = 20 + ROW * (number + 1)
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(value / most * BINS))] += 1
    top, step = max(1, *counts), (WIDTH - LEFT - 20) / BINS
    bars = [
        f'<rect x="{LEFT + place * step:.1f}" y="{base - 36 * count / top:.1f}" width="{step - 1:.1f}" '
        f'height="{36 * count / top:.1f}"/>'
        for place, count in enumerate(counts)
        if count
    ]
    return [f'<text x="{LEFT - 10}" y="{base - 6}" text-anchor="end">{NAMES[name]}</text>', *bars]
