"""The task of any inputs and targets, with a Keras loss and Keras metrics, for Python code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import Source
from tfdl.data.objects.splits import signature_of
from tfdl.data.objects.structure import SAMPLE_WEIGHT, SEPARATOR, pick, structure_of
from tfdl.data.opening import open_sources
from tfdl.errors import UserError, in_one_line
from tfdl.json_files import JsonValues
from tfdl.tasks.assets import read_asset
from tfdl.tasks.class_numbers import check_class_numbers
from tfdl.tasks.objective import (
    Objective,
    OutputObjective,
    is_mean,
    metric_values,
    resolve,
    sample_losses,
    whole_metric,
)
from tfdl.tasks.task import Batch, Rows, Task, sample_weights

INPUTS = "x"
TARGETS = "y"
ROLES = (INPUTS, TARGETS)
_ASSET = "supervised.json"
_LOSS_WEIGHT = "loss_weight"


@dataclass(frozen=True)
class _MetricColumn:
    """A metric of one of the outputs."""

    metric: Any
    output: int
    is_weighted: bool

    @property
    def column(self) -> str:
        """The column of rows that the metric is computed from, if it is a mean over samples."""
        return f"metric/{self.metric.name}"

    @property
    def weight_column(self) -> str:
        """The column with the weights of its values; no such column if all samples count the same."""
        return f"metric_weight/{self.metric.name}"


class Supervised(Task):
    """Samples of inputs ``x`` and targets ``y``, of any shape and number.

    As in ``keras.Model.fit``, the loss of a sample is the weighted sum of its outputs' losses, times its
    ``sample_weight`` if it has one. Weights may be one number for each sample or for each value of the loss, and for
    several outputs also a tuple or mapping of such. Masked values of an output count neither in the loss nor in
    metrics that are means. Metrics that are means over samples are also shown while training.

    Args:
        objective: the loss and the metrics.
        signature: the features of one sample by name, without batch axis.
        notes: lines about the data to show when a run starts.
    """

    name = "supervised"
    monitor = "loss"
    larger_is_better = False

    def __init__(self, objective: Objective, signature: Mapping[str, tf.TensorSpec], notes: tuple[str, ...] = ()):
        self.objective = objective
        self.signature = dict(signature)
        self.notes = notes
        names = list(signature)
        self._inputs = structure_of(names, INPUTS)
        self._targets = structure_of(names, TARGETS)
        has_weights = any(name.split(SEPARATOR)[0] == SAMPLE_WEIGHT for name in names)
        self._weights = structure_of(names, SAMPLE_WEIGHT) if has_weights else None
        self._output_names: list[str] = []
        self._output_specs: list[tf.TensorSpec] = []
        self._outputs: list[OutputObjective] = []
        self._metrics: list[_MetricColumn] = []
        self._is_masked = False
        self._mean_weights: list[str] = []
        self.running_metrics = ("loss",)

    @classmethod
    def open(
        cls, config: TrainConfig, assets: Path | None = None, data: Mapping[str, Any] | None = None
    ) -> tuple["Supervised", dict[str, Source]]:
        """The task of a run that has begun before, and its splits; ``open_with`` opens it for a new run.

        Raises:
            UserError: data that cannot be used, or a new run.
        """
        if assets is None:
            raise UserError(
                f"task={cls.name!r} of a new run has no loss; pass it from Python:"
                " tfdl.train(task=tfdl.tasks.Objective(loss=..., metrics=[...]), model=..., data=...)"
            )
        task = cls.load(assets)
        sources = open_sources(config.dataset, ROLES, data)
        signature = signature_of(sources["train"])
        _check_signature(signature, task.signature)
        # The data may have sample weights that the run's data had not.
        return cls(task.objective, signature), sources

    @classmethod
    def open_with(
        cls, objective: Objective, config: TrainConfig, data: Mapping[str, Any] | None
    ) -> tuple["Supervised", dict[str, Source]]:
        """The task and the splits of a new run.

        Args:
            objective: what the model minimizes and measures.
            config: the run.
            data: splits that Python code passed.

        Raises:
            UserError: data that cannot be used, or label smoothing, which a Keras loss has itself.
        """
        if config.label_smoothing:
            raise UserError(
                f"label_smoothing={config.label_smoothing}, expected nothing with a Keras loss; pass it to the loss,"
                f" such as keras.losses.CategoricalCrossentropy(label_smoothing={config.label_smoothing})"
            )
        sources = open_sources(config.dataset, ROLES, data)
        notes: list[str] = []
        for source in sources.values():
            notes += [note for note in getattr(source, "notes", ()) if note not in notes]
        return cls(objective, signature_of(sources["train"]), tuple(notes)), sources

    @classmethod
    def load(cls, assets: Path) -> "Supervised":
        """See ``Task.load``."""
        values = read_asset(assets, _ASSET)
        features = values.section("signature").sections()
        signature = {name: _feature_spec(feature) for name, feature in features.items()}
        return cls(Objective.deserialized(values.raw("objective")), signature)

    def save(self, assets: Path) -> None:
        """See ``Task.save``."""
        signature = {
            name: {"shape": spec.shape.as_list(), "dtype": spec.dtype.name} for name, spec in self.signature.items()
        }
        values = {"objective": self.objective.serialized(), "signature": signature}
        (assets / _ASSET).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @property
    def model_arguments(self) -> dict[str, Any]:
        """None: the model is built already."""
        return {}

    def fit_to(self, model: Any) -> None:
        """Resolves losses and metrics for the model's outputs; called once, when the model is built.

        Args:
            model: the built model.

        Raises:
            UserError: losses or metrics that do not fit the outputs.
        """
        sample = {name: tf.zeros([1, *spec.shape], spec.dtype) for name, spec in self.signature.items()}
        outputs = model(self.inputs(sample), training=False)
        names, flat_outputs = _named(outputs, getattr(model, "output_names", None))
        self._output_names = names
        targets = self._flat_targets(self.signature)
        if len(targets) != len(flat_outputs):
            raise UserError(
                f"the number of the model's outputs is {len(flat_outputs)} and of a sample's targets {len(targets)},"
                " expected the same number"
            )
        if any(spec.dtype == tf.string for spec in targets):
            raise UserError(
                "the targets are texts, expected numbers; give class numbers, such as"
                " numpy.unique(y, return_inverse=True)[1]"
            )
        output_specs = [tf.TensorSpec(output.shape[1:], output.dtype) for output in flat_outputs]
        self._output_specs = output_specs
        self._outputs = resolve(self.objective, targets, output_specs, names)
        self._metrics = []
        for number, output in enumerate(self._outputs):
            self._metrics += [_MetricColumn(metric, number, is_weighted=False) for metric in output.metrics]
            self._metrics += [_MetricColumn(metric, number, is_weighted=True) for metric in output.weighted_metrics]
        columns = self._check_on_sample(sample, outputs)
        means = [entry for entry in self._metrics if is_mean(entry.metric)]
        # The weights of the loss are those of the step. A metric that has others needs their sum.
        self._is_masked = _LOSS_WEIGHT in columns
        with_sum = [entry for entry in means if self._is_masked or entry.weight_column in columns]
        self._mean_weights = [entry.weight_column for entry in with_sum]
        self.running_metrics = ("loss", *(entry.metric.name for entry in means), *self._mean_weights)

    def _check_on_sample(self, sample: Batch, outputs: Any) -> set[str]:
        """Computes the loss and all metrics of one sample: what cannot be computed is an error before the first step.

        Args:
            sample: a batch of one sample.
            outputs: the model's.

        Returns:
            The names of the columns of rows.

        Raises:
            UserError: a loss or a metric fails, or does not return one number for each sample.
        """
        try:
            rows = {name: np.asarray(column) for name, column in self.evaluation_rows(sample, outputs).items()}
            for name, column in rows.items():
                if column.ndim == 0:
                    raise UserError(
                        f"{name.replace('metric/', 'the metric ')} is one number for a whole batch, expected one for"
                        " each sample; take means over all axes but the first, or derive from keras.metrics.Metric"
                    )
            self.metrics(rows)
            return set(rows)
        except UserError:
            raise
        except (TypeError, ValueError, tf.errors.OpError) as error:
            raise UserError(
                "the loss or a metric cannot be computed from a sample's targets and outputs:"
                f" {in_one_line(str(error))}"
            ) from error

    def check_data(self, sources: Mapping[str, Source]) -> None:
        """See ``Task.check_data``; compares class numbers with the number of outputs."""
        target_names = self._flat_targets({name: name for name in self.signature})
        for split, source in sources.items():
            for name, output, spec in zip(target_names, self._outputs, self._output_specs, strict=True):
                check_class_numbers(source, name, output.loss, spec, f"data[{split!r}]")

    def prefers_larger(self, metric: str) -> bool | None:
        """The direction that a Keras metric declares.

        Args:
            metric: the name of a validation metric.
        """
        for entry in self._metrics:
            if entry.metric.name == metric:
                direction = getattr(entry.metric, "_direction", None)
                return None if direction is None else bool(direction == "up")
        return super().prefers_larger(metric)

    def inputs(self, batch: Batch) -> Any:
        """``x`` as it was passed: one array, or a mapping or list of arrays."""
        return pick(self._inputs, batch)

    def losses(self, batch: Batch, outputs: Any) -> tuple[Any, Any]:
        """The loss of each sample, ``(b,)``, and its weight: 1, or the number of its values that are not masked."""
        losses, counts = self._sample_losses(batch, outputs)
        weights = sample_weights(batch, losses.dtype)
        return losses, weights if counts is None else weights * counts

    def running_sums(self, batch: Batch, outputs: Any, losses: Any) -> list[Any]:
        """Sums of the losses and of the mean metrics, and of those weights that are not the loss's."""
        metric_weights = sample_weights(batch, losses.dtype)
        loss_weights = self.losses(batch, outputs)[1] if self._is_masked else metric_weights
        sums = {"loss": tf.reduce_sum(losses * loss_weights)}
        columns = self._metric_columns(batch, outputs)
        for entry in self._metrics:
            if not is_mean(entry.metric):
                continue
            own_weights = metric_weights
            if entry.weight_column in columns:
                own_weights *= tf.cast(columns[entry.weight_column], losses.dtype)
            sums[entry.column] = tf.reduce_sum(tf.cast(columns[entry.column], losses.dtype) * own_weights)
            if entry.weight_column in self._mean_weights:
                sums[entry.weight_column] = tf.reduce_sum(own_weights)
        means = [name for name in sums if name not in self._mean_weights]
        return [sums[name] for name in (*means, *self._mean_weights)]

    def running_values(self, means: dict[str, float]) -> dict[str, float]:
        """The means, each metric divided by its own weights."""
        values = {name: mean for name, mean in means.items() if name not in self._mean_weights}
        for entry in self._metrics:
            if entry.weight_column in self._mean_weights:
                weight = means[entry.weight_column]
                values[entry.metric.name] = means[entry.metric.name] / weight if weight else 0.0
        return values

    def evaluation_rows(self, batch: Batch, outputs: Any) -> dict[str, Any]:
        """The loss and the mean metrics of each sample; its targets and outputs, if another metric needs them."""
        losses, counts = self._sample_losses(batch, outputs)
        rows = {"loss": losses, **self._metric_columns(batch, outputs)}
        if counts is not None:
            rows[_LOSS_WEIGHT] = counts
        flat_outputs = self._flat_outputs(outputs)
        flat_targets = self._flat_targets(batch)
        flat_weights = self._flat_weights(batch)
        for number in {entry.output for entry in self._metrics if not is_mean(entry.metric)}:
            rows[f"target/{number}"] = flat_targets[number]
            rows[f"output/{number}"] = flat_outputs[number]
            if flat_weights[number] is not None:
                rows[f"weight/{number}"] = flat_weights[number]
        return rows

    def metrics(self, rows: Rows) -> dict[str, float]:
        """The mean loss, and all metrics of the objective."""
        metrics = {"loss": _mean(rows["loss"], rows.get(_LOSS_WEIGHT))}
        for entry in self._metrics:
            if is_mean(entry.metric):
                metrics[entry.metric.name] = _mean(rows[entry.column], rows.get(entry.weight_column))
            else:
                targets = rows[f"target/{entry.output}"]
                outputs = rows[f"output/{entry.output}"]
                weights = rows.get(f"weight/{entry.output}") if entry.is_weighted else None
                metrics[entry.metric.name] = whole_metric(entry.metric, targets, outputs, weights)
        return metrics

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs by name: ``x``, or the names of its parts."""
        return {
            _serving_name(name): tf.TensorSpec([None, *spec.shape], spec.dtype, name=_serving_name(name))
            for name, spec in self._input_signature().items()
        }

    def serve(self, model: Any, **inputs: Any) -> dict[str, Any]:
        """The model's outputs by name: ``output`` if there is only one."""
        features = {name: inputs[_serving_name(name)] for name in self._input_signature()}
        outputs = model(pick(self._inputs, features), training=False)
        names, flat_outputs = _named(outputs, getattr(model, "output_names", None))
        if len(flat_outputs) == 1:
            names = ["output"]
        return dict(zip(names, flat_outputs, strict=True))

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Normally distributed values for floating-point inputs, 0 and 1 for all others."""
        generator = np.random.default_rng(seed)
        sample = {}
        for name, spec in self._input_signature().items():
            shape = (count, *spec.shape)
            values = generator.normal(size=shape) if spec.dtype.is_floating else generator.integers(0, 2, shape)
            numpy_dtype = "S" if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
            sample[_serving_name(name)] = values.astype(numpy_dtype)
        return sample

    def _input_signature(self) -> dict[str, tf.TensorSpec]:
        return {name: spec for name, spec in self.signature.items() if name.split("/")[0] == INPUTS}

    def _sample_losses(self, batch: Batch, outputs: Any) -> tuple[Any, Any]:
        """The loss of each sample, and how many of its values count; none if no value is masked.

        Raises:
            UserError: a mask beside several losses, each of which would have weights of its own.
        """
        flat_targets = self._flat_targets(batch)
        flat_outputs = self._flat_outputs(outputs)
        flat_weights = self._flat_weights(batch)
        losses = []
        counts = None
        for number, output in enumerate(self._outputs):
            if output.loss is None:
                continue
            values, counts_of_output = sample_losses(
                output.loss, flat_targets[number], flat_outputs[number], flat_weights[number]
            )
            losses.append(output.weight * values)
            counts = counts if counts_of_output is None else counts_of_output
        if counts is not None and len(losses) > 1:
            raise UserError(
                f"an output has a mask (mask_zero=True, Masking or ignore_class), and {len(losses)} outputs have a"
                " loss; expected one loss; weight the values with sample_weight instead of a mask"
            )
        return tf.add_n(losses), counts

    def _metric_columns(self, batch: Batch, outputs: Any) -> dict[str, Any]:
        """The mean metrics of each sample, and their weights where they have any."""
        flat_targets = self._flat_targets(batch)
        flat_outputs = self._flat_outputs(outputs)
        flat_weights = self._flat_weights(batch)
        columns = {}
        for entry in self._metrics:
            if not is_mean(entry.metric):
                continue
            entry_weights = flat_weights[entry.output] if entry.is_weighted else None
            values, weights = metric_values(
                entry.metric, flat_targets[entry.output], flat_outputs[entry.output], entry_weights
            )
            columns[entry.column] = values
            if weights is not None:
                columns[entry.weight_column] = weights
        return columns

    def _flat_weights(self, features: Mapping[str, Any]) -> list[Any]:
        """The sample weights of each output, in the outputs' order; None without weights.

        Raises:
            UserError: weights of some outputs only, or of others.
        """
        if self._weights is None:
            return [None] * len(self._output_names)
        weights = pick(self._weights, features)
        if isinstance(weights, Mapping):
            if set(weights) != set(self._output_names):
                raise UserError(
                    f"sample_weight has the names {', '.join(weights)}, expected those of the model's outputs:"
                    f" {', '.join(self._output_names)}"
                )
            weights = [weights[name] for name in self._output_names]
        elif not isinstance(weights, list):
            weights = [weights] * len(self._output_names)
        if len(weights) != len(self._output_names) or any(isinstance(part, list | Mapping) for part in weights):
            raise UserError(
                f"sample_weight has {len(weights)} parts, expected one array for all outputs, or one for each of"
                f" {', '.join(self._output_names)}"
            )
        return [_without_last_axis(part) for part in weights]

    def _flat_targets(self, features: Mapping[str, Any]) -> list[Any]:
        """Targets in the outputs' order.

        Raises:
            UserError: several targets have names, and they are not those of the outputs.
        """
        targets = pick(self._targets, features)
        if not isinstance(targets, Mapping):
            return list(tf.nest.flatten(targets))
        if set(targets) == set(self._output_names):
            return [targets[name] for name in self._output_names]
        if len(targets) > 1:
            raise UserError(
                f"the targets have the names {', '.join(targets)}, expected those of the model's outputs:"
                f" {', '.join(self._output_names)}"
            )
        return list(tf.nest.flatten(targets))

    def _flat_outputs(self, outputs: Any) -> list[Any]:
        _, flat = _named(outputs, self._output_names)
        return flat


def _named(outputs: Any, names: Any) -> tuple[list[str], list[Any]]:
    """Names and tensors of a model's outputs."""
    if isinstance(outputs, Mapping):
        return list(outputs), list(outputs.values())
    flat = list(tf.nest.flatten(outputs))
    if not names or len(names) != len(flat):
        names = ["output"] if len(flat) == 1 else [f"output_{number}" for number in range(len(flat))]
    return list(names), flat


