"""One step's batch in pieces, whose gradients add up to the whole."""

from typing import Any

import tensorflow as tf

from tfdl.data.pipeline import WEIGHT


def cut(batch: dict[str, Any], pieces: int) -> tuple[dict[str, Any], Any]:
    """Where to cut a batch so that every rank has exactly ``pieces`` pieces, none of them empty.

    A batch of at least ``pieces`` rows is cut evenly; every real row is in one piece. A shorter one, at the end of an
    epoch, gets stand-ins: copies of its first row with weight 0, each a piece of its own.

    Args:
        batch: features with one leading dimension, ``WEIGHT`` among them.
        pieces: number of pieces.

    Returns:
        The batch, filled up, and int32 ``(pieces + 1,)``: piece ``i`` has the rows from ``i`` to ``i + 1`` of it.
    """
    rows = tf.shape(batch[WEIGHT])[0]
    missing = tf.maximum(pieces - rows, 0)
    filled = {name: _filled(value, missing) for name, value in batch.items() if name != WEIGHT}
    filled[WEIGHT] = tf.pad(batch[WEIGHT], [[0, missing]])
    return filled, tf.range(pieces + 1) * (rows + missing) // pieces


def _filled(value: Any, missing: Any) -> Any:
    return tf.concat([value, tf.repeat(value[:1], missing, axis=0)], 0)
