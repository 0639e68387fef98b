"""A picture of a training run: the loss over the tokens learned."""

from __future__ import annotations

from collections.abc import Sequence

from training.steps import Point

_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 320, 56, 24
_INNER = _WIDTH - _LEFT - 16, _HEIGHT - _TOP - 40


def picture(curve: Sequence[Point]) -> str:
    """An SVG of the curve."""
    most, high = curve[-1].learned, max(point.loss for point in curve)

    def place(point: Point) -> str:
        x, y = point.learned / most * _INNER[0], (1 - point.loss / high) * _INNER[1]
        return f"{_LEFT + x:.1f},{_TOP + y:.1f}"

    places = " ".join(map(place, curve))
    line = f'<polyline fill="none" stroke="#4060a0" stroke-width="1.5" points="{places}"/>'
    heights = [(loss, _TOP + (1 - loss / high) * _INNER[1] + 4) for loss in range(int(high) + 1)]
    ticks = "".join(_text(y, str(loss), x=_LEFT - 8, anchor="end") for loss, y in heights)
    shares = [(share, f"{share * most / 1e6:.1f} M") for share in (0, 0.25, 0.5, 0.75, 1)]
    marks = "".join(_text(_HEIGHT - 22, words, x=_LEFT + share * _INNER[0]) for share, words in shares)
    what = _text(14, "loss of a learned token, nats: answers of tasks, and talk", x=_LEFT, anchor="start")
    told = what + _text(_HEIGHT - 4, "tokens learned", x=_LEFT + _INNER[0] / 2)
    frame = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    inside = f'<rect width="100%" height="100%" fill="#fff"/>{line}{ticks}{marks}{told}'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>{inside}</svg>\n'


def _text(y: float, words: str, *, x: float, anchor: str = "middle") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="#444">{words}</text>'
