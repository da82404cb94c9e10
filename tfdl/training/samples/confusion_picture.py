"""A confusion matrix as a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

MOST_CLASSES = 200
"""With more classes, a cell of the picture would be too small."""

# Sizes in pixels.
_SIDE = 560
_GREATEST_CELL = 44
_LEAST_CELL = 4
_NAME_WIDTH = 110
_MARGIN = 14
_FONT_SIZE = 11
# Below these sizes of a cell there is no room for counts and for names.
_COUNT_CELL = 26
_NAME_CELL = 13
_BACKGROUND = (255, 255, 255)
_INK = (27, 31, 36)
_LIGHT_INK = (255, 255, 255)
_FULL = np.array([11, 98, 184])
_LINE = (221, 226, 232)


def confusion_picture(counts: np.ndarray, class_names: Sequence[str]) -> Any:
    """A Pillow picture of a confusion matrix.

    A cell's colour shows which share of its row it is: of the samples of a class, how many got the prediction. Cells
    have their counts, and rows and columns their names, where there is room.

    Args:
        counts: ``(n, n)``; the row is the true class, the column the predicted one. At most ``MOST_CLASSES`` classes.
        class_names: a name for each class.
    """
    from PIL import Image, ImageChops, ImageDraw, ImageFont

    num_classes = len(class_names)
    cell = max(_LEAST_CELL, min(_GREATEST_CELL, _SIDE // num_classes))
    has_names = cell >= _NAME_CELL
    first = _MARGIN + _FONT_SIZE + 6 + (_NAME_WIDTH if has_names else 0)
    side = first + num_classes * cell + _MARGIN
    picture = Image.new("RGB", (side, side), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT_SIZE)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)  # (n, n)
    for row, column in np.argwhere(counts):
        share = float(shares[row, column])
        left = first + int(column) * cell
        top = first + int(row) * cell
        draw.rectangle((left, top, left + cell - 1, top + cell - 1), _shade(share))
        if cell >= _COUNT_CELL:
            ink = _LIGHT_INK if share > 0.5 else _INK
            middle = (left + cell / 2, top + cell / 2)
            draw.text(middle, _short_count(int(counts[row, column])), ink, font, anchor="mm")
    draw.rectangle((first - 1, first - 1, first + num_classes * cell, first + num_classes * cell), outline=_LINE)
    if has_names:
        names = [_fitting(name, font) for name in class_names]
        middles = [first + (number + 0.5) * cell for number in range(num_classes)]
        _draw_names(draw, names, font, middles, first - 6)
        # The names above the columns run downwards: they are drawn to the left of a picture that is then turned.
        turned = Image.new("RGB", picture.size, _BACKGROUND)
        _draw_names(ImageDraw.Draw(turned), names, font, [side - middle for middle in middles], first - 6)
        picture.paste(ImageChops.darker(picture, turned.transpose(Image.Transpose.ROTATE_270)))
    draw.text((first, _MARGIN), "columns: predicted class, rows: true class", _INK, font, anchor="lm")
    return picture


def _draw_names(draw: Any, names: Sequence[str], font: Any, middles: Sequence[float], end: float) -> None:
    """Draws names that end at ``end`` from the left; ``middles`` are their distances from the top."""
    for name, middle in zip(names, middles, strict=True):
        draw.text((end, middle), name, _INK, font, anchor="rm")


def _shade(share: float) -> tuple[int, int, int]:
    """White for 0, and the darkest blue for 1. Small shares remain visible."""
    weight = 0.08 + 0.92 * share
    red, green, blue = (255 + (_FULL - 255) * weight).round().astype(int).tolist()
    return red, green, blue


def _short_count(count: int) -> str:
    """A count in at most five characters."""
    if count < 10_000:
        return str(count)
    if count < 1_000_000:
        return f"{count // 1000}k"
    return f"{count // 1_000_000}M"


def _fitting(name: str, font: Any) -> str:
    """The name on one line, cut off with an ellipsis if it is too wide."""
    name = " ".join(name.split())
    if font.getlength(name) <= _NAME_WIDTH:
        return name
    while name and font.getlength(f"{name}…") > _NAME_WIDTH:
        name = name[:-1]
    return f"{name}…"
