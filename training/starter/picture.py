"""A picture of a training run: the loss of both stages over the tokens learned."""

from __future__ import annotations

from collections.abc import Sequence

from training.steps import Point

_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 320, 56, 24
_INNER = _WIDTH - _LEFT - 16, _HEIGHT - _TOP - 40


def picture(first: Sequence[Point], second: Sequence[Point]) -> str:
    """An SVG of the two curves, one behind the other; their losses are of different tokens."""
    border = first[-1].learned
    points = [(p.learned, p.loss) for p in first], [(border + p.learned, p.loss) for p in second]
    most = points[1][-1][0]
    high = max(loss for curve in points for _, loss in curve)

    def place(learned: float, loss: float) -> str:
        return f"{_LEFT + learned / most * _INNER[0]:.1f},{_TOP + (1 - loss / high) * _INNER[1]:.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{" ".join(place(*p) for p in curve)}"/>'
        for colour, curve in zip(("#4060a0", "#b05020"), points, strict=True)
    )
    heights = [(loss, _TOP + (1 - loss / high) * _INNER[1] + 4) for loss in range(int(high) + 1)]
    ticks = "".join(_text(y, str(loss), x=_LEFT - 8, anchor="end") for loss, y in heights)
    shares = [(share, f"{share * most / 1e6:.1f} M") for share in (0, 0.25, 0.5, 0.75, 1)]
    marks = "".join(_text(_HEIGHT - 22, words, x=_LEFT + share * _INNER[0]) for share, words in shares)
    what = _text(14, "loss of a token, nats: every word (blue), then answers alone (brown)", x=_LEFT, anchor="start")
    told = what + _text(_HEIGHT - 4, "tokens learned", x=_LEFT + _INNER[0] / 2)
    frame = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    inside = f'<rect width="100%" height="100%" fill="#fff"/>{lines}{ticks}{marks}{told}'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {frame}>{inside}</svg>\n'


def _text(y: float, words: str, *, x: float, anchor: str = "middle") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="#444">{words}</text>'
