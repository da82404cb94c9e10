"""The proof that ranks train one model."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.callbacks.over_ranks import OverRanks
from tfdl.errors import RunError, UserError


class SyncCheck(OverRanks):
    """Proves at the first step, every ``every`` steps and at the end that all ranks hold the same state, to the bit.

    Compared are trained and frozen weights, the slots of all optimizers, and synchronized moving statistics. It also
    checks that the ranks' epochs had equally many samples, which averaged gradients count on.

    Args:
        every: steps between two comparisons.

    Raises:
        RunError: on every rank, naming the step, the rank and the variable.
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
        self._in_epoch = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._step += batch + 1 - self._in_epoch
        self._in_epoch = batch + 1
        self.replicas.check(self._step)

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end(logs)
        self.replicas.finish(self._step)

    def on_training_numbers(self) -> None:
        tracker = getattr(self.model, "_loss_tracker", None)
        if tracker is None:
            return
        counts = np.asarray(self.world.all_gather(tf.reshape(tf.cast(tracker.count, tf.float64), [1])))
        if len(set(counts.tolist())) > 1:
            shown = ", ".join(f"rank {rank} had {count:,.0f}" for rank, count in enumerate(counts))
            raise RunError(
                f"the ranks' batches are not equally large: {shown} samples in an epoch, so the mean over ranks is not"
                " the mean over samples; give every rank the same number of samples"
            )
