"""How a JPEG must be turned for viewing, read inside a graph.

A served model has no Pillow. This reads the same number from the file's bytes by TensorFlow operations.
"""

from typing import Any

import tensorflow as tf

from tfdl.data.files.graph_bytes import GraphBytes

_MOST_FIELDS = 512
_MARK = 0xFF
_APPLICATION_1 = 0xE1
# The segments end where the pixels, or the file, begin or end.
_SCAN, _END = 0xDA, 0xD9
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
# EXIF's types of whole numbers of two and of four bytes.
_SHORT, _LONG = 3, 4


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
        is_exif = (kind == _APPLICATION_1) & content.has(_EXIF, place + 4)
        start = tf.where(is_exif, place + 4 + len(_EXIF), start)
        length = 2 + tf.maximum(2, content.short(place + 2, is_little=tf.constant(False)))
        # A mark may be preceded by more bytes of its kind.
        return place + tf.where(kind == _MARK, 1, length), start

    _, start = tf.while_loop(continues, step, (tf.constant(2), tf.constant(-1)))
    return start


def _orientation(content: GraphBytes, start: Any) -> Any:
    is_little = content.byte(start) == ord("I")
    directory = start + content.long(start + 4, is_little=is_little)
    count = tf.minimum(content.short(directory, is_little=is_little), _MOST_FIELDS)
    fields = directory + 2 + 12 * tf.range(count)  # the place of each
    kinds = content.short(fields + 2, is_little=is_little)
    values = tf.where(kinds == _SHORT, content.short(fields + 8, is_little=is_little), 0)
    values = tf.where(kinds == _LONG, content.long(fields + 8, is_little=is_little), values)
    is_orientation = (content.short(fields, is_little=is_little) == _ORIENTATION) & (fields + 12 <= content.size)
    value = tf.reduce_max(tf.where(is_orientation, values, 1))
    return tf.where((value >= 1) & (value <= 8), value, 1)
