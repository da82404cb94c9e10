"""Keras losses and metrics, computed exactly over any number of ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.serialization import check_config, from_json, to_json

# Samples in one update of a metric that is computed from gathered rows.
_UPDATE_ROWS = 8192
# What "accuracy" and "crossentropy" mean, by the shapes of targets and outputs.
_BY_SHAPE = {
    "accuracy": ("binary_accuracy", "sparse_categorical_accuracy", "categorical_accuracy"),
    "crossentropy": ("binary_crossentropy", "sparse_categorical_crossentropy", "categorical_crossentropy"),
}
_FIELDS = ("loss", "metrics", "weighted_metrics", "loss_weights")
_ABBREVIATIONS = {"acc": "accuracy", "ce": "crossentropy"}


@dataclass(frozen=True)
class Objective:
    """What a model minimizes and measures, with the arguments of ``keras.Model.compile``.

    ``Objective(loss="sparse_categorical_crossentropy", metrics=["accuracy"])``

    Losses and metrics of your own must be registered (``keras.saving.register_keras_serializable``), so that a run can
    be evaluated and resumed in another process.
    """

    loss: Any
    """A Keras loss, its name, or a function; for a model of several outputs a list or a mapping of them."""
    metrics: Any = None
    """Keras metrics, as ``compile`` takes them."""
    weighted_metrics: Any = None
    """Metrics that weight samples by their ``sample_weight``."""
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
        # The objects themselves, not their configurations, which may lack what they compute with.
        compiled = getattr(model, "_compile_config", None)
        config = {} if compiled is None else compiled.config
        if not config.get("loss"):
            raise UserError(
                f"the model {model.name!r} is compiled without a loss, expected model.compile(loss=..., metrics=[...]),"
                " or task=tfdl.tasks.Objective(loss=..., metrics=[...])"
            )
        return cls(config["loss"], config.get("metrics"), config.get("weighted_metrics"), config.get("loss_weights"))

    def serialized(self) -> dict[str, Any]:
        """The objective as plain data, for JSON.

        Raises:
            UserError: a loss or metric that is not registered, or whose configuration lacks an argument.
        """
        for name in _FIELDS:
            for value in keras.tree.flatten(getattr(self, name)):
                check_config(value, _what(name))
        return {name: to_json(getattr(self, name), _what(name)) for name in _FIELDS}

    @classmethod
    def deserialized(cls, values: Mapping[str, Any]) -> "Objective":
        """The inverse of ``serialized``.

        Args:
            values: plain data, perhaps of a file that somebody changed.

        Raises:
            UserError: a class or function that is not registered in this process.
        """
        missing = [name for name in _FIELDS if not isinstance(values, Mapping) or name not in values]
        if missing:
            raise UserError(f"the objective has no {missing[0]}, expected what a run saved; copy the run again")
        return cls(**{name: from_json(values[name], _what(name)) for name in _FIELDS})


def _what(field_name: str) -> str:
    return f"the objective's {field_name}"


@dataclass
class OutputObjective:
    """The loss and the metrics of one of a model's outputs.

    Args:
        loss: a Keras loss; none for an output that is not trained.
        weight: of the loss.
        metrics: Keras metrics.
        weighted_metrics: metrics that weight samples by their ``sample_weight``.
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
    # A list of losses or weights has one entry for each output. A list of metrics has one entry for each output if
    # there are several, and is the list of all metrics if there is one.
    is_list_for_one = len(names) == 1
    losses = _by_output(objective.loss, names, "loss")
    weights = _by_output(objective.loss_weights, names, "loss_weights")
    metrics = _by_output(objective.metrics, names, "metrics", is_list_for_one=is_list_for_one)
    weighted = _by_output(objective.weighted_metrics, names, "weighted_metrics", is_list_for_one=is_list_for_one)
    if all(loss is None for loss in losses):
        raise UserError(f"loss={objective.loss!r}, expected a loss for at least one output: {', '.join(names)}")
    resolved = [
        OutputObjective(
            loss=_loss(losses[number]),
            weight=_loss_weight(weights[number]),
            metrics=_metrics(metrics[number], targets[number], outputs[number]),
            weighted_metrics=_metrics(weighted[number], targets[number], outputs[number]),
        )
        for number in range(len(names))
    ]
    _name_metrics(resolved, names)
    return resolved


