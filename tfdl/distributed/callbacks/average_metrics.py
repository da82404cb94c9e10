"""Computes metrics over all ranks' samples."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfdl.distributed.callbacks.distributed_callback import DistributedCallback
from tfdl.distributed.fit_calls import Call, compare_calls
from tfdl.distributed.metrics import check_additive, exact_metrics, local_metrics
from tfdl.distributed.step_values import flattened, values_over_ranks


class AverageMetrics(DistributedCallback):
    """Replaces each epoch's training and validation metrics by those of all ranks' samples.

    The variables of the metrics are added up over the ranks. So accuracy, precision or AUC are exact for uneven data,
    and the loss is weighted by samples. Put it before callbacks that decide by metrics (``EarlyStopping``,
    ``ReduceLROnPlateau``, ``ModelCheckpoint``), so that they decide alike on all ranks. It does the same in
    ``model.evaluate``, where each rank may have any number of samples, at least one.

    A custom ``train_step`` or ``test_step`` may return values that are not the model's metrics. They are averaged over
    the ranks. As in one process, Keras logs those of an epoch's last step. A value under the name of a metric that no
    step updates is logged as that metric, which is 0; this callback warns of it, also on one rank.

    Args:
        additive: custom metric classes whose variables are sums, like those of Keras's metrics.

    Raises:
        UserError: after the first step, a metric's variables may not be sums.
    """

    def __init__(self, additive: Sequence[type] = ()):
        super().__init__()
        self.additive = tuple(additive)
        self._is_checked = False

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        # A validation that an error ended, such as a lost rank, has left it.
        self.model.__dict__.pop("_get_metrics_result_or_logs", None)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._local: dict[str, Any] = {}
        self._exact: dict[str, Any] = {}
        self._validated: set[str] = set()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if not self._is_checked:  # after the first step, which builds the compiled metrics
            self._is_checked = True
            _warn_of_metrics_without_update(self.model, logs or {})
            if self.world.size > 1:
                check_additive(self.model.metrics, self.additive)

    def on_training_metrics(self) -> None:
        self._local = local_metrics(self.model)
        self._exact = exact_metrics(self.model, self.world, self.additive)

    def on_test_begin(self, logs: Any = None) -> None:
        super().on_test_begin(logs)
        if self.world.size > 1:
            if not self._in_fit:
                compare_calls(Call("evaluate"), self.world)
            # `evaluate` computes its return value before it calls on_test_end, with a copy of the logs. So the metrics
            # must be replaced where the model computes them.
            self.model.__dict__["_get_metrics_result_or_logs"] = self._exact_results

    def _exact_results(self, logs: Any) -> dict[str, Any]:
        """Replaces the model's method of the same purpose once, at the end of a validation."""
        del self.model.__dict__["_get_metrics_result_or_logs"]
        local = local_metrics(self.model)
        exact = exact_metrics(self.model, self.world, self.additive)
        logged = flattened(self.model._get_metrics_result_or_logs(logs))
        results = {**logged, **values_over_ranks(logged, local, exact, self.world)}
        if self._in_fit:
            self._validated = {f"val_{name}" for name in results}
        return results

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.world.size == 1 or logs is None:
            return
        of_training = {name: value for name, value in logs.items() if name not in self._validated}
        logs.update(values_over_ranks(of_training, self._local, self._exact, self.world))


def _warn_of_metrics_without_update(model: Any, returned: Mapping[str, Any]) -> None:
    """Keras logs the model's metrics if a step returns values under just their names, whatever the values are."""
    if set(returned) != set(local_metrics(model)):
        return
    for metric in model.metrics:
        value = returned.get(metric.name)
        is_updated = not metric.variables or any(np.any(np.asarray(variable)) for variable in metric.variables)
        if value is not None and np.any(np.asarray(value)) and not is_updated:
            warnings.warn(
                f"train_step returns {metric.name!r}, but does not update the model's metric of that name, so Keras"
                f" logs {metric.name}=0; call update_state of that metric (one of self.metrics) in train_step, or"
                " return the value under another name",
                stacklevel=2,
            )
