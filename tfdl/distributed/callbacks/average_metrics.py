"""Computes metrics over all ranks' samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.callbacks.distributed_callback import DistributedCallback
from tfdl.distributed.metrics import check_additive, exact_metrics
from tfdl.distributed.world import World


class AverageMetrics(DistributedCallback):
    """Replaces each epoch's training and validation metrics by those of all ranks' samples.

    The variables of the metrics are added up over the ranks. So accuracy, precision or AUC are exact for uneven data,
    and the loss is weighted by samples. Put it before callbacks that decide by metrics (``EarlyStopping``,
    ``ReduceLROnPlateau``, ``ModelCheckpoint``), so that they decide alike on all ranks. It does the same in
    ``model.evaluate``, where each rank may have any number of samples, at least one. Values that a custom
    ``train_step`` returns and that are not the model's metrics are averaged over the ranks.

    Args:
        additive: custom metric classes whose variables are sums, like those of Keras's metrics.

    Raises:
        UserError: after the first step, a metric's variables may not be sums.
    """

    def __init__(self, additive: Sequence[type] = ()):
        super().__init__()
        self.additive = tuple(additive)
        self._is_checked = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._exact: dict[str, float] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if not self._is_checked:  # after the first step, which builds the compiled metrics
            self._is_checked = True
            if self.world.size > 1:
                check_additive(self.model.metrics, self.additive)

    def on_training_metrics(self) -> None:
        self._exact.update(exact_metrics(self.model, self.world, self.additive))

    def on_test_begin(self, logs: Any = None) -> None:
        super().on_test_begin(logs)
        if self.world.size > 1:
            # `evaluate` computes its return value before it calls on_test_end, with a copy of the logs. So the metrics
            # must be replaced where the model computes them.
            self.model.__dict__["_get_metrics_result_or_logs"] = self._exact_results

    def _exact_results(self, logs: Any) -> dict[str, Any]:
        """Replaces the model's method of the same purpose once, at the end of a validation."""
        del self.model.__dict__["_get_metrics_result_or_logs"]
        exact = exact_metrics(self.model, self.world, self.additive)
        if self._in_fit:
            self._exact.update({f"val_{name}": value for name, value in exact.items()})
        return {**self.model._get_metrics_result_or_logs(logs), **exact}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.world.size == 1 or logs is None:
            return
        training_metrics = {name for name in self._exact if not name.startswith("val_")}
        if not training_metrics <= set(logs):
            # A custom train_step returned other values. Keras then logs those of the last step, and no metrics.
            self._exact = {name: value for name, value in self._exact.items() if name not in training_metrics}
            self._exact.update(_mean_over_ranks(logs, self.world))
        logs.update(self._exact)


def _mean_over_ranks(logs: dict[str, Any], world: World) -> dict[str, float]:
    """The mean of each logged training value over the ranks."""
    names = sorted(name for name in logs if not name.startswith("val_"))
    local_values = tf.constant([float(logs[name]) for name in names], tf.float64)
    means = np.asarray(world.all_reduce(local_values)) / world.size
    return dict(zip(names, means.tolist(), strict=True))