def sample_losses(loss: Any, target: Any, output: Any, sample_weight: Any = None) -> tuple[Any, Any]:
    """A Keras loss of each sample, ``(b,)``: the mean over a sample's other axes, without masked values.

    As in Keras, the mask is that of the output, and that of the loss's values (``ignore_class``).

    Args:
        loss: a ``keras.losses.Loss``.
        target: ``(b, ...)``.
        output: ``(b, ...)``.
        sample_weight: ``(b,)``, or one weight for each value of the loss; none without.

    Returns:
        The losses, and how many values of each sample count, ``(b,)``; none without a mask, where all count.

    Raises:
        UserError: weights or a mask of another shape than the loss.
    """
    mask = keras_mask(output)
    target, output = _comparable(target, output)
    # As Keras does: a loss of the user may subtract one from the other.
    values = loss.call(tf.cast(target, output.dtype), output)
    mask = _product(mask, keras_mask(values), tf.bool)
    if values.shape.rank == 0:
        return values, None
    if sample_weight is not None:
        values *= _aligned(tf.cast(sample_weight, values.dtype), values, "sample_weight")
    if mask is None:
        return _sample_means(values), None
    kept = tf.broadcast_to(_aligned(tf.cast(mask, values.dtype), values, "the mask"), tf.shape(values))
    sample_axes = list(range(1, values.shape.rank))
    counts = tf.reduce_sum(kept, sample_axes)
    return tf.math.divide_no_nan(tf.reduce_sum(values * kept, sample_axes), counts), counts


def metric_values(metric: Any, target: Any, output: Any, sample_weight: Any = None) -> tuple[Any, Any]:
    """A mean metric's value of each sample, ``(b,)``, and its weight.

    Args:
        metric: one for which ``is_mean`` holds.
        target: ``(b, ...)``.
        output: ``(b, ...)``. As in Keras, masked values do not count.
        sample_weight: ``(b,)``, or one weight for each value of the metric; none without.

    Returns:
        The values, and their weights, ``(b,)``; none where all samples have the same weight.

    Raises:
        UserError: weights or a mask of another shape than the metric's values.
    """
    mask = keras_mask(output)
    target, output = _comparable(target, output)
    values = metric._fn(target, output, **metric._fn_kwargs)
    if sample_weight is not None or mask is not None:
        # Keras reads the mask of a metric's values only beside other weights.
        mask = _product(mask, keras_mask(values), tf.bool)
    values = tf.cast(values, output.dtype)
    if values.shape.rank == 0 or (sample_weight is None and mask is None):
        return _sample_means(values), None
    if mask is None and sample_weight.shape.rank == 1:
        return _sample_means(values), tf.cast(sample_weight, values.dtype)
    if sample_weight is not None:
        sample_weight = _aligned(tf.cast(sample_weight, values.dtype), values, "sample_weight")
    if mask is not None:
        mask = _aligned(tf.cast(mask, values.dtype), values, "the mask")
    weights = tf.broadcast_to(_product(sample_weight, mask, values.dtype), tf.shape(values))
    means = _sample_means(weights)
    return tf.math.divide_no_nan(_sample_means(values * weights), means), means


def keras_mask(value: Any) -> Any:
    """The mask that Keras keeps with a tensor, such as the output of a layer after ``Embedding(mask_zero=True)``.

    Args:
        value: a tensor.

    Returns:
        A boolean tensor, or None.
    """
    return getattr(value, "_keras_mask", None)


def _product(first: Any, second: Any, dtype: Any) -> Any:
    """The product of two factors (of masks: both), each of which may be None."""
    if first is None or second is None:
        return second if first is None else first
    if dtype == tf.bool:
        return tf.cast(first, tf.bool) & tf.cast(second, tf.bool)
    return first * second