def _check_signature(signature: Mapping[str, tf.TensorSpec], expected: Mapping[str, tf.TensorSpec]) -> None:
    """Raises ``UserError`` if inputs or targets differ from those that the run was trained with."""

    def parts(features: Mapping[str, tf.TensorSpec]) -> dict[str, tf.TensorSpec]:
        return {name: spec for name, spec in features.items() if name.split(SEPARATOR)[0] in ROLES}

    if parts(signature).keys() != parts(expected).keys():
        raise UserError(
            f"the data has {', '.join(parts(signature))}, expected what the run was trained with:"
            f" {', '.join(parts(expected))}"
        )
    for name, spec in parts(expected).items():
        received = signature[name]
        are_both_texts = (received.dtype == tf.string) == (spec.dtype == tf.string)
        if not received.shape.is_compatible_with(spec.shape) or not are_both_texts:
            raise UserError(
                f"{name} of the data has the shape {received.shape} and the dtype {received.dtype.name}, expected those"
                f" that the run was trained with: {spec.shape} and {spec.dtype.name}"
            )


def _feature_spec(values: JsonValues) -> tf.TensorSpec:
    """The shape and the dtype of one feature, as a run saved them."""
    shape = values.raw("shape")
    fits = isinstance(shape, list) and all(size is None or (type(size) is int and size >= 0) for size in shape)
    values.require(fits, "shape", shape, "a list of sizes")
    name = values.text("dtype")
    try:
        return tf.TensorSpec(shape, tf.as_dtype(name))
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"the run's data has a feature of shape {shape} and dtype {name!r}: copy it again") from error


def _without_last_axis(weights: Any) -> Any:
    """Weights of ``(b, 1)`` as ``(b,)``: a column of a table."""
    return weights[:, 0] if weights.shape.rank == 2 and weights.shape[-1] == 1 else weights


def _mean(values: np.ndarray, weights: np.ndarray | None) -> float:
    """The mean in float64; 0 if all weights are 0, as Keras has it."""
    if weights is not None and not np.any(weights):
        return 0.0
    return float(np.average(values.astype(np.float64), weights=weights))


def _serving_name(feature: str) -> str:
    """A feature's name as TensorFlow allows it: ``x``, or the names below it."""
    name = feature.removeprefix(f"{INPUTS}/").replace("/", "_")
    return f"{INPUTS}_{name}" if name[:1].isdigit() else name
