"""The World of a job whose ranks change."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.distributed.horovod import HorovodWorld
from tfdl.errors import UserError


class ElasticWorld(HorovodWorld):
    """The current ranks of a job. When they change, the numbers of this object change.

    So a script may keep the World that ``init`` returned.

    Attributes:
        refuses_collectives: whether a collective raises an error, because ranks that join later would call it alone.
    """

    def __init__(self, launcher: str, size: int):
        self.refuses_collectives = False
        super().__init__(launcher, size)
        self._num_changes = 0
        with tf.device("CPU:0"):
            self._changes = tf.Variable(0, trainable=False, dtype=tf.int64, name="changes_of_ranks")

    def change(self) -> None:
        """Takes the numbers of the new ranks, which Horovod has connected. Graphs of the old ranks are invalid."""
        self._num_changes += 1
        self._changes.assign(self._num_changes)
        self.read_ranks()

    def refuse_old_graphs(self) -> None:
        if tf.executing_eagerly():
            return
        with tf.device("CPU:0"):
            tf.debugging.assert_equal(
                self._changes,
                tf.constant(self._num_changes, tf.int64),
                message=(
                    "this tf.function was traced before the ranks changed, and averages over the old ones; define it"
                    " within the function of tfdl.distributed.elastic.run, which is called again after a change"
                ),
            )

    def _count(self, collective: Callable[[Any], Any], tensor: Any) -> Any:
        if self.refuses_collectives:
            raise UserError(
                "a collective before the function of tfdl.distributed.elastic.run, expected none: this job's ranks may"
                " change (horovodrun --host-discovery-script), and a rank that joins would call it alone. Move it into"
                " the function; a script whose ranks should not change calls init(elastic=False)"
            )
        return super()._count(collective, tensor)