def _aligned(weights: Any, values: Any, what: str) -> Any:
    """Weights with as many axes as the values that they weight.

    Args:
        weights: ``(b,)``, ``(b, 1)``, or of the values' shape.
        values: ``(b, ...)``.
        what: the weights, for messages.

    Raises:
        UserError: weights of any other shape.
    """
    shape = weights.shape
    rank = values.shape.rank
    if shape.rank == rank + 1 and shape[-1] == 1:
        weights = tf.squeeze(weights, -1)
    elif shape.rank == 1 or (shape.rank < rank and all(size == 1 for size in values.shape[shape.rank :])):
        weights = tf.reshape(weights, tf.concat([tf.shape(weights), tf.ones([rank - shape.rank], tf.int32)], 0))
    fits = weights.shape.rank == rank
    for size, expected in zip(weights.shape[1:], values.shape[1:], strict=False):
        fits = fits and (size in (1, None) or expected in (size, None))
    if not fits:
        raise UserError(
            f"{what} of a sample has the shape {tuple(shape[1:])}, and the values of its loss or metric"
            f" {tuple(values.shape[1:])}; expected one number, or the shape of the values"
        )
    return weights


def is_mean(metric: Any) -> bool:
    """Whether a metric is the mean over samples of a function of one sample: then one value a sample is enough."""
    wrapper = keras.metrics.MeanMetricWrapper
    if not isinstance(metric, wrapper):
        return False
    # A class of the user may compute something else.
    kind = type(metric)
    return kind.update_state is wrapper.update_state and kind.result is wrapper.result


def takes_class_numbers(loss: Any) -> bool:
    """Whether the targets of a loss are class numbers, and not a value for each class.

    Args:
        loss: of ``OutputObjective``.
    """
    if isinstance(loss, _FunctionLoss):
        return loss.function is keras.losses.sparse_categorical_crossentropy
    return isinstance(loss, keras.losses.SparseCategoricalCrossentropy)


