"""Keras losses and metrics of every form that ``compile`` takes, or an error before the first step."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.config import TrainConfig
from tfdl.data import ArraySource
from tfdl.errors import UserError
from tfdl.tasks import Objective, Supervised

ROWS = 6


def model_of(*, units: int = 1, outputs: int = 1, axis: bool = True) -> keras.Model:
    """Outputs ``first``, ``second``, ...; without ``axis`` one number a sample, ``(b,)``."""
    inputs = keras.Input([3])
    names = ("first", "second")[:outputs]
    values = [keras.layers.Dense(units, name=name)(inputs) for name in names]
    if not axis:
        values = [keras.layers.Reshape(())(value) for value in values]
    return keras.Model(inputs, values if outputs > 1 else values[0])


def task_of(objective: Objective, model: keras.Model, **targets: Any) -> Supervised:
    """The task, fitted to the model; by default there is one target for each sample, ``(b, 1)``."""
    targets = targets or {"y": tf.TensorSpec([1], tf.float32)}
    task = Supervised(objective, {"x": tf.TensorSpec([3], tf.float32), **targets})
    task.fit_to(model)
    return task


def evaluated(task: Supervised, model: keras.Model, **targets: Any) -> dict[str, float]:
    batch = {"x": tf.constant(np.random.default_rng(0).normal(size=(ROWS, 3)), tf.float32)}
    batch |= {name: tf.constant(value) for name, value in targets.items()}
    rows = task.evaluation_rows(batch, model(batch["x"]))
    return task.metrics({name: np.asarray(column) for name, column in rows.items()})


@keras.saving.register_keras_serializable(package="test_objective")
class SquaredDifference(keras.losses.Loss):
    """Subtracts a target from an output, so both must have one type."""

    def call(self, target: Any, output: Any) -> Any:
        return tf.reduce_mean(tf.square(target - output), -1)


def test_a_loss_of_the_user_gets_whole_numbers_as_keras_gives_them() -> None:
    model = model_of()
    task = task_of(Objective(SquaredDifference()), model, y=tf.TensorSpec([1], tf.int64))
    targets = np.arange(ROWS)[:, None]
    reference = evaluated(task_of(Objective("mse"), model), model, y=targets.astype(np.float32))
    assert evaluated(task, model, y=targets) == reference


def test_outputs_without_an_axis_have_a_loss_for_each_sample() -> None:
    flat = model_of(axis=False)
    whole = model_of()
    whole.set_weights(flat.get_weights())
    objective = Objective("mse", metrics=["accuracy", "mae"])
    targets = np.array([0, 1, 1, 0, 1, 0], np.float32)
    task = task_of(objective, flat, y=tf.TensorSpec([], tf.float32))
    reference = evaluated(task_of(objective, whole), whole, y=targets[:, None])
    assert evaluated(task, flat, y=targets) == pytest.approx(reference)


@pytest.mark.parametrize(
    ("metrics", "weighted_metrics", "names"),
    [
        (["mae"], ["mae"], ["mae", "weighted_mae"]),
        (["mae", "mae"], None, ["mae", "mae_1"]),
        (["mae"], ["mae", "mae"], ["mae", "weighted_mae", "weighted_mae_1"]),
        ([keras.metrics.MeanAbsoluteError(name="loss")], None, ["loss_1"]),
    ],
)
def test_metrics_of_one_name_are_told_apart_as_keras_does(metrics: Any, weighted_metrics: Any, names: Any) -> None:
    model = model_of()
    task = task_of(Objective("mse", metrics, weighted_metrics), model)
    assert task.running_metrics == ("loss", *names)
    values = evaluated(task, model, y=np.ones((ROWS, 1), np.float32))
    assert list(values) == ["loss", *names]
    batch = {"x": tf.ones([ROWS, 3]), "y": tf.ones([ROWS, 1])}
    outputs = model(batch["x"])
    losses, _ = task.losses(batch, outputs)
    assert len(task.running_sums(batch, outputs, losses)) == len(task.running_metrics)


def test_metrics_of_several_outputs_have_the_outputs_names() -> None:
    model = model_of(outputs=2)
    specs = {"y/0": tf.TensorSpec([1], tf.float32), "y/1": tf.TensorSpec([1], tf.float32)}
    task = task_of(Objective("mse", metrics=["mae", "mse"], weighted_metrics=["mae", None]), model, **specs)
    assert task.running_metrics == ("loss", "first_mae", "first_weighted_mae", "second_mse")


def test_without_any_weight_a_weighted_metric_is_0_as_in_keras() -> None:
    model = model_of()
    weight = tf.TensorSpec([], tf.float32)
    task = task_of(
        Objective("mse", weighted_metrics=["mae"]), model, y=tf.TensorSpec([1], tf.float32), sample_weight=weight
    )
    values = evaluated(task, model, y=np.ones((ROWS, 1), np.float32), sample_weight=np.zeros(ROWS, np.float32))
    assert values == {"loss": 0.0, "mae": 0.0}


def test_one_loss_weight() -> None:
    model = model_of()
    targets = np.ones((ROWS, 1), np.float32)
    plain = evaluated(task_of(Objective("mse"), model), model, y=targets)
    doubled = evaluated(task_of(Objective("mse", loss_weights=2.0), model), model, y=targets)
    assert doubled["loss"] == pytest.approx(2.0 * plain["loss"])


def mean_of_everything(target: Any, output: Any) -> Any:
    return tf.reduce_mean(tf.abs(target - output))


@pytest.mark.parametrize(
    ("objective", "units", "message"),
    [
        (Objective(None), 1, "loss=None, expected a loss for at least one output: first"),
        (Objective({"first": None}), 1, "expected a loss for at least one output: first"),
        (Objective({"other": "mse"}), 1, "loss names the output 'other', expected one of first"),
        (Objective("msse"), 1, "loss='msse' is not a Keras loss"),
        (Objective("mse", metrics=[5]), 1, "metric 5 is not a Keras metric"),
        (Objective(["mse", "mse"]), 1, "loss has 2 entries, expected one for each output: first"),
        (Objective("mse", loss_weights=["heavy"]), 1, "loss_weights has 'heavy', expected a number"),
        (Objective(keras.losses.MeanSquaredError(reduction="sum")), 1, "'mean_squared_error' has reduction='sum'"),
        (
            Objective(keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")),
            1,
            "'mean_squared_error' has reduction='mean_with_sample_weight', expected 'sum_over_batch_size'",
        ),
        (Objective("mse", metrics=[keras.metrics.F1Score()]), 3, "the metric 'f1_score' has several results"),
        (Objective("mse", metrics=[keras.metrics.Precision([0.2, 0.5])]), 1, "the metric 'precision' has several"),
        (Objective("mse", metrics=[mean_of_everything]), 1, "the metric mean_of_everything is one number for a whole"),
        (Objective(mean_of_everything), 1, "loss is one number for a whole batch, expected one for each sample"),
        (Objective("mse"), 2, "cannot be computed from a sample's targets and outputs: .*ncompatible shapes"),
        (Objective("mse", metrics=[keras.metrics.Mean()]), 1, "cannot be computed from a sample's targets and outputs"),
    ],
)
def test_what_cannot_be_computed_is_an_error_before_the_first_step(objective: Any, units: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        task_of(objective, model_of(units=units), y=tf.TensorSpec([3 if units > 1 else 1], tf.float32))


def test_named_targets_are_those_of_the_outputs() -> None:
    specs = {"y/a": tf.TensorSpec([1], tf.float32), "y/b": tf.TensorSpec([1], tf.float32)}
    with pytest.raises(UserError, match=r"the targets have the names a, b, expected those of the .* first, second"):
        task_of(Objective("mse"), model_of(outputs=2), **specs)


def test_a_new_run_needs_an_objective_and_label_smoothing_belongs_to_its_loss() -> None:
    with pytest.raises(UserError, match=r"task='supervised' of a new run has no loss; pass it from Python: tfdl\."):
        Supervised.open(TrainConfig(task="supervised"))
    config = TrainConfig(task="supervised", label_smoothing=0.1)
    with pytest.raises(UserError, match=r"label_smoothing=0\.1, expected nothing with a Keras loss; pass it to"):
        Supervised.open_with(Objective("mse"), config, None)


def test_a_keras_model_or_optimizer_is_not_chosen_by_name() -> None:
    with pytest.raises(UserError, match=r"optimizer\.serialized=\{\}, expected a Keras optimizer, which Python code"):
        TrainConfig(optimizer="keras")


@pytest.mark.parametrize("wrong", [-1, 3])
@pytest.mark.parametrize(
    "loss", ["sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy(from_logits=True)]
)
def test_class_numbers_are_those_of_the_outputs(loss: Any, wrong: int) -> None:
    task = task_of(Objective(loss), model_of(units=3), y=tf.TensorSpec([], tf.int64))
    x = np.zeros((4, 3), np.float32)
    task.check_data({"train": ArraySource({"x": x, "y": np.array([0, 1, 2, 2])})})
    sources = {"test": ArraySource({"x": x, "y": np.array([0, 1, wrong, 2])})}
    with pytest.raises(
        UserError, match=rf"y of data\['test'\] has the class number {wrong}, but the model has 3 outputs"
    ):
        task.check_data(sources)


def test_an_ignored_class_needs_no_output() -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    task = task_of(Objective(loss), model_of(units=3), y=tf.TensorSpec([], tf.int64))
    task.check_data({"train": ArraySource({"x": np.zeros((2, 3), np.float32), "y": np.array([0, 255])})})
