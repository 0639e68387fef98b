"""Draws the chain of an answer as one HTML file that needs nothing from outside.

Words of customers are escaped by the template; the strengths and widths of the drawing are computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from training.why.values import Attribution, Why

_FAINT = 0.06
"""Words whose share of the strongest weight is below this are left plain."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the user's text. `strength` 0..1; `side` is "for", "against" or "" for what is no word."""

    text: str
    side: str = ""
    strength: float = 0.0
    weight: float = 0.0


def render(why: Why) -> str:
    """The page."""
    at = datetime.fromtimestamp(why.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    changing = [flip for flip in why.flips if not flip.same]
    same = [flip for flip in why.flips if flip.same]
    return _template().render(
        why=why,
        at=at,
        pieces=pieces(why.user, why.words),
        changing=changing,
        same=same,
        counted=[line for line in why.slots if line.counted or line.worded],
        others=[line for line in why.slots if not (line.counted or line.worded)],
    )


def pieces(text: str, words: Attribution | None) -> list[Piece]:
    """The text in pieces, the words with their weight."""
    found, end = [], 0
    most = max((abs(word.weight) for word in words.words), default=0.0) if words else 0.0
    for word in words.words if words else ():
        strength = abs(word.weight) / most if most else 0.0
        side = "" if strength < _FAINT else "for" if word.weight > 0 else "against"
        found.append(Piece(text[end : word.start]))
        found.append(Piece(text[word.start : word.end], side, round(strength, 3), word.weight))
        end = word.end
    return [piece for piece in (*found, Piece(text[end:])) if piece.text]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("training", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("why.html.j2")
