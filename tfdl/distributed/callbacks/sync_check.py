"""Proves that all ranks train one model."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.callbacks.distributed_callback import DistributedCallback
from tfdl.errors import RunError, UserError


class SyncCheck(DistributedCallback):
    """Compares the ranks' states at the first step, every ``every`` steps and at the end. They must be bit-identical.

    It compares trained and frozen weights, the slots of all optimizers, and synchronized moving statistics. It also
    checks that the ranks' epochs had equally many samples, which averaged gradients require.

    Args:
        every: steps between two comparisons.

    Raises:
        RunError: on all ranks, naming the step, the rank and the variable.
    """

    def __init__(self, every: int = 200):
        super().__init__()
        if every < 1:
            raise UserError(f"SyncCheck every={every}, expected at least 1 step")
        self.every = every

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self.replicas.check_every = self.every
        self._step = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._steps_in_epoch = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        # With `steps_per_execution`, Keras calls this once for several steps.
        self._step += batch + 1 - self._steps_in_epoch
        self._steps_in_epoch = batch + 1
        self.replicas.check(self._step)

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self.replicas.finish(self._step)

    def on_training_metrics(self) -> None:
        loss_tracker = getattr(self.model, "_loss_tracker", None)
        if loss_tracker is None:
            return
        local_count = tf.reshape(tf.cast(loss_tracker.count, tf.float64), [1])
        counts = np.asarray(self.world.all_gather(local_count)).tolist()
        if len(set(counts)) > 1:
            listed = ", ".join(f"rank {rank} had {count:,.0f}" for rank, count in enumerate(counts))
            raise RunError(
                f"the ranks' batches are not equally large: {listed} samples in an epoch, so the mean over ranks is not"
                " the mean over samples; give every rank the same number of samples"
            )
