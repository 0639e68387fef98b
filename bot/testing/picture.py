"""Confusion matrices as PNG, for those who look for Rasa's pictures. Drawn with Pillow; labels in its built-in font."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bot.testing.figures import Pair

MOST_LABELS = 60
"""How many labels are shown: those that were mixed up first, then the most frequent."""
_CELL, _MARGIN, _SIZE = 34, 12, 13
_INK, _SOFT, _LINE, _GOOD, _BAD = "#1c2430", "#5b6675", "#dfe4ea", (20, 116, 111), (194, 65, 12)


def draw_confusion(found: Sequence[Pair], title: str, path: Path) -> None:
    """Write the matrix: rows are right, columns found; green is right, orange mixed up."""
    counts = Counter(found)
    labels = _labels(counts)
    font = ImageFont.load_default(_SIZE)
    room = int(max((font.getlength(label) for label in labels), default=0)) + 2 * _MARGIN
    side = len(labels) * _CELL
    heading = 44
    image = Image.new("RGB", (room + side + _MARGIN, heading + side + room + _MARGIN), "white")
    draw = ImageDraw.Draw(image)
    draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=ImageFont.load_default(18))
    worst = max((count for (right, said), count in counts.items() if right != said), default=1)
    for row, right in enumerate(labels):
        y = heading + row * _CELL
        draw.text((room - _MARGIN, y + _CELL / 2), right, fill=_SOFT, font=font, anchor="rm")
        for column, said in enumerate(labels):
            count = counts[right, said]
            box = (room + column * _CELL, y, room + (column + 1) * _CELL, y + _CELL)
            share = 0.35 if right == said else 0.3 + 0.7 * count / worst
            fill = _tint(_GOOD if right == said else _BAD, share) if count else "white"
            draw.rectangle(box, fill=fill, outline=_LINE)
            if count:
                draw.text((box[0] + _CELL / 2, y + _CELL / 2), str(count), fill=_INK, font=font, anchor="mm")
    _columns(image, labels, room, heading + side)
    image.save(path)


def _columns(image: Image.Image, labels: Sequence[str], left: int, top: int) -> None:
    """Names below the columns, written upwards."""
    font = ImageFont.load_default(_SIZE)
    for column, label in enumerate(labels):
        width = int(font.getlength(label)) + 2
        strip = Image.new("RGB", (width, _SIZE + 6), "white")
        ImageDraw.Draw(strip).text((0, 0), label, fill=_SOFT, font=font)
        turned = strip.rotate(90, expand=True)
        image.paste(turned, (left + column * _CELL + (_CELL - turned.width) // 2, top + _MARGIN // 2))


def _tint(colour: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 - (255 - part) * share) for part in colour)
    return red, green, blue


def _labels(counts: Counter[Pair]) -> list[str]:
    weight: Counter[str] = Counter()
    for (right, said), count in counts.items():
        for label in {right, said}:
            weight[label] += count + (1_000_000 if right != said else 0)
    return sorted(label for label, _ in weight.most_common(MOST_LABELS))
