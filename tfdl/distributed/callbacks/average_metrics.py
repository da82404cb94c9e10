"""Metrics of all ranks' samples."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.callbacks.over_ranks import OverRanks
from tfdl.distributed.world import World


class AverageMetrics(OverRanks):
    """Replaces each epoch's metrics, of training and validation, by those of all ranks' samples.

    What the metrics have counted is added up over the ranks, so accuracy, precision or AUC are exact for uneven data,
    and the loss is weighted by samples. Put it before callbacks that decide by metrics (``EarlyStopping``,
    ``ReduceLROnPlateau``, ``ModelCheckpoint``): then they decide alike on every rank. A metric of your own must keep
    sums, as Keras's do. Where a custom ``train_step`` returns numbers that are none of the model's metrics, they are
    averaged over the ranks.
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._numbers: dict[str, float] = {}

    def on_training_numbers(self) -> None:
        self._numbers.update(exact_metrics(self.model, self.world))

    def on_test_end(self, logs: Any = None) -> None:
        if self.world.size == 1:
            return
        exact = exact_metrics(self.model, self.world)
        if logs is not None:
            logs.update(exact)
        if self._in_fit:
            self._numbers.update({f"val_{name}": value for name, value in exact.items()})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.world.size > 1 and logs is not None:
            metrics = {name for name in self._numbers if not name.startswith("val_")}
            if not metrics <= set(logs):  # Keras takes a step's own numbers, then: those of the last step
                self._numbers = {name: value for name, value in self._numbers.items() if name not in metrics}
                self._numbers.update(_mean_of_numbers(logs, self.world))
            logs.update(self._numbers)


def exact_metrics(model: Any, world: World) -> dict[str, float]:
    """The model's current metrics over the samples of all ranks; the metrics themselves stay as they are."""
    variables = [variable for metric in model.metrics for variable in metric.variables]
    mine = [np.asarray(variable) for variable in variables]
    flat = np.concatenate([value.astype(np.float64).ravel() for value in mine]) if mine else np.zeros(0)
    total = np.asarray(world.all_reduce(tf.constant(flat)))
    for variable, value, part in zip(variables, mine, np.split(total, np.cumsum([v.size for v in mine])), strict=False):
        variable.assign(part.reshape(value.shape).astype(value.dtype))
    found = {name: float(value) for name, value in model.get_metrics_result().items()}
    for variable, value in zip(variables, mine, strict=True):
        variable.assign(value)
    return found


def _mean_of_numbers(logs: dict[str, Any], world: World) -> dict[str, float]:
    names = sorted(name for name in logs if not name.startswith("val_"))
    mine = tf.constant([float(logs[name]) for name in names], tf.float64)
    return dict(zip(names, (np.asarray(world.all_reduce(mine)) / world.size).tolist(), strict=True))
