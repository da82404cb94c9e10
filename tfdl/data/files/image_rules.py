"""The rules by which image files become pixels. A run keeps the rules that it began with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from PIL import Image

from tfdl.data.files import pillow_images
from tfdl.data.files.image_decoding import Kind, Way, decoded, turned
from tfdl.data.files.image_endings import ENDINGS, FIRST_ENDINGS
from tfdl.data.images import CURRENT_RULES, FIRST_RULES
from tfdl.errors import UserError


@dataclass(frozen=True)
class Found:
    """What a file contains."""

    kind: Kind
    shape: tuple[int, ...]
    """Height, width and channels of the image as it is shown; 1 channel without colours."""
    is_transparent: bool = False


@dataclass(frozen=True)
class ImageRules:
    """How files become pixels."""

    number: int
    endings: tuple[str, ...]
    """Of the files that are read, in lower case."""
    look: Callable[[bytes], Found]
    """Decodes a file to find its kind. It raises an error, of any type, if the file is not an image."""
    read: Callable[[bytes, int], np.ndarray]
    """Decodes a file with so many channels, as a run does that has found its kind before."""


def image_rules(number: int) -> ImageRules:
    """The rules with a number.

    Raises:
        UserError: this version of tfdl does not know them.
    """
    if number not in _RULES:
        raise UserError(
            f"the run reads its images by rules {number}, expected {' or '.join(map(str, _RULES))}; it was made by a"
            " newer version of tfdl: install that version"
        )
    return _RULES[number]


def look_as_shown(data: bytes) -> Found:
    """Finds the kind by which an image is read as viewers show it: right colours, upright, on white.

    Args:
        data: the contents of a file.
    """
    read = _read(data)
    shape = read.pixels.shape
    if read.kind.orientation in pillow_images.SIDEWAYS:
        height, width, channels = shape
        shape = (width, height, channels)
    return Found(read.kind, shape, read.is_transparent)


def read_as_shown(data: bytes, channels: int) -> np.ndarray:
    """Decodes an image of the kind that ``look_as_shown`` finds, once.

    Args:
        data: the contents of a file.
        channels: 1 or 3, of the decoded image.

    Returns:
        uint8 ``(h, w, channels)``.
    """
    read = _read(data, channels)
    orientation = read.kind.orientation
    return read.pixels if orientation == 1 else np.asarray(turned(read.pixels, orientation))


@dataclass(frozen=True)
class _Read:
    """A file that was decoded."""

    kind: Kind
    pixels: np.ndarray
    """uint8 ``(h, w, channels)``, as it is stored."""
    is_transparent: bool


def _read(data: bytes, channels: int | None = None) -> _Read:
    """Finds the kind of a file by its own number of channels, and decodes it by the code that a run will use.

    Args:
        data: the contents of the file.
        channels: of the pixels. Defaults to the file's own number.
    """
    image = pillow_images.open_image(data)
    with pillow_images.one_large_at_a_time(image):
        return _decoded(image, data, channels)


def _decoded(image: Image.Image, data: bytes, channels: int | None) -> _Read:
    own_channels = 1 if pillow_images.is_grey(image, data) else 3
    channels = channels or own_channels
    try:
        way, is_transparent = _way(image, data, own_channels)
        pixels = _pixels(data, way, channels)
    except tf.errors.InvalidArgumentError:
        # The kernel does not read it. Pillow does, or has the better message.
        way = Way.PILLOW
        pixels = _pixels(data, way, channels)
        is_transparent = pillow_images.is_transparent(image)
    return _Read(Kind(way, pillow_images.orientation(image, data)), pixels, is_transparent)


def read_first(data: bytes, channels: int) -> np.ndarray:
    """Decodes an image by the rules of runs that record none.

    Args:
        data: the contents of a file.
        channels: 1 or 3, of the decoded image.

    Returns:
        uint8 ``(h, w, channels)``.
    """
    _check_first(data)
    return np.asarray(_by_kernel(data, channels))


def look_first(data: bytes) -> Found:
    """The rules of runs that record none: TensorFlow's kernel alone, which ignores orientation and transparency.

    Args:
        data: the contents of a file.
    """
    _check_first(data)
    shape = tuple(map(int, _by_kernel(data, 0).shape))
    # A grey image is read with 3 channels if other images of the set have colours.
    _by_kernel(data, 3)
    if shape[2] == 1:
        _by_kernel(data, 1)
    return Found(Kind(), shape)


def _check_first(data: bytes) -> None:
    """Refuses what TensorFlow's kernel must not read: some animations, and images of too many pixels."""
    if _is_animated_webp(data):
        raise ValueError("an animated WebP")
    try:
        pillow_images.open_image(data)
    except pillow_images.TooManyPixelsError:
        raise
    except Exception:
        return  # the kernel may read it all the same


def _way(image: Image.Image, data: bytes, channels: int) -> tuple[Way, bool]:
    """What decodes an image, and whether it is transparent. An error of the kernel is passed on."""
    if image.format in ("PNG", "WEBP") and not _is_animated_webp(data):
        return _way_by_transparency(image, data)
    is_transparent = pillow_images.is_transparent(image)
    may_be_alike = image.format in ("BMP", "GIF") and channels == 3 and not is_transparent
    if _is_ordinary_jpeg(image) or (may_be_alike and _reads_like_pillow(data)):
        return Way.KERNEL, False
    return Way.PILLOW, is_transparent


def _way_by_transparency(image: Image.Image, data: bytes) -> tuple[Way, bool]:
    """For formats that may store the opacity of each pixel, and that TensorFlow's kernel reads as Pillow does."""
    if not image.has_transparency_data:
        return Way.KERNEL, False
    opacity = _by_kernel(data, 4)[..., 3]
    if np.min(opacity) < 255:
        return Way.KERNEL_ON_WHITE, True
    # The kernel does not read an opaque WebP without its opacity.
    return (Way.KERNEL if image.format == "PNG" else Way.KERNEL_ON_WHITE), False


def _pixels(data: bytes, way: Way, channels: int) -> np.ndarray:
    if way is Way.PILLOW:
        # Outside a graph, since a graph hides the errors of Python code.
        return pillow_images.pixels(data, channels)
    return np.asarray(decoded(tf.constant(data), way, channels))


def _is_ordinary_jpeg(image: Image.Image) -> bool:
    """Whether the kernel and Pillow read the same colours."""
    # Without Adobe's mark, it is not known whether a number of CMYK means ink or light.
    return image.format in ("JPEG", "MPO") and (image.mode in ("L", "RGB") or "adobe" in image.info)


def _reads_like_pillow(data: bytes) -> bool:
    """Whether the kernel's pixels are Pillow's, for formats without loss."""
    return np.array_equal(_by_kernel(data, 3), pillow_images.pixels(data, 3))


def _is_animated_webp(data: bytes) -> bool:
    """Whether a WebP says that it has frames. TensorFlow's kernel overwrites memory when it reads some of these."""
    return data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and bool(data[20:21] and data[20] & 2)


def _by_kernel(data: bytes, channels: int) -> tf.Tensor:
    return tf.io.decode_image(tf.constant(data), channels=channels, expand_animations=False)


_RULES = {
    FIRST_RULES: ImageRules(FIRST_RULES, FIRST_ENDINGS, look_first, read_first),
    CURRENT_RULES: ImageRules(CURRENT_RULES, ENDINGS, look_as_shown, read_as_shown),
}
