"""Counts the collectives of this process, which distinguishes a rank that waits from one that is late."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.distributed.graph_optimization import not_constant, one_after, prepare


class CollectiveCounts:
    """Two counters on the host, of collectives that have begun and that are done, in eager code and in graphs.

    All ranks run the same collectives, so the other ranks wait for the rank with the lowest ``begun``.
    """

    def __init__(self) -> None:
        with tf.init_scope(), tf.device("CPU:0"):
            self._begun = tf.Variable(0, trainable=False, dtype=tf.int64, name="collectives_begun")
            self._done = tf.Variable(0, trainable=False, dtype=tf.int64, name="collectives_done")
        self._begun_when_traced: int | None = None
        prepare()

    def read(self) -> tuple[int, int]:
        """Returns the numbers of begun and done collectives. Any thread may call it while a graph runs."""
        done = int(self._done.numpy())  # read first, so that it is never larger than begun
        begun = int(self._begun.numpy())
        return begun, done

    @property
    def is_compiling(self) -> bool:
        """Whether a graph with a collective was traced and none has run since: TensorFlow is compiling it."""
        return self._begun_when_traced is not None and self._begun_when_traced == int(self._begun.numpy())

    def count(self, collective: Callable[[Any], Any], tensor: Any) -> Any:
        """Calls a collective and counts it when it runs.

        Args:
            collective: a function of one tensor.
            tensor: its argument.

        Returns:
            The collective's result.
        """
        tensor = tf.convert_to_tensor(tensor)
        is_traced = not tf.executing_eagerly()
        if is_traced:
            with tf.init_scope():
                self._begun_when_traced = int(self._begun.numpy())
            tensor = not_constant(tensor)
        # The control dependencies make a graph count when it runs: first the tensor, then `begun`, the collective, and
        # `done`.
        with tf.control_dependencies([tensor]):
            self._begun.assign_add(1, read_value=False)
        result = collective(tensor)
        results = tf.nest.flatten(result)
        with tf.control_dependencies(results):
            self._done.assign_add(one_after(results) if is_traced else 1, read_value=False)
        return result


_counts: CollectiveCounts | None = None


def collective_counts() -> CollectiveCounts:
    """Returns the process's counters. They outlive a World, because graphs that were traced in it refer to them."""
    global _counts
    if _counts is None:
        _counts = CollectiveCounts()
    return _counts
