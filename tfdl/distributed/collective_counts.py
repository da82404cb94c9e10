"""How many collectives this process has come to, and come back from: what tells a rank that waits from a late one."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class CollectiveCounts:
    """Two counters on the host that collectives move as they run, in eager code and in graphs.

    All ranks run the same collectives, so a rank whose ``begun`` is behind the others' is the one they wait for.
    """

    def __init__(self) -> None:
        with tf.init_scope(), tf.device("CPU:0"):
            self._begun = tf.Variable(0, trainable=False, dtype=tf.int64, name="collectives_begun")
            self._done = tf.Variable(0, trainable=False, dtype=tf.int64, name="collectives_done")
        self._traced_at: int | None = None

    def read(self) -> tuple[int, int]:
        """Begun and done; may be called from any thread, while a graph runs."""
        done = int(self._done.numpy())  # first, so that done never comes out larger than begun
        return int(self._begun.numpy()), done

    @property
    def is_compiling(self) -> bool:
        """Whether a graph with a collective was traced, and none has run since: TensorFlow is at work on it."""
        return self._traced_at is not None and self._traced_at == int(self._begun.numpy())

    def count(self, collective: Callable[[Any], Any], tensor: Any) -> Any:
        """``collective(tensor)``, counted."""
        tensor = tf.convert_to_tensor(tensor)
        if not tf.executing_eagerly():
            with tf.init_scope():
                self._traced_at = int(self._begun.numpy())
        with tf.control_dependencies([tensor]):
            self._begun.assign_add(1, read_value=False)
        result = collective(tensor)
        with tf.control_dependencies([result]):
            self._done.assign_add(1, read_value=False)
        return result


_counts: CollectiveCounts | None = None


def collective_counts() -> CollectiveCounts:
    """The process's counters: graphs keep them beyond the World that they were traced in."""
    global _counts
    if _counts is None:
        _counts = CollectiveCounts()
    return _counts
