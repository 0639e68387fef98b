"""Diagrams as text: one HTML page with inline SVG that needs nothing else, Mermaid, or Graphviz dot."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from bot.drawing.graph import Diagram, Node
from bot.drawing.layout import Point, place

LINE, PAD = 16.0, 13.0
"""Height of a line of text and room at the sides of a box, in pixels."""
_SIZES = {"start": (14.0, 14.0), "end": (14.0, 14.0), "gap": (22.0, 22.0)}
_SHAPES = {
    "user": ("([", "])"),
    "form": ("[[", "]]"),
    "slot": (">", "]"),
    "when": ("{{", "}}"),
    "end": ("((", "))"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A node in its place; `x`, `y` are its left upper corner."""

    node: Node
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A diagram as SVG parts. `curves` are paths with the ids of the boxes they join."""

    diagram: Diagram
    boxes: tuple[Box, ...]
    curves: tuple[tuple[str, str, str], ...]
    width: float
    height: float


def html(diagrams: Sequence[Diagram], title: str) -> str:
    """One page with every diagram."""
    return _template().render(title=title, pictures=[picture(diagram) for diagram in diagrams])


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("bot.drawing", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("graph.html.j2")


def picture(diagram: Diagram) -> Picture:
    """A diagram with everything in its place."""
    sizes = {node.id: _size(node) for node in diagram.nodes}
    placed = place(sizes, diagram.arrows)
    boxes = []
    for node in diagram.nodes:
        (x, y), (width, height) = placed.boxes[node.id], sizes[node.id]
        boxes.append(Box(node, round(x - width / 2, 1), round(y - height / 2, 1), round(width, 1), height))
    curves = tuple((_curve(points), start, end) for (start, end), points in placed.lines.items())
    return Picture(diagram, tuple(boxes), curves, placed.width, placed.height)


def _size(node: Node) -> tuple[float, float]:
    if node.kind in _SIZES:
        return _SIZES[node.kind]
    width = max(_width(line) for line in node.lines) + 2 * PAD
    return max(width, 40.0), len(node.lines) * LINE + 12.0


def _width(text: str) -> float:
    """About how wide a text is, in pixels of the page's 12.5 px font."""
    return sum(13.0 if unicodedata.east_asian_width(letter) in "WF" else 6.9 for letter in text)


def _curve(points: Sequence[Point]) -> str:
    """A line that leaves and arrives level."""
    (x, y), *rest = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for x2, y2 in rest:
        half = (x2 - x) / 2
        level = f"L{x2:.1f} {y2:.1f}"
        bent = f"C{x + half:.1f} {y:.1f} {x2 - half:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        parts.append(level if y == y2 else bent)
        x, y = x2, y2
    return " ".join(parts)


def mermaid(diagrams: Sequence[Diagram]) -> str:
    """A Mermaid flowchart with a subgraph for each diagram."""
    lines = ["flowchart LR"]
    for number, diagram in enumerate(diagrams):
        lines.append(f'  subgraph d{number}["{_entities(diagram.title)}"]')
        for node in diagram.nodes:
            left, right = _SHAPES.get(node.kind, ("[", "]"))
            label = "<br/>".join(_entities(line) for line in node.lines) or " "
            lines.append(f'    d{number}{node.id}{left}"{label}"{right}')
        lines += [f"    d{number}{start} --> d{number}{end}" for start, end in diagram.arrows]
        lines.append("  end")
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    """Mermaid's own escapes for what would end a label."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;") or " "


def dot(diagrams: Sequence[Diagram]) -> str:
    """A Graphviz digraph with a cluster for each diagram."""
    lines = ["digraph bot {", '  rankdir=LR; node [shape=box, style=rounded, fontname="sans-serif"];']
    shapes = {"user": "ellipse", "form": "component", "when": "plaintext", "slot": "note", "end": "point"}
    for number, diagram in enumerate(diagrams):
        lines.append(f"  subgraph cluster_{number} {{ label={_quoted(diagram.title)};")
        for node in diagram.nodes:
            shape = f", shape={shapes[node.kind]}" if node.kind in shapes else ""
            tooltip = f", tooltip={_quoted(node.title)}" if node.title else ""
            lines.append(f"    d{number}{node.id} [label={_quoted(chr(10).join(node.lines))}{shape}{tooltip}];")
        lines += [f"    d{number}{start} -> d{number}{end};" for start, end in diagram.arrows]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
