"""Images side by side in one picture, each with its name below it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# Sizes in pixels. An image is shown in a square cell, with a caption below.
_LEAST_CELL = 96
_GREATEST_CELL = 224
_GAP = 12
_CAPTION_HEIGHT = 22
_FONT_SIZE = 14
_BACKGROUND = (255, 255, 255)
_TEXT_COLOUR = (32, 32, 32)

Colour = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""
Note = tuple[str, Colour]
"""A line and its colour."""


def image_grid(
    images: Sequence[np.ndarray],
    names: Sequence[str],
    notes: Sequence[Note] = (),
    greatest_cell: int = _GREATEST_CELL,
) -> Any:
    """A Pillow picture with about as many rows as columns.

    Args:
        images: uint8 ``(h, w, c)`` of 1, 3 or 4 channels, of one size or of many. Small ones are enlarged by a whole
            number, so their pixels stay visible; large ones are made smaller.
        names: a caption for each image; captions that are too long are cut off.
        notes: a second line below each caption, if there are any.
        greatest_cell: the longest side of an image in the picture, in pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    largest = max(max(image.shape[:2]) for image in images)
    scale = max(1, math.ceil(_LEAST_CELL / largest))
    cell = min(greatest_cell, largest * scale)
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    step_x = cell + _GAP
    num_lines = 2 if notes else 1
    step_y = cell + num_lines * _CAPTION_HEIGHT + _GAP
    picture = Image.new("RGB", (columns * step_x + _GAP, rows * step_y + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_FONT_SIZE)
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        row, column = divmod(number, columns)
        left = _GAP + column * step_x
        top = _GAP + row * step_y
        tile = _tile(image, scale, cell)
        # In the middle of the cell.
        picture.paste(tile, (left + (cell - tile.width) // 2, top + (cell - tile.height) // 2))
        lines = [(name, _TEXT_COLOUR), *notes[number : number + 1]]
        for line, (text, colour) in enumerate(lines):
            place = (left + cell / 2, top + cell + 4 + line * _CAPTION_HEIGHT)
            draw.text(place, _shortened(text, font, cell), colour, font, anchor="ma")
    return picture


def _tile(image: np.ndarray, scale: int, cell: int) -> Any:
    """The image enlarged, and at most as large as its cell."""
    from PIL import Image

    if image.shape[-1] == 1:
        image = image[..., 0]  # Pillow takes grey images without an axis for channels
    tile = Image.fromarray(image).convert("RGB")
    tile = tile.resize((tile.width * scale, tile.height * scale), Image.Resampling.NEAREST)
    tile.thumbnail((cell, cell))
    return tile


def _shortened(name: str, font: Any, width: int) -> str:
    """The name on one line, cut off with an ellipsis if it is wider than ``width`` pixels."""
    name = " ".join(name.split())
    if font.getlength(name) <= width:
        return name
    while name and font.getlength(f"{name}…") > width:
        name = name[:-1]
    return f"{name}…"
