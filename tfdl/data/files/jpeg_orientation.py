"""How a JPEG must be turned for viewing, read inside a graph.

A served model has no Pillow. This reads the same number from the file's bytes by TensorFlow operations.
"""

from typing import Any

import tensorflow as tf

from tfdl.data.files.graph_bytes import GraphBytes

_MOST_FIELDS = 512
# Segments and bytes before a mark. A file with more is upright: a search would take long.
_MOST_STEPS = 1000
_MARK = 0xFF
_APPLICATION_1 = 0xE1
# The segments end where the pixels, or the file, begin or end.
_SCAN, _END = 0xDA, 0xD9
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
# EXIF's types of whole numbers of two and of four bytes, without and with a sign.
_SHORTS = (3, 8)
_LONGS = (4, 9)
_TIFF = 42


def jpeg_orientation(data: Any) -> Any:
    """EXIF's number of how the stored image is turned for viewing, int32, 1 to 8; 1 if there is none.

    Args:
        data: the bytes of a JPEG file.
    """
    content = GraphBytes(data)
    start = _start_of_exif(content)
    return tf.cond(start < 0, lambda: tf.constant(1), lambda: _orientation(content, start))


def _start_of_exif(content: GraphBytes) -> Any:
    """The place of the first EXIF structure, or -1."""

    def continues(place: Any, start: Any) -> Any:
        kind = content.byte(place + 1)
        is_segment = (content.byte(place) == _MARK) & (kind != _SCAN) & (kind != _END)
        return (start < 0) & is_segment & (place < content.size)

    def step(place: Any, start: Any) -> tuple[Any, Any]:
        kind = content.byte(place + 1)
        length = 2 + tf.maximum(2, content.short(place + 2, is_little=tf.constant(False)))
        has_content = length > 4 + len(_EXIF)
        is_exif = (kind == _APPLICATION_1) & content.has(_EXIF, place + 4) & has_content
        start = tf.where(is_exif, place + 4 + len(_EXIF), start)
        # A mark may be preceded by more bytes of its kind.
        return place + tf.where(kind == _MARK, 1, length), start

    first = (tf.constant(2), tf.constant(-1))
    _, start = tf.while_loop(continues, step, first, maximum_iterations=_MOST_STEPS)
    return start


def _orientation(content: GraphBytes, start: Any) -> Any:
    """The first field that is the orientation, if it is a whole number."""
    is_little = content.has(b"II", start)
    is_tiff = (is_little | content.has(b"MM", start)) & (content.short(start + 2, is_little=is_little) == _TIFF)
    directory = start + content.long(start + 4, is_little=is_little)
    count = tf.minimum(content.short(directory, is_little=is_little), _MOST_FIELDS)
    fields = directory + 2 + 12 * tf.range(count)  # the place of each
    is_orientation = (content.short(fields, is_little=is_little) == _ORIENTATION) & (fields + 12 <= content.size)
    has_value = content.long(fields + 4, is_little=is_little) > 0
    found = tf.boolean_mask(fields, is_orientation & has_value)
    field = tf.concat([found, [content.size]], 0)[0]
    kind = content.short(field + 2, is_little=is_little)
    short = content.short(field + 8, is_little=is_little)
    value = tf.where(tf.reduce_any(kind == _LONGS), content.long(field + 8, is_little=is_little), short)
    is_whole = tf.reduce_any(kind == _SHORTS + _LONGS)
    return tf.where(is_tiff & is_whole & (value >= 1) & (value <= 8), value, 1)
