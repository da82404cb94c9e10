"""Warms up the learning rate from that of one rank."""

from typing import Any

import keras
import numpy as np

from tfdl.distributed.callbacks.distributed_callback import DistributedCallback
from tfdl.distributed.replicas import stepping_parts
from tfdl.errors import UserError


class LearningRateWarmup(DistributedCallback):
    r"""Raises the learning rate linearly from a rank's share to the optimizer's own rate, in the first epochs.

    With $\eta$ the optimizer's learning rate when training first begins, $n$ ranks, $s$ steps in an epoch, and $w$
    epochs of warm-up, the step $b$ (from 0) of epoch $e$ (from 0) has the rate

    $$\eta_{e,b} = \frac{\eta}{n} \Bigl( 1 + (n - 1) \min\Bigl(1, \frac{e + (b + 1) / s}{w}\Bigr) \Bigr)$$

    This is what Horovod's ``LearningRateWarmupCallback`` computes (Goyal et al., 2017, Accurate, Large Minibatch SGD).
    After the warm-up the rate is $\eta$, and the callback does not change it any more. On one rank it never does. With
    ``steps_per_execution``, all steps of an execution have the rate of its first one. Unlike Horovod's callback it does
    not correct the momentum: Keras 3 compiles the momentum into the step.

    Put it after ``BroadcastState``.

    Args:
        warmup_epochs: epochs until the full rate is reached; may be a fraction.
        steps_per_epoch: steps in an epoch, needed only if Keras does not know it (generators).

    Raises:
        UserError: ``warmup_epochs`` is not positive, the number of steps is not known, or the optimizer has a schedule
            instead of a learning rate.
    """

    def __init__(self, warmup_epochs: float = 5, steps_per_epoch: int | None = None):
        super().__init__()
        if not warmup_epochs > 0:
            raise UserError(f"LearningRateWarmup warmup_epochs={warmup_epochs}, expected a positive number of epochs")
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise UserError(f"LearningRateWarmup steps_per_epoch={steps_per_epoch}, expected at least 1 step")
        self.warmup_epochs = warmup_epochs
        self.steps_per_epoch = steps_per_epoch
        self._full_rates: list[float] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._parts = stepping_parts(self.replicas.optimizers)
        for part in self._parts:
            if not isinstance(part._learning_rate, keras.Variable):
                raise UserError(
                    f"LearningRateWarmup got an optimizer with a {type(part._learning_rate).__name__}, expected a"
                    " learning rate that is a number; a schedule must warm up by itself"
                )
        if self._full_rates is None:  # a later fit, after one that ended within the warm-up, has the same aim
            self._full_rates = [float(np.asarray(part.learning_rate)) for part in self._parts]
        self._num_steps = self.steps_per_epoch or self.params.get("steps")
        if not self._num_steps:
            raise UserError("LearningRateWarmup does not know the steps in an epoch; pass steps_per_epoch=")
        self._is_warming_up = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._epoch = epoch
        if epoch < self.warmup_epochs and self.world.size > 1:
            self._is_warming_up = True

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if not self._is_warming_up or self._full_rates is None:
            return
        progress = min(1.0, (self._epoch + (batch + 1) / self._num_steps) / self.warmup_epochs)
        factor = 1.0 if progress == 1.0 else (1 + (self.world.size - 1) * progress) / self.world.size
        for part, rate in zip(self._parts, self._full_rates, strict=True):
            part.learning_rate = rate * factor
        self._is_warming_up = progress < 1.0
