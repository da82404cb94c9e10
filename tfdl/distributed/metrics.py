"""The metrics of a Keras model over the samples of all ranks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed.world import World
from tfdl.errors import UserError


def exact_metrics(model: Any, world: World, additive: Sequence[type] = ()) -> dict[str, Any]:
    """The model's current metrics over the samples of all ranks; the metrics themselves stay as they are.

    What each metric has counted is added up in float64, and the metric computes its result from the sums: those of one
    process that had seen all samples, up to the rounding of Keras's own float32 sums (which lose units above 2**24).

    Args:
        model: a compiled Keras model.
        world: the ranks; their models have the same metrics in the same order.
        additive: classes of metrics that are not Keras's and whose variables are sums (see ``check_additive``).

    Raises:
        UserError: a metric cannot be added up.
    """
    check_additive(model.metrics, additive)
    variables = [variable for metric in model.metrics for variable in metric.variables]
    mine = [np.asarray(variable) for variable in variables]
    flat = np.concatenate([value.astype(np.float64).ravel() for value in mine]) if mine else np.zeros(0)
    total = np.asarray(world.all_reduce(tf.constant(flat)))
    for variable, value, part in zip(variables, mine, np.split(total, np.cumsum([v.size for v in mine])), strict=False):
        variable.assign(part.reshape(value.shape).astype(value.dtype))
    found = {name: _plain(value) for name, value in model.get_metrics_result().items()}
    for variable, value in zip(variables, mine, strict=True):
        variable.assign(value)
    return found


def check_additive(metrics: Sequence[Any], additive: Sequence[type] = ()) -> None:
    """Makes sure that every metric's variables are sums over samples, so that ranks add up to the whole.

    Keras's own metrics keep sums and counts, all of them. What another class keeps cannot be told from outside: a
    largest error would become the sum of the ranks' largest errors, without a word. So somebody must vouch for it.

    Args:
        metrics: Keras metrics.
        additive: classes (or their bases) that are known to keep sums.

    Raises:
        UserError: a metric whose own ``update_state`` writes variables of its own and that nobody vouched for, or a
            variable that was declared to be aggregated otherwise than by a sum.
    """
    for metric in _with_parts(metrics):
        kind, own = type(metric).__name__, metric._variables
        for variable in own:
            found = variable.aggregation
            if found != "sum":
                raise UserError(
                    f"metric {metric.name!r} ({kind}) keeps {variable.name!r} with aggregation={found!r}, expected"
                    " 'sum': ranks add up what their metrics have counted; keep sums, or leave the metric out"
                )
        if own and not type(metric).update_state.__module__.startswith("keras.") and not _is_one(metric, additive):
            raise UserError(
                f"metric {metric.name!r} is of a class of your own, {kind}, whose variables may not be sums, and ranks"
                " add up what their metrics have counted; if each sample only adds to them, say so:"
                f" AverageMetrics(additive=[{kind}]); else leave the metric out"
            )


def _plain(result: Any) -> Any:
    """A float, or an array where a metric has a number for each class."""
    array = np.asarray(result)
    return array if array.ndim else float(array)


def _with_parts(metrics: Sequence[Any]) -> Iterator[Any]:
    """The metrics, and those that they are made of; a model keeps its compiled ones in such a whole."""
    for metric in metrics:
        yield metric
        yield from _with_parts(metric.metrics if hasattr(metric, "metrics") else metric._metrics)


def _is_one(metric: Any, kinds: Sequence[type]) -> bool:
    return isinstance(metric, tuple(kinds))
