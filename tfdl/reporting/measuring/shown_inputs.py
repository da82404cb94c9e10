"""The inputs of mistakes: images as PNG files, texts as they are in the data."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.reporting.clean_text import shortened
from tfdl.reporting.measuring.measured import Mistake

# Longest side of an image in the file, and in the page, in pixels.
_MOST_PIXELS = 96
_SHOWN_PIXELS = 96
# Characters of a text.
_LONGEST_TEXT = 600


def with_images(mistakes: Sequence[Mistake], source: Any) -> list[Mistake]:
    """Adds the images, as the model gets them.

    Args:
        mistakes: whose samples are read.
        source: of images with values from 0 to 255.
    """
    shown = []
    for mistake in mistakes:
        image = np.asarray(source.read(tf.constant([mistake.number], tf.int64))["image"][0])
        png, size = _png(image)
        shown.append(replace(mistake, image=png, image_size=size))
    return shown


def with_texts(mistakes: Sequence[Mistake], source: Any) -> list[Mistake]:
    """Adds the texts.

    Args:
        mistakes: whose samples are read.
        source: a ``TokenSource`` that keeps its texts.
    """
    if not mistakes:
        return []
    numbers = np.array(sorted({mistake.number for mistake in mistakes}))
    texts = source.chosen(numbers).texts("text")["text"]
    by_number = dict(zip(numbers.tolist(), texts.tolist(), strict=True))
    return [replace(mistake, text=shortened(by_number[mistake.number], _LONGEST_TEXT)) for mistake in mistakes]


def _png(image: np.ndarray) -> tuple[bytes, tuple[int, int]]:
    """A PNG file of at most ``_MOST_PIXELS`` on each side, and width and height in the page."""
    from PIL import Image

    pixels = image.astype(np.uint8)  # (h, w, c)
    if pixels.shape[-1] not in (3, 4):
        pixels = pixels[..., 0]  # one channel, or channels that have no colours
    picture = Image.fromarray(pixels)
    picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    factor = _SHOWN_PIXELS / max(picture.size)
    return file.getvalue(), (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