def whole_metric(metric: Any, targets: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> float:
    """Any Keras metric of a whole split.

    Args:
        metric: the metric; its state is reset first.
        targets: of all samples.
        outputs: of all samples.
        weights: of all samples, or none.

    Raises:
        UserError: the metric's result is not one number.
    """
    metric.reset_state()
    for begin in range(0, len(targets), _UPDATE_ROWS):
        rows = slice(begin, begin + _UPDATE_ROWS)
        row_weights = None if weights is None else weights[rows]
        metric.update_state(targets[rows], outputs[rows], sample_weight=row_weights)
    result = metric.result()
    if isinstance(result, Mapping) or np.ndim(result) != 0:
        raise UserError(
            f"the metric {metric.name!r} has several results, expected one number; choose how they are averaged, such"
            " as keras.metrics.F1Score(average='macro')"
        )
    return float(np.asarray(result))


def _comparable(target: Any, output: Any) -> tuple[Any, Any]:
    """Both in one number format, of at least 32 bits, and with at least one axis besides the samples'."""
    if output.dtype.size < tf.float32.size and output.dtype.is_floating:
        output = tf.cast(output, tf.float32)
    if target.dtype.is_floating or target.dtype == tf.bool:
        target = tf.cast(target, output.dtype)
    # As Keras does: targets (b,) beside outputs (b, 1), and the other way round.
    if target.shape.rank == output.shape.rank - 1 and output.shape[-1] == 1:
        target = target[..., tf.newaxis]
    elif target.shape.rank == output.shape.rank + 1 and target.shape[-1] == 1:
        target = target[..., 0]
    if target.shape.rank == output.shape.rank == 1:
        # Keras's losses and metrics take the mean over the last axis, which must not be the samples'.
        target = target[:, tf.newaxis]
        output = output[:, tf.newaxis]
    return target, output


def _sample_means(values: Any) -> Any:
    rank = values.shape.rank
    return values if rank == 1 else tf.reduce_mean(values, axis=list(range(1, rank)))


def _by_output(value: Any, names: Sequence[str], what: str, *, is_list_for_one: bool = False) -> list[Any]:
    """One entry for each output, from one for all, a list, or a mapping by name.

    Args:
        value: as ``compile`` takes it.
        names: the outputs' names.
        what: the argument of ``compile``, for messages.
        is_list_for_one: whether a list is one entry, rather than one entry for each output.
    """
    if value is None:
        return [None] * len(names)
    is_serialized = isinstance(value, Mapping) and "class_name" in value
    if isinstance(value, Mapping) and not is_serialized:
        for name in value:
            if name not in names:
                raise UserError(f"{what} names the output {name!r}, expected one of {', '.join(names)}")
        return [value.get(name) for name in names]
    if is_list_for_one or not isinstance(value, list | tuple):
        return [value] * len(names)
    if len(value) != len(names):
        raise UserError(f"{what} has {len(value)} entries, expected one for each output: {', '.join(names)}")
    return list(value)


def _loss(value: Any) -> Any:
    """A ``keras.losses.Loss`` from a loss, a name, a function or its serialized form; none for an output without."""
    if value is None:
        return None
    try:
        loss = keras.losses.get(value)
    except (ValueError, TypeError) as error:
        raise UserError(f"loss={value!r} is not a Keras loss: {error}") from error
    if not isinstance(loss, keras.losses.Loss):
        return _FunctionLoss(loss)
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        raise UserError(
            f"the loss {loss.name!r} of the class {type(loss).__name__} overrides __call__, which tfdl does not call;"
            " override call, which returns one number for each sample"
        )
    if loss.reduction in ("sum", "mean_with_sample_weight"):
        raise UserError(
            f"the loss {loss.name!r} has reduction={loss.reduction!r}, expected 'sum_over_batch_size': a step minimizes"
            " the mean over all samples; scale the learning rate or the sample weights instead"
        )
    return loss


def _loss_weight(value: Any) -> float:
    if value is None:
        return 1.0
    try:
        return float(value)
    except (ValueError, TypeError) as error:
        raise UserError(f"loss_weights has {value!r}, expected a number") from error


def _name_metrics(resolved: Sequence[OutputObjective], names: Sequence[str]) -> None:
    """Gives each metric a name of its own, as Keras does."""
    prefixes = [f"{name}_" if len(names) > 1 else "" for name in names]
    taken = {"loss"}
    for prefix, output in zip(prefixes, resolved, strict=True):
        for metric in output.metrics:
            metric.name = _free_name(f"{prefix}{metric.name}", taken)
    for prefix, output in zip(prefixes, resolved, strict=True):
        for metric in output.weighted_metrics:
            name = f"{prefix}{metric.name}"
            if name in taken:
                name = f"{prefix}weighted_{metric.name}"
            metric.name = _free_name(name, taken)


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or with the first number that makes it new; it is taken from then on."""
    free = name
    number = 0
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


class _FunctionLoss:
    """A plain function as a loss."""

    def __init__(self, function: Any):
        self.function = function

    def call(self, target: Any, output: Any) -> Any:
        return self.function(target, output)


def _metrics(value: Any, target: tf.TensorSpec, output: tf.TensorSpec) -> list[Any]:
    if value is None:
        return []
    values = value if isinstance(value, list | tuple) else [value]
    return [_metric(item, target, output) for item in values]


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
        raise UserError(f"metric {value!r} is not a Keras metric: {error}") from error
    if not isinstance(metric, keras.metrics.Metric):
        metric = keras.metrics.MeanMetricWrapper(metric, name=getattr(metric, "__name__", "metric"))
    if isinstance(value, str):
        metric.name = value
    return metric


def _kind(target: tf.TensorSpec, output: tf.TensorSpec) -> int:
    """0 for two classes in one number, 1 for class numbers, 2 for one-hot targets, as Keras decides."""
    if output.shape.rank == 0 or output.shape[-1] == 1:
        return 0
    is_sparse = target.shape.rank < output.shape.rank or target.shape[-1] == 1
    return 1 if is_sparse else 2
