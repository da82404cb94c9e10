"""What Pillow reads of an image file. Pillow is the reference for what a file shows."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np
from PIL import ExifTags, Image

# Others are not tried: some of Pillow's decoders start a program.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
_WITHOUT_COLOURS = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B"}
# Signs of an orientation in a PNG, which may come after the pixels.
_ORIENTATION_IN_PNG = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
_TEXTS_OF_PNG = {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}
# Where a PNG stores what its pixels consist of; 0 is grey, 4 is grey and transparency.
_PNG_COLOUR_TYPE = 25
PNG = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""
MOST_PIXELS = 2**26
"""Of an image. A file of some kilobytes can have a thousand times as many pixels."""
_LARGE_PIXELS = 2**24
_LARGE_IMAGES = threading.Lock()
SIDEWAYS = range(5, 9)
"""EXIF's orientations that exchange height and width."""


class TooManyPixelsError(ValueError):
    """An image that would take too much memory."""


def open_image(data: bytes) -> Image.Image:
    """Reads the header of a file; of an animation, that of the first frame.

    Args:
        data: the contents of the file.

    Raises:
        TooManyPixelsError: an image of too many pixels.
        ValueError: not an image of a format that is read. Pillow raises other errors as well for a damaged file.
    """
    image = _opened(data)
    num_pixels = image.width * image.height
    if num_pixels > MOST_PIXELS:
        raise TooManyPixelsError(f"{image.width}x{image.height} pixels, expected at most {MOST_PIXELS:,} in all")
    return image


@contextmanager
def one_large_at_a_time(image: Image.Image) -> Iterator[None]:
    """While a large image is decoded, no other large one is: each takes up to a gigabyte.

    Args:
        image: its header.
    """
    with _LARGE_IMAGES if image.width * image.height > _LARGE_PIXELS else nullcontext():
        yield


def _opened(data: bytes) -> Image.Image:
    formats = _formats()
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(str(error)) from None
    except Image.UnidentifiedImageError:
        raise ValueError(f"none of {', '.join(formats)}") from None
    except ValueError:
        # Pillow refuses a PNG with a text or a colour profile of more than 1 MiB. Neither is needed.
        if not data.startswith(PNG):
            raise
        return Image.open(io.BytesIO(_without_texts(data)), formats=("PNG",))


def is_grey(image: Image.Image, data: bytes) -> bool:
    """Whether an image has no colours. An image with a palette has colours, whatever they are.

    Args:
        image: its header.
        data: the contents of the file.
    """
    if image.format == "PNG":
        # Pillow reads grey with transparency in 16 bits as colours.
        return data[_PNG_COLOUR_TYPE] in (0, 4)
    return image.mode in _WITHOUT_COLOURS


def orientation(image: Image.Image, data: bytes) -> int:
    """EXIF's number of how the stored image is turned for viewing, 1 to 8; 1 if there is none.

    Args:
        image: its header.
        data: the contents of the file.
    """
    if image.format == "PNG" and not any(sign in data for sign in _ORIENTATION_IN_PNG):
        # Without a sign, Pillow would decode the pixels in search of one.
        return 1
    if image.format == "TIFF":
        # Pillow turns these images itself while it decodes them, and then forgets the orientation.
        image.load()
    try:
        value: Any = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # Damaged EXIF fails in many ways. Viewers show the image as it is stored.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def is_transparent(image: Image.Image) -> bool:
    """Whether any pixel is not opaque.

    Args:
        image: of any kind.
    """
    if not image.has_transparency_data:
        return False
    opacity = image.convert("RGBA").getchannel("A")
    return bool(np.asarray(opacity).min() < 255)


def pixels(data: bytes, channels: int) -> np.ndarray:
    """Decodes an image, as it is stored (not turned by its orientation), on white where it is transparent.

    Args:
        data: the contents of the file.
        channels: 1 for an image without colours, or 3.

    Returns:
        uint8 ``(h, w, channels)``.

    Raises:
        ValueError: not an image that can be read. Pillow raises other errors as well for a damaged file.
    """
    image = _in_eight_bits(open_image(data))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(image.height, image.width, channels)


@cache
def _formats() -> tuple[str, ...]:
    """Those that the installed Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Numbers of 16 bits without their low byte, which is what Pillow and TensorFlow do to colours of 16 bits."""
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise ValueError("pixels of 32 bits; it is not known which of their values is white")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def _without_texts(png: bytes) -> bytes:
    """A PNG without texts and colour profile."""
    kept = [PNG]
    start = len(PNG)
    while start < len(png):
        # Each chunk is its length, its name, its contents and a check sum.
        end = start + 12 + int.from_bytes(png[start : start + 4], "big")
        if png[start + 4 : start + 8] not in _TEXTS_OF_PNG:
            kept.append(png[start:end])
        start = end
    return b"".join(kept)
