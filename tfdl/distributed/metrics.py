"""The metrics of a Keras model over the samples of all ranks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import UserError


def exact_metrics(model: Any, world: World, additive: Sequence[type] = ()) -> dict[str, Any]:
    """Computes the model's current metrics over the samples of all ranks. The metrics' own state does not change.

    The variables of each metric are added up in float64, and the metric computes its result from the sums. The result
    is that of one process that has seen all samples, except for the rounding of Keras's float32 sums, which lose units
    above 2**24.

    Args:
        model: a compiled Keras model.
        world: the ranks. Their models must have the same metrics in the same order.
        additive: metric classes, other than Keras's, whose variables are sums (see ``check_additive``).

    Returns:
        Metric name -> float, or array for a metric with one value per class.

    Raises:
        UserError: a metric's variables may not be sums.
    """
    check_additive(model.metrics, additive)
    variables = [variable for metric in model.metrics for variable in metric.variables]
    local_values = [np.asarray(variable) for variable in variables]
    sums = _sum_values(local_values, world)
    for variable, value in zip(variables, sums, strict=True):
        variable.assign(value)
    results = local_metrics(model)
    for variable, value in zip(variables, local_values, strict=True):
        variable.assign(value)
    return results


def local_metrics(model: Any) -> dict[str, Any]:
    """The results of the model's metrics for this rank's samples: a float, or an array with one value per class."""
    return {name: _to_float(value) for name, value in model.get_metrics_result().items()}


def _sum_values(values: Sequence[np.ndarray], world: World) -> list[np.ndarray]:
    """Adds up all arrays over the ranks, in one collective."""
    flat = np.zeros(0)
    if values:
        flat = np.concatenate([value.astype(np.float64).ravel() for value in values])
    total = np.asarray(world.all_reduce(tf.constant(flat)))
    ends = np.cumsum([value.size for value in values], dtype=int)
    sums = np.split(total, ends[:-1])
    # Without values `np.split` returns one empty array, which `zip` drops.
    return [part.reshape(value.shape).astype(value.dtype) for value, part in zip(values, sums, strict=False)]


def check_additive(metrics: Sequence[Any], additive: Sequence[type] = ()) -> None:
    """Checks that every metric's variables are sums over samples, so that they can be added up over the ranks.

    All of Keras's own metrics keep sums and counts. What another class keeps is not known: a largest error, for
    example, would silently become the sum of the ranks' largest errors. So the user must declare the class.

    Args:
        metrics: Keras metrics.
        additive: classes, or their base classes, whose variables are known to be sums.

    Raises:
        UserError: a metric has variables, its ``update_state`` is not Keras's, and its class is not in ``additive``; or
            one of its variables has an aggregation other than a sum.
    """
    for metric in _with_nested(metrics):
        class_name = type(metric).__name__
        own_variables = metric._variables
        for variable in own_variables:
            if variable.aggregation != "sum":
                raise UserError(
                    f"metric {metric.name!r} ({class_name}) keeps {variable.name!r} with"
                    f" aggregation={variable.aggregation!r}, expected 'sum', because metrics are added up over the"
                    " ranks; keep sums, or remove the metric"
                )
        is_of_keras = type(metric).update_state.__module__.startswith("keras.")
        if own_variables and not is_of_keras and not isinstance(metric, tuple(additive)):
            raise UserError(
                f"metric {metric.name!r} is of the custom class {class_name}, whose variables may not be sums, and"
                " metrics are added up over the ranks; if each sample only adds to them, declare it with"
                f" AverageMetrics(additive=[{class_name}]), else remove the metric"
            )


def _to_float(result: Any) -> Any:
    """A float, or an array for a metric with one value per class."""
    array = np.asarray(result)
    return array if array.ndim else float(array)


def _with_nested(metrics: Sequence[Any]) -> Iterator[Any]:
    """The metrics and those that they contain, such as a model's compiled metrics in their container."""
    for metric in metrics:
        yield metric
        nested = metric.metrics if hasattr(metric, "metrics") else metric._metrics
        yield from _with_nested(nested)
