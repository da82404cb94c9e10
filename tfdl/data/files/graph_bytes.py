"""Numbers in the header of a file, read inside a graph."""

from typing import Any

import tensorflow as tf


class GraphBytes:
    """The bytes of a file. After its end there are zeros.

    Args:
        data: the contents of the file, a string.
    """

    def __init__(self, data: Any):
        values = tf.io.decode_raw(data, tf.uint8)
        self.size = tf.size(values)
        self._values = tf.concat([values, tf.zeros([1], tf.uint8)], 0)

    def byte(self, place: Any) -> Any:
        """The byte at a place, int32.

        Args:
            place: int32, of any shape.
        """
        is_inside = (place >= 0) & (place < self.size)
        return tf.cast(tf.gather(self._values, tf.where(is_inside, place, self.size)), tf.int32)

    def short(self, place: Any, *, is_little: Any) -> Any:
        """The number of two bytes at a place.

        Args:
            place: as for ``byte``.
            is_little: whether the lower byte comes first.
        """
        first, second = self.byte(place), self.byte(place + 1)
        return tf.where(is_little, first + 256 * second, 256 * first + second)

    def long(self, place: Any, *, is_little: Any) -> Any:
        """The number of four bytes at a place; -1 if it is 2^31 or more, since no string is so long.

        Args:
            place: as for ``byte``.
            is_little: whether the lower bytes come first.
        """
        first = self.short(place, is_little=is_little)
        second = self.short(place + 2, is_little=is_little)
        high = tf.where(is_little, second, first)
        low = tf.where(is_little, first, second)
        return tf.where(high < 2**15, 2**16 * high + low, -1)

    def has(self, text: bytes, place: Any) -> Any:
        """Whether a text stands at a place.

        Args:
            text: the text.
            place: int32, a scalar.
        """
        found = self.byte(place + tf.range(len(text)))
        return tf.reduce_all(found == tf.constant(list(text)))
