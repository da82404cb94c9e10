"""Images side by side, each with its name below, as one picture."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# Pixels.
_LEAST_CELL, _GREATEST_CELL, _GAP, _CAPTION, _LETTERS = 96, 224, 12, 22, 14
_PAPER, _INK = (255, 255, 255), (32, 32, 32)


def image_grid(images: Sequence[np.ndarray], names: Sequence[str]) -> Any:
    """A Pillow picture, about as wide as high.

    Args:
        images: uint8 ``(h, w, c)`` of 1, 3 or 4 channels, of one size or of many; small ones are enlarged in whole
            steps so that pixels stay pixels, large ones are made smaller.
        names: one for each, cut off where it is too long.
    """
    from PIL import Image, ImageDraw, ImageFont

    largest = max(max(image.shape[:2]) for image in images)
    scale = max(1, math.ceil(_LEAST_CELL / largest))
    cell = min(_GREATEST_CELL, largest * scale)
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    step_x, step_y = cell + _GAP, cell + _CAPTION + _GAP
    picture = Image.new("RGB", (columns * step_x + _GAP, rows * step_y + _GAP), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_LETTERS)
    for place, (image, name) in enumerate(zip(images, names, strict=True)):
        left, top = _GAP + place % columns * step_x, _GAP + place // columns * step_y
        tile = _tile(image, scale, cell)
        picture.paste(tile, (left + (cell - tile.width) // 2, top + (cell - tile.height) // 2))
        draw.text((left + cell / 2, top + cell + 4), _shortened(name, font, cell), _INK, font, anchor="ma")
    return picture


def _tile(image: np.ndarray, scale: int, cell: int) -> Any:
    from PIL import Image

    pixels = image[..., 0] if image.shape[-1] == 1 else image
    tile = Image.fromarray(pixels).convert("RGB")
    tile = tile.resize((tile.width * scale, tile.height * scale), Image.Resampling.NEAREST)
    tile.thumbnail((cell, cell))
    return tile


def _shortened(name: str, font: Any, width: int) -> str:
    name = " ".join(name.split())
    if font.getlength(name) <= width:
        return name
    while name and font.getlength(f"{name}…") > width:
        name = name[:-1]
    return f"{name}…"
