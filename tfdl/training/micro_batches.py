"""Cuts the batch of one step into pieces, whose gradients are added up."""

from typing import Any

import tensorflow as tf

from tfdl.data.pipeline import WEIGHT


def cut(batch: dict[str, Any], pieces: int) -> tuple[dict[str, Any], Any]:
    """Says where to cut a batch into exactly ``pieces`` pieces, none of them empty.

    A batch of at least ``pieces`` rows is cut evenly, and every row is in one piece. A shorter batch, at the end of an
    epoch, is first filled up with copies of its first row, whose weight is 0. Each piece then has one row.

    Args:
        batch: features with one leading dimension, among them ``WEIGHT``.
        pieces: the number of pieces.

    Returns:
        The batch, filled up if it was too short, and the bounds of the pieces, int32 ``(pieces + 1,)``: piece ``i`` has
        the rows from ``bounds[i]`` to before ``bounds[i + 1]``.
    """
    num_rows = tf.shape(batch[WEIGHT])[0]
    num_missing = tf.maximum(pieces - num_rows, 0)
    filled = {}
    for name, value in batch.items():
        if name == WEIGHT:
            filled[name] = tf.pad(value, [[0, num_missing]])
        else:
            copies = tf.repeat(value[:1], num_missing, axis=0)
            filled[name] = tf.concat([value, copies], 0)
    bounds = tf.range(pieces + 1) * (num_rows + num_missing) // pieces
    return filled, bounds
