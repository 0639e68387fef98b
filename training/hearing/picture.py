"""A picture of a training run: the loss of a token, and the word error rates of held-out voices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from training.steps import Point

_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 320, 48, 24
_INNER = _WIDTH - 2 * _LEFT, _HEIGHT - _TOP - 40


class Rates(Protocol):
    """A measurement: the step, and two word error rates."""

    @property
    def step(self) -> int: ...
    @property
    def clean(self) -> float: ...
    @property
    def telephone(self) -> float: ...


def picture(curve: Sequence[Point], measured: Sequence[Rates]) -> str:
    """An SVG of the loss (left scale, nats) and of the rates (right scale, per cent), over the steps."""
    last, high = curve[-1].step, max(1.0, *(point.loss for point in curve))
    lines = [
        _line("#9aa5b1", ((p.step / last, p.loss / high) for p in curve)),
        _line("#2060b0", ((m.step / last, min(1.0, m.clean)) for m in measured)),
        _line("#c05020", ((m.step / last, min(1.0, m.telephone)) for m in measured)),
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        height = _TOP + (1 - share) * _INNER[1] + 4
        lines.append(_text(_LEFT - 6, height, f"{share * high:.1f}", "end"))
        lines.append(_text(_WIDTH - _LEFT + 6, height, f"{share:.0%}", "start"))
        lines.append(_text(_LEFT + share * _INNER[0], _HEIGHT - 22, f"{share * last:.0f}", "middle"))
    told = "loss of a token (grey, nats); word error rate of held-out voices: clean (blue), telephone (orange)"
    lines.append(_text(_LEFT, 14, told, "start"))
    lines.append(_text(_WIDTH / 2, _HEIGHT - 4, "step", "middle"))
    frame = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    inside = f'<rect width="100%" height="100%" fill="#fff"/>{"".join(lines)}'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>{inside}</svg>\n'


def _line(colour: str, shares: Iterable[tuple[float, float]]) -> str:
    places = (f"{_LEFT + x * _INNER[0]:.1f},{_TOP + (1 - y) * _INNER[1]:.1f}" for x, y in shares)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(places)}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="#444">{words}</text>'
