"""A Keras loss and Keras metrics, as exact numbers over any number of ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.serialization import to_json

# Samples that a metric is updated with at a time, when it is computed from gathered rows.
_UPDATE_ROWS = 8192
# What "accuracy" and "crossentropy" mean, by the shapes of targets and outputs.
_BY_SHAPE = {
    "accuracy": ("binary_accuracy", "sparse_categorical_accuracy", "categorical_accuracy"),
    "crossentropy": ("binary_crossentropy", "sparse_categorical_crossentropy", "categorical_crossentropy"),
}
_ABBREVIATIONS = {"acc": "accuracy", "ce": "crossentropy"}


@dataclass(frozen=True)
class Objective:
    """What a model minimizes and measures, in the words of ``keras.Model.compile``.

    ``Objective(loss="sparse_categorical_crossentropy", metrics=["accuracy"])``

    Losses and metrics of your own must be registered (``keras.saving.register_keras_serializable``), so that a run can
    be evaluated and resumed in another process.
    """

    loss: Any
    """A Keras loss, its name, or a function; for a model of several outputs a list or a mapping of them."""
    metrics: Any = None
    """Keras metrics, as ``compile`` takes them."""
    weighted_metrics: Any = None
    """Metrics that count samples by their ``sample_weight``."""
    loss_weights: Any = None
    """Weights of the outputs' losses, for a model of several outputs."""

    @classmethod
    def of_compiled(cls, model: Any) -> "Objective":
        """The objective that a model was compiled with.

        Args:
            model: a compiled ``keras.Model``.

        Raises:
            UserError: it was compiled without a loss, or its ``compile`` is not Keras's own.
        """
        config = model.get_compile_config() or {}
        if not config.get("loss"):
            raise UserError(
                f"the model {model.name!r} is compiled without a loss, expected model.compile(loss=..., metrics=[...]),"
                " or task=tfdl.tasks.Objective(loss=..., metrics=[...])"
            )
        return cls(config["loss"], config.get("metrics"), config.get("weighted_metrics"), config.get("loss_weights"))

    def serialized(self) -> dict[str, Any]:
        """The objective as JSON knows it.

        Raises:
            UserError: a loss or metric that is not registered.
        """
        names = ("loss", "metrics", "weighted_metrics", "loss_weights")
        return {name: to_json(getattr(self, name), f"the objective's {name}") for name in names}

    @classmethod
    def deserialized(cls, values: Mapping[str, Any]) -> "Objective":
        """The inverse of ``serialized``."""
        return cls(**values)


@dataclass
class OutputObjective:
    """The loss and the metrics of one of a model's outputs.

    Args:
        loss: a Keras loss; none for an output that is not trained.
        weight: of the loss.
        metrics: Keras metrics.
        weighted_metrics: metrics that count samples by their weight.
    """

    loss: Any
    weight: float = 1.0
    metrics: list[Any] = field(default_factory=list)
    weighted_metrics: list[Any] = field(default_factory=list)


def resolve(
    objective: Objective, targets: Sequence[tf.TensorSpec], outputs: Sequence[tf.TensorSpec], names: Sequence[str]
) -> list[OutputObjective]:
    """The objective of each output.

    Args:
        objective: of the whole model.
        targets: types of one sample's targets, in the outputs' order.
        outputs: types of one sample's outputs.
        names: the outputs' names.

    Raises:
        UserError: losses or metrics that do not fit the outputs.
    """
    losses = _by_output(objective.loss, names, "loss", shared=True)
    weights = _by_output(objective.loss_weights, names, "loss_weights", shared=False)
    metrics = _by_output(objective.metrics, names, "metrics", shared=len(names) == 1)
    weighted = _by_output(objective.weighted_metrics, names, "weighted_metrics", shared=len(names) == 1)
    resolved = []
    for number, name in enumerate(names):
        target, output = targets[number], outputs[number]
        prefix = f"{name}_" if len(names) > 1 else ""
        resolved.append(
            OutputObjective(
                loss=None if losses[number] is None else _loss(losses[number]),
                weight=1.0 if weights[number] is None else float(weights[number]),
                metrics=_metrics(metrics[number], target, output, prefix),
                weighted_metrics=_metrics(weighted[number], target, output, prefix),
            )
        )
    return resolved


def sample_losses(loss: Any, target: Any, output: Any) -> Any:
    """A Keras loss of each sample, ``(b,)``: the mean over a sample's other axes.

    Args:
        loss: a ``keras.losses.Loss``.
        target: ``(b, ...)``.
        output: ``(b, ...)``.
    """
    target, output = _comparable(target, output)
    values = loss.call(target, output)
    return _sample_means(values)


def metric_values(metric: Any, target: Any, output: Any) -> Any:
    """A mean metric's value of each sample, ``(b,)``.

    Args:
        metric: one for which ``is_mean`` holds.
        target: ``(b, ...)``.
        output: ``(b, ...)``.
    """
    target, output = _comparable(target, output)
    values = metric._fn(target, output, **metric._fn_kwargs)
    return _sample_means(tf.cast(values, output.dtype))


