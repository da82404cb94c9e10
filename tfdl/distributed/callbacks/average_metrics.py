"""Metrics of all ranks' samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.callbacks.over_ranks import OverRanks
from tfdl.distributed.metrics import check_additive, exact_metrics
from tfdl.distributed.world import World


class AverageMetrics(OverRanks):
    """Replaces each epoch's metrics, of training and validation, by those of all ranks' samples.

    What the metrics have counted is added up over the ranks, so accuracy, precision or AUC are exact for uneven data,
    and the loss is weighted by samples. Put it before callbacks that decide by metrics (``EarlyStopping``,
    ``ReduceLROnPlateau``, ``ModelCheckpoint``): then they decide alike on every rank. In ``model.evaluate`` it does the
    same; there each rank may have any number of samples, at least one. Where a custom ``train_step`` returns numbers
    that are none of the model's metrics, they are averaged over the ranks.

    Args:
        additive: metric classes of your own whose variables are sums, as those of Keras's metrics are.

    Raises:
        UserError: a metric that is not known to keep sums, after the first step.
    """

    def __init__(self, additive: Sequence[type] = ()):
        super().__init__()
        self.additive = tuple(additive)
        self._checked = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._numbers: dict[str, float] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if not self._checked:  # compiled metrics are built in the first step
            self._checked = True
            if self.world.size > 1:
                check_additive(self.model.metrics, self.additive)

    def on_training_numbers(self) -> None:
        self._numbers.update(exact_metrics(self.model, self.world, self.additive))

    def on_test_begin(self, logs: Any = None) -> None:
        super().on_test_begin(logs)
        if self.world.size > 1:
            # What `evaluate` returns it has asked for before on_test_end, whose logs are a copy.
            self.model.__dict__["_get_metrics_result_or_logs"] = self._exact_results

    def _exact_results(self, logs: Any) -> dict[str, Any]:
        """Stands in once for the model's own method, at the end of a validation."""
        del self.model.__dict__["_get_metrics_result_or_logs"]
        exact = exact_metrics(self.model, self.world, self.additive)
        if self._in_fit:
            self._numbers.update({f"val_{name}": value for name, value in exact.items()})
        return {**self.model._get_metrics_result_or_logs(logs), **exact}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.world.size > 1 and logs is not None:
            metrics = {name for name in self._numbers if not name.startswith("val_")}
            if not metrics <= set(logs):  # Keras takes a step's own numbers, then: those of the last step
                self._numbers = {name: value for name, value in self._numbers.items() if name not in metrics}
                self._numbers.update(_mean_of_numbers(logs, self.world))
            logs.update(self._numbers)


def _mean_of_numbers(logs: dict[str, Any], world: World) -> dict[str, float]:
    names = sorted(name for name in logs if not name.startswith("val_"))
    mine = tf.constant([float(logs[name]) for name in names], tf.float64)
    return dict(zip(names, (np.asarray(world.all_reduce(mine)) / world.size).tolist(), strict=True))
