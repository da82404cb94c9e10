"""Whether a PNG may be transparent, read inside a graph."""

from typing import Any

import tensorflow as tf

from tfdl.data.files.graph_bytes import GraphBytes

_FIRST_CHUNK = 8
# Before the pixels. A file with more is opaque: a search would take long.
_MOST_CHUNKS = 1000
_COLOUR_TYPE = 25
# Grey, or colours, with an opacity for each pixel.
_WITH_OPACITY = (4, 6)
# Each chunk is its length, its name, its contents and a check sum.
_AROUND_CONTENTS = 12


def png_has_opacity(data: Any) -> Any:
    """Whether a PNG says how opaque its pixels, or the colours of its palette, are; a boolean.

    Args:
        data: the bytes of a PNG file.
    """
    content = GraphBytes(data)
    colour_type = content.byte(tf.constant(_COLOUR_TYPE))
    has_channel = tf.reduce_any(colour_type == tf.constant(_WITH_OPACITY))
    return has_channel | _has_transparent_colours(content)


def _has_transparent_colours(content: GraphBytes) -> Any:
    """Whether there is a chunk ``tRNS`` before the pixels."""

    def continues(place: Any, is_found: Any) -> Any:
        return ~is_found & (place < content.size) & ~content.has(b"IDAT", place + 4)

    def step(place: Any, is_found: Any) -> tuple[Any, Any]:
        is_found = content.has(b"tRNS", place + 4)
        length = content.long(place, is_little=tf.constant(False))
        # A length that cannot be right ends the search.
        rest = content.size - place
        step_length = tf.where((length < 0) | (length > rest), rest, length + _AROUND_CONTENTS)
        return place + step_length, is_found

    first = (tf.constant(_FIRST_CHUNK), tf.constant(False))
    _, is_found = tf.while_loop(continues, step, first, maximum_iterations=_MOST_CHUNKS)
    return is_found