def is_mean(metric: Any) -> bool:
    """Whether a metric is the mean of a function of single samples: then its values are enough to compute it."""
    return isinstance(metric, keras.metrics.MeanMetricWrapper)


def whole_metric(metric: Any, targets: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> float:
    """Any Keras metric of a whole split.

    Args:
        metric: the metric; its state is reset first.
        targets: of all samples.
        outputs: of all samples.
        weights: of all samples, or none.
    """
    metric.reset_state()
    for begin in range(0, len(targets), _UPDATE_ROWS):
        rows = slice(begin, begin + _UPDATE_ROWS)
        metric.update_state(targets[rows], outputs[rows], sample_weight=None if weights is None else weights[rows])
    return float(np.asarray(metric.result()))


def _comparable(target: Any, output: Any) -> tuple[Any, Any]:
    """Both in one number format, of 32 bits at least."""
    if output.dtype.size < tf.float32.size and output.dtype.is_floating:
        output = tf.cast(output, tf.float32)
    if target.dtype.is_floating or target.dtype == tf.bool:
        target = tf.cast(target, output.dtype)
    # As Keras does: targets (b,) beside outputs (b, 1), and the other way round.
    if target.shape.rank == output.shape.rank - 1 and output.shape[-1] == 1:
        target = target[..., tf.newaxis]
    elif target.shape.rank == output.shape.rank + 1 and target.shape[-1] == 1:
        target = target[..., 0]
    return target, output


def _sample_means(values: Any) -> Any:
    rank = values.shape.rank
    return values if rank == 1 else tf.reduce_mean(values, axis=list(range(1, rank)))


def _by_output(value: Any, names: Sequence[str], what: str, *, shared: bool) -> list[Any]:
    """One entry for each output, from one for all, a list, or a mapping by name."""
    if value is None:
        return [None] * len(names)
    is_serialized = isinstance(value, Mapping) and "class_name" in value
    if isinstance(value, Mapping) and not is_serialized:
        unknown = [name for name in value if name not in names]
        if unknown:
            raise UserError(f"{what} names the output {unknown[0]!r}, expected of {', '.join(names)}")
        return [value.get(name) for name in names]
    if shared or (isinstance(value, str) or is_serialized or callable(value)):
        if isinstance(value, list | tuple) and what == "loss" and len(value) == len(names):
            return list(value)
        return [value] * len(names)
    if len(value) != len(names):
        raise UserError(f"{what} has {len(value)} entries, expected one for each output: {', '.join(names)}")
    return list(value)


def _loss(value: Any) -> Any:
    """A ``keras.losses.Loss`` from a loss, a name, a function or its serialized form."""
    try:
        loss = keras.losses.get(value)
    except (ValueError, TypeError) as error:
        raise UserError(f"loss={value!r} is no Keras loss: {error}") from error
    if isinstance(loss, keras.losses.Loss):
        return loss
    return _FunctionLoss(loss)


class _FunctionLoss:
    """A plain function as a loss."""

    def __init__(self, function: Any):
        self._function = function

    def call(self, target: Any, output: Any) -> Any:
        return self._function(target, output)


def _metrics(value: Any, target: tf.TensorSpec, output: tf.TensorSpec, prefix: str) -> list[Any]:
    if value is None:
        return []
    values = list(value) if isinstance(value, list | tuple) else [value]
    metrics = [_metric(item, target, output) for item in values]
    for metric in metrics:
        metric.name = f"{prefix}{metric.name}"
    return metrics


def _metric(value: Any, target: tf.TensorSpec, output: tf.TensorSpec) -> Any:
    """A fresh Keras metric from a metric, a name, a function or its serialized form; a name stays its name."""
    if isinstance(value, keras.metrics.Metric):
        return type(value).from_config(value.get_config())
    identifier = value
    name = _ABBREVIATIONS.get(value, value) if isinstance(value, str) else None
    if name in _BY_SHAPE:
        identifier = _BY_SHAPE[name][_kind(target, output)]
    try:
        metric = keras.metrics.get(identifier)
    except (ValueError, TypeError) as error:
        raise UserError(f"metric {value!r} is no Keras metric: {error}") from error
    if not isinstance(metric, keras.metrics.Metric):
        metric = keras.metrics.MeanMetricWrapper(metric, name=getattr(metric, "__name__", "metric"))
    if isinstance(value, str):
        metric.name = value
    return metric


def _kind(target: tf.TensorSpec, output: tf.TensorSpec) -> int:
    """0 for two classes in one number, 1 for class numbers, 2 for one-hot targets, as Keras decides."""
    if output.shape.rank and output.shape[-1] == 1:
        return 0
    is_sparse = target.shape.rank < output.shape.rank or (target.shape[-1] == 1 and output.shape[-1] > 1)
    return 1 if is_sparse else 2
