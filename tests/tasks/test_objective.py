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


STEPS = 4


def sequence_model(*, masked: bool) -> keras.Model:
    tokens = keras.Input([STEPS], dtype="int32")
    hidden = keras.layers.Embedding(5, 3, mask_zero=masked)(tokens)
    return keras.Model(tokens, keras.layers.Dense(2)(hidden))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weight_shape", [None, (), (1,), (STEPS,)])
@pytest.mark.parametrize("ignored", [None, 1])
def test_masks_and_weights_mean_what_they_mean_in_keras(masked: bool, weight_shape: Any, ignored: Any) -> None:
    generator = np.random.default_rng(0)
    batch = {"x": generator.integers(0, 5, (ROWS, STEPS)), "y": generator.integers(0, 2, (ROWS, STEPS))}
    signature = {"x": tf.TensorSpec([STEPS], tf.int64), "y": tf.TensorSpec([STEPS], tf.int64)}
    if weight_shape is not None:
        batch["sample_weight"] = generator.uniform(size=(ROWS, *weight_shape)).astype(np.float32)
        signature["sample_weight"] = tf.TensorSpec(weight_shape, tf.float32)
    model = sequence_model(masked=masked)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignored)
    metrics = ["sparse_categorical_accuracy"]
    task = Supervised(Objective(loss, metrics, metrics), signature)
    task.fit_to(model)
    batch = {name: tf.constant(value) for name, value in batch.items()}
    outputs = model(batch["x"])
    values = task.metrics({name: np.asarray(rows) for name, rows in task.evaluation_rows(batch, outputs).items()})

    weights = batch.get("sample_weight")
    if weights is not None and weights.shape.rank == 1:
        weights = weights[:, tf.newaxis]  # Keras cannot join a mask and weights of one axis
    assert values["loss"] == pytest.approx(float(loss(batch["y"], outputs, weights)), rel=1e-5)
    for name, metric_weights in (("", None), ("weighted_", weights)):
        metric = keras.metrics.SparseCategoricalAccuracy()
        metric.update_state(batch["y"], outputs, metric_weights)
        assert values[f"{name}{metrics[0]}"] == pytest.approx(float(metric.result()), rel=1e-5)

    # The running means of one batch are the same.
    losses, loss_weights = task.losses(batch, outputs)
    sums = task.running_sums(batch, outputs, losses)
    total = float(tf.reduce_sum(loss_weights))
    means = {name: float(value) / total for name, value in zip(task.running_metrics, sums, strict=True)}
    assert task.running_values(means) == pytest.approx(values, rel=1e-5)


def test_weights_of_another_shape_are_refused() -> None:
    signature = {name: tf.TensorSpec([STEPS], tf.int64) for name in ("x", "y")}
    signature["sample_weight"] = tf.TensorSpec([3], tf.float32)
    task = Supervised(Objective(keras.losses.SparseCategoricalCrossentropy(from_logits=True)), signature)
    with pytest.raises(UserError, match=r"sample_weight of a sample has the shape \(3,\), and the values .*\(4,\)"):
        task.fit_to(sequence_model(masked=False))


@pytest.mark.parametrize(
    "names", [("sample_weight/0", "sample_weight/1"), ("sample_weight/second", "sample_weight/first")]
)
def test_each_output_may_have_its_own_weights(names: Any) -> None:
    model = model_of(outputs=2)
    number = tf.TensorSpec([1], tf.float32)
    targets = {"y/0": np.ones((ROWS, 1), np.float32), "y/1": np.zeros((ROWS, 1), np.float32)}
    specs = {**dict.fromkeys(targets, number), **dict.fromkeys(names, tf.TensorSpec([], tf.float32))}
    task = task_of(Objective("mse", weighted_metrics=[["mae"], ["mae"]]), model, **specs)
    plain = evaluated(
        task_of(Objective("mse", [["mae"], ["mae"]]), model, **dict.fromkeys(targets, number)), model, **targets
    )
    weights = {names[0]: np.zeros(ROWS, np.float32), names[1]: np.full(ROWS, 2.0, np.float32)}
    values = evaluated(task, model, **targets, **weights)
    last = "second" if names[1].endswith("1") else "first"
    single = keras.Model(model.inputs, model.get_layer(last).output)
    target = targets["y/1" if last == "second" else "y/0"]
    assert values["loss"] == pytest.approx(2.0 * evaluated(task_of(Objective("mse"), single), single, y=target)["loss"])
    assert values[f"{last}_mae"] == pytest.approx(plain[f"{last}_mae"])
    with pytest.raises(UserError, match="sample_weight has 1 parts, expected one array for all outputs, or one for"):
        task_of(Objective("mse"), model, **dict.fromkeys(targets, number), **{"sample_weight/0": tf.TensorSpec([])})


def test_a_mask_beside_several_losses_is_refused() -> None:
    model = sequence_model(masked=True)
    both = keras.Model(model.inputs, [model.outputs[0], keras.layers.Dense(2)(model.outputs[0])])
    specs = {name: tf.TensorSpec([STEPS], tf.int64) for name in ("x", "y/0", "y/1")}
    objective = Objective(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(UserError, match=r"an output has a mask .*, and 2 outputs have a loss; expected one loss"):
        Supervised(objective, specs).fit_to(both)


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


@keras.saving.register_keras_serializable(package="test_objective")
class Scaled(keras.losses.Loss):
    """Its configuration lacks the factor."""

    def __init__(self, factor: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, target: Any, output: Any) -> Any:
        return self.factor * tf.reduce_mean(tf.square(target - output), -1)


@keras.saving.register_keras_serializable(package="test_objective")
class Threshold(keras.metrics.Metric):
    """Its configuration lacks the threshold, which it has no attribute for."""

    def __init__(self, threshold: float, name: str = "threshold", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.limit = threshold


@keras.saving.register_keras_serializable(package="test_objective")
class OwnCall(SquaredDifference):
    def __call__(self, target: Any, output: Any, sample_weight: Any = None) -> Any:  # noqa: ARG002
        return 7.0 * tf.reduce_mean(tf.square(target - output))


def test_an_argument_that_would_be_lost_is_refused() -> None:
    lacks = r"the objective's loss has a Scaled, whose get_config\(\) lacks its argument 'factor'; return"
    with pytest.raises(UserError, match=lacks):
        Objective(Scaled(100.0)).serialized()
    Objective({"first": Scaled()}).serialized()  # nothing is lost
    model = model_of()
    model.compile(loss=Scaled(100.0))
    with pytest.raises(UserError, match=lacks):
        Objective.of_compiled(model).serialized()
    with pytest.raises(UserError, match=r"the objective's metrics has a Threshold that cannot be rebuilt: .*threshold"):
        Objective("mse", metrics=["mae", Threshold(0.9)]).serialized()


def test_a_loss_that_overrides_call_of_keras_is_refused() -> None:
    with pytest.raises(UserError, match="the loss 'own' of the class OwnCall overrides __call__, which tfdl does not"):
        task_of(Objective(OwnCall(name="own")), model_of())


def test_a_changed_file_imports_no_module() -> None:
    objective = Objective({"first": keras.losses.Huber(0.5)}, ["mae", keras.metrics.AUC()], loss_weights=[2.0])
    written = objective.serialized()
    assert Objective.deserialized(written).serialized() == written
    for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
        entry = {"module": "keras_cv", "class_name": "Thing", "config": {}, "registered_name": None}
        with pytest.raises(UserError, match=f"the objective's {name} uses the class 'Thing' of 'keras_cv'"):
            Objective.deserialized({**written, name: [entry]})
