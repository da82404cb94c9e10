"""Decodes image files inside the graph of a served model."""

from typing import Any

import tensorflow as tf

from tfdl.data.files.image_decoding import on_white, turned
from tfdl.data.files.jpeg_orientation import jpeg_orientation
from tfdl.data.files.pillow_images import PNG
from tfdl.data.files.png_transparency import png_has_opacity
from tfdl.data.images import FIRST_RULES

_JPEG = b"\xff\xd8\xff"
# Shares of red, green and blue in a grey, of ITU-R BT.601, in thousandths. A grey keeps its number.
_GREY = (299, 587, 114)
# In a message.
_MOST_NUMBERS = 10


def check_files(files: Any) -> Any:
    """The same files; an error of the graph, with their numbers, if some are neither JPEG nor PNG.

    Args:
        files: the bytes of files, strings ``(b,)``.
    """
    others = tf.where(~(_begins_with(files, PNG) | _begins_with(files, _JPEG)))[:, 0]
    message = "not JPEG or PNG files, by their numbers from 0:"
    with tf.control_dependencies(
        [tf.debugging.Assert(tf.size(others) == 0, [message, others], summarize=_MOST_NUMBERS)]
    ):
        return tf.identity(files)


def served_image(data: Any, channels: int, rules: int) -> Any:
    """The image of a JPEG or PNG file, upright and on white, as a run reads it.

    The pixels are those of ``image_rules`` but for kinds of files that only Pillow reads right: a JPEG of inks without
    Adobe's mark, a PNG whose EXIF turns it, and a JPEG that is turned by XMP alone.

    Args:
        data: the bytes of a file, of ``check_files``.
        channels: 1 or 3. Colours become shades of grey for 1.
        rules: the number of the run's rules.

    Returns:
        uint8 ``(h, w, channels)``.
    """
    if rules == FIRST_RULES:
        image = tf.io.decode_image(data, channels=channels, expand_animations=False)
    else:
        image = tf.cond(_begins_with(data, PNG), lambda: _png(data, channels), lambda: _jpeg(data, channels))
    return tf.ensure_shape(image, [None, None, channels])


def _begins_with(data: Any, mark: bytes) -> Any:
    return tf.strings.substr(data, 0, len(mark)) == mark


def _png(data: Any, channels: int) -> Any:
    def with_opacity() -> Any:
        image = on_white(tf.io.decode_png(data, channels=4))  # (h, w, 3)
        return image if channels == 3 else _grey(image)

    # The kernel reads some opaque images wrong with an opacity.
    return tf.cond(png_has_opacity(data), with_opacity, lambda: tf.io.decode_png(data, channels=channels))


def _grey(image: Any) -> Any:
    weighted = tf.cast(image, tf.int32) * tf.constant(_GREY)  # (h, w, 3)
    return tf.cast((tf.reduce_sum(weighted, -1, keepdims=True) + 500) // 1000, tf.uint8)


def _jpeg(data: Any, channels: int) -> Any:
    image = tf.io.decode_jpeg(data, channels=3)  # the kernel makes no shades of grey of inks
    return turned(image if channels == 3 else _grey(image), jpeg_orientation(data))
