"""``tfdl.train(model=...)``: a user's Keras model with tfdl's loop, checkpoints, evaluation and export."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import tfdl
from tests.distributed.launching import environment, launch, program
from tfdl.config import TASKS
from tfdl.runs import RunDirectory, load_run
from tfdl.tasks import ImageClassification, Objective, TextClassification
from tfdl.training.python_parts import PythonParts

KINDS = ("subclassed",)  # the harder: rebuilding it needs its class; tests below train sequential models


def alone(kind: str, output: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [*program("own_keras_model"), kind, str(output), *options]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def result(text: str) -> dict[str, Any]:
    return json.loads(text.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Each kind, trained alone and never stopped."""
    runs = {}
    for kind in KINDS:
        path = tmp_path_factory.mktemp(kind) / "run"
        done = alone(kind, path)
        assert done.returncode == 0, done.stderr
        runs[kind] = (path, result(done.stdout))
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_and_plateau_do_what_they_do_in_fit(straight, kind):
    path, found = straight[kind]
    summary = found["summary"]
    ((stopped_epoch, best_epoch, best, _),) = found["decisions"]
    epochs = [row for row in map(json.loads, (path / "metrics.jsonl").open()) if row["kind"] == "epoch"]
    assert summary["epochs"] == len(epochs) == stopped_epoch + 1 < 12
    losses = [row["validation"]["loss"] for row in epochs]
    assert losses[best_epoch] == pytest.approx(best)
    # The best weights are the final ones, of the summary and of the last checkpoint.
    assert summary["validation"]["loss"] == losses[best_epoch]
    rates = [row["learning_rate"] for row in map(json.loads, (path / "metrics.jsonl").open()) if row["kind"] == "steps"]
    assert rates[0] == 0.5
    assert rates[-1] < 0.5
    assert summary["test"]["accuracy"] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_it_has_the_same_bits(straight, tmp_path, kind):
    _, expected = straight[kind]
    killed = alone(kind, tmp_path / "run", "--die-at", "2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = alone(kind, tmp_path / "run", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    found = result(resumed.stdout)
    assert found["summary"]["weights_sha256"] == expected["summary"]["weights_sha256"]
    assert found["decisions"] == expected["decisions"]
    assert found["summary"]["test"] == expected["summary"]["test"]


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_train_what_one_trains(straight, tmp_path, kind):
    path, expected = straight[kind]
    job = launch(2, *program("own_keras_model"), kind, str(tmp_path / "run"))
    assert job.code == 0, job.output
    found = result(job.lines_of(0)[-1])
    assert found["decisions"][0] == found["decisions"][1]
    assert found["decisions"][0][:2] == expected["decisions"][0][:2]
    rows = (tmp_path / "run.csv").read_text().splitlines()
    assert len(rows) == 1 + found["summary"]["epochs"]
    writers = {path.parent.name for path in (tmp_path / "run-tensorboard").rglob("events*")}
    assert writers == {"train", "validation"}
    assert len(list((tmp_path / "run-tensorboard" / "validation").iterdir())) == 1
    one = load_file(path / "checkpoints" / "last" / "model.safetensors")
    two = load_file(tmp_path / "run" / "checkpoints" / "last" / "model.safetensors")
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-9, atol=1e-9, err_msg=name)
    for split in ("validation", "test"):
        assert found["summary"][split] == pytest.approx(expected["summary"][split], rel=1e-9)


@pytest.mark.slow
@pytest.mark.distributed
def test_layers_that_ranks_adapted_to_other_data_are_refused(tmp_path):
    """What a layer was adapted to is no variable, so it is not broadcast. The control adapts to the same data."""
    job = launch(2, *program("own_keras_model"), "adapted,adapted-apart", str(tmp_path / "run"))
    assert (tmp_path / "run-adapted" / "summary.json").exists(), job.output
    assert job.code != 0
    assert "(Normalization) has another mean on rank 1 than on rank 0" in job.output
    assert not (tmp_path / "run-adapted-apart").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exported(straight, tmp_path, kind):
    """The command line must name the module of a subclassed model."""
    path, _ = straight[kind]
    plugin = ["--plugin", "own_keras_model"] if kind == "subclassed" else []
    command = [sys.executable, "-m", "tfdl", "export", str(path), str(tmp_path / "exported"), *plugin]
    folder = Path(program("own_keras_model")[-1]).parent
    done = subprocess.run(command, env=environment(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    serve = tf.saved_model.load(str(tmp_path / "exported" / "1")).signatures["serving_default"]
    x = np.random.default_rng(0).normal(size=(4, 5))
    found = serve(x=tf.constant(x))["output"].numpy()
    assert found.dtype == np.float64
    weights = load_file(path / "checkpoints" / "last" / "model.safetensors")
    kernel_names = [name for name in weights if name.endswith("kernel")]
    kernels = [weights[name] for name in kernel_names]
    biases = [weights[name.replace("kernel", "bias")] for name in kernel_names]
    assert len(kernels) == (3 if kind == "subclassed" else 2)
    hidden = np.tanh(x @ kernels[0] + biases[0])
    if kind == "subclassed":
        hidden = hidden + np.tanh(hidden @ kernels[1] + biases[1])
    np.testing.assert_allclose(found, hidden @ kernels[-1] + biases[-1], rtol=1e-12, atol=1e-12)


# In this process, in float32


def model_of(*layers: Any, **compiled: Any) -> keras.Model:
    model = keras.Sequential([keras.layers.Dense(8, "relu"), *layers, keras.layers.Dense(1)])
    if compiled:
        model.compile(**compiled)
    return model


def numbers(count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


CONFIG = {"epochs": 2, "batch_size": 16, "steps_per_execution": 2}


def train(output: Path, *, config: dict[str, Any] | None = None, **parts: Any) -> RunDirectory:
    parts = {"data": {"train": numbers()}, **parts}
    return tfdl.train(tfdl.TrainConfig(**(CONFIG | (config or {}))), output, **parts)


def test_a_compiled_model_brings_its_loss_metrics_and_optimizer(tmp_path):
    model = model_of(loss="mse", metrics=["mae", keras.metrics.RootMeanSquaredError()], optimizer="rmsprop")
    run = train(tmp_path / "run", model=model)
    summary = run.read_summary()
    assert list(summary["test"]) == ["loss", "mae", "root_mean_squared_error"]
    assert summary["test"]["loss"] == pytest.approx(summary["test"]["root_mean_squared_error"] ** 2, rel=1e-5)
    assert (summary["model"], summary["dataset"], summary["task"]) == ("keras", "python", "supervised")
    config = run.read_config()
    assert config.optimizer.name == "keras"
    assert config.optimizer.serialized["class_name"] == "RMSprop"
    x, y = numbers()
    # 80%, 10% and 10% of the samples, in an order that does not depend on the run.
    test_rows = np.sort(np.random.Generator(np.random.PCG64(0)).permutation(64)[58:])
    predictions = load_run(run).model(x[test_rows])
    expected = float(np.mean(np.square(predictions - y[test_rows])))
    assert summary["test"]["loss"] == pytest.approx(expected, rel=1e-5)


def test_weights_and_metrics_are_those_of_fit(tmp_path):
    """One epoch of one batch: the order does not matter."""
    x, y = numbers(32)
    models = [model_of(optimizer=keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"]) for _ in range(2)]
    for model in models:
        model.build((None, 3))
    models[1].set_weights(models[0].get_weights())
    data = {"train": (x, y), "validation": (x, y)}
    run = train(tmp_path / "run", model=models[0], data=data, config={"batch_size": 32})
    history = models[1].fit(x, y, batch_size=32, epochs=2, validation_data=(x, y), verbose=0).history
    for mine, theirs in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    epochs = [row for row in map(json.loads, run.metrics_path.open()) if row["kind"] == "epoch"]
    for name in ("loss", "mae"):
        assert [row["train"][name] for row in epochs] == pytest.approx(history[name], rel=1e-5)
        assert [row["validation"][name] for row in epochs] == pytest.approx(history[f"val_{name}"], rel=1e-5)


def test_sample_weights_count_as_in_fit(tmp_path):
    x, y = numbers(32)
    weights = np.linspace(0, 2, 32).astype(np.float32)
    models = [model_of(optimizer=keras.optimizers.SGD(0.1), loss="mse") for _ in range(2)]
    for model in models:
        model.build((None, 3))
    models[1].set_weights(models[0].get_weights())
    data = {"train": (x, y, weights), "validation": (x, y, weights)}
    train(tmp_path / "run", model=models[0], data=data, config={"batch_size": 32, "epochs": 1})
    models[1].fit(x, y, sample_weight=weights, batch_size=32, epochs=1, verbose=0)
    for mine, theirs in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_several_inputs_and_outputs(tmp_path):
    left = keras.Input([2], name="left")
    right = keras.Input([3], name="right")
    joined = keras.layers.Concatenate()([left, right])
    outputs = {"sum": keras.layers.Dense(1, name="sum")(joined), "sign": keras.layers.Dense(2, name="sign")(joined)}
    model = keras.Model({"left": left, "right": right}, outputs)
    model.compile(
        "adam",
        loss={"sum": "mse", "sign": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        loss_weights={"sum": 0.5, "sign": 2.0},
        metrics={"sign": ["accuracy"], "sum": ["mae"]},
    )
    generator = np.random.default_rng(0)
    x = {"left": generator.normal(size=(40, 2)).astype("f4"), "right": generator.normal(size=(40, 3)).astype("f4")}
    total = x["left"].sum(1) + x["right"].sum(1)
    y = {"sum": total[:, None], "sign": (total > 0).astype(int)}
    run = train(tmp_path / "run", model=model, data={"train": (x, y)}, config={"batch_size": 8})
    assert set(run.read_summary()["test"]) == {"loss", "sum_mae", "sign_accuracy"}
    loaded = load_run(run)
    answer = loaded.task.serve(loaded.model, left=tf.zeros([1, 2]), right=tf.zeros([1, 3]))
    assert set(answer) == {"sum", "sign"}


def test_a_tfdl_model_on_arrays(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 8, 8), np.uint8)
    names = np.array(["dark", "bright"])[(images.mean((1, 2)) > 127).astype(int)]
    fields = {"model": {"name": "cnn", "filters": [4], "units": 4}, "batch_size": 8, "epochs": 1}
    run = tfdl.train(tfdl.TrainConfig(**fields), tmp_path / "run", data={"train": (images, names)})
    assert load_run(run).task.class_names == ("bright", "dark")
    assert "accuracy" in run.read_summary()["test"]


def test_texts_from_python(tmp_path):
    texts = ["a good film"] * 30 + ["a bad film"] * 30
    labels = [1] * 30 + [0] * 30
    fields = {"model": {"name": "rnn", "units": 8}, "task": "text-classification", "tokenizer": "byte"}
    config = tfdl.TrainConfig(**fields, batch_size=8, epochs=1)
    run = tfdl.train(config, tmp_path / "run", data={"train": (texts, labels)})
    assert load_run(run).task.class_names == ("0", "1")


def test_evaluation_asks_for_the_data_again(tmp_path):
    run = train(tmp_path / "run", model=model_of(loss="mse"))
    with pytest.raises(
        tfdl.UserError, match=r"passed by Python code, which must pass it again: tfdl\.evaluate\(run, data"
    ):
        tfdl.evaluate(run)
    assert tfdl.evaluate(run, data={"train": numbers()}) == run.read_summary()["test"]


def test_an_objective_in_place_of_compile(tmp_path):
    task = Objective(loss="mae", metrics=["mse"])
    run = train(tmp_path / "run", model=model_of(), task=task, config={"optimizer": "sgd"})
    assert list(run.read_summary()["test"]) == ["loss", "mse"]
    assert run.read_config().optimizer.name == "sgd"


def test_an_optimizer_in_place_of_the_configuration(tmp_path):
    optimizer = keras.optimizers.Nadam(0.01)
    run = train(tmp_path / "run", model=model_of(), task=Objective("mse"), optimizer=optimizer)
    assert run.read_config().optimizer.serialized["class_name"] == "Nadam"
    assert int(optimizer.iterations) == run.read_summary()["steps"]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_loss_that_is_nan_ends_the_run(tmp_path, split):
    data = {name: numbers() for name in ("train", "validation", "test")}
    data[split][1][3] = np.nan
    with pytest.raises(
        tfdl.RunError, match=f"the {split} loss is nan at step .*; if the data may have NaN or infinite values"
    ):
        train(tmp_path / "run", model=model_of(loss="mse"), data=data)
    assert not (tmp_path / "run" / "summary.json").exists()


@keras.saving.register_keras_serializable(package="own")
class Undefined(keras.metrics.Metric):
    """A metric without a value, as R2 has none for equal targets."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pass

    def result(self) -> Any:
        return keras.ops.convert_to_tensor(float("nan"))


def test_a_metric_without_a_value_is_null_in_the_files(tmp_path):
    run = train(tmp_path / "run", model=model_of(loss="mse", metrics=[Undefined(name="undefined")]))
    assert run.read_summary()["test"]["undefined"] is None
    lines = run.metrics_path.read_text()
    assert "NaN" not in lines
    assert '"undefined": null' in lines


def test_resuming_needs_the_same_parts(tmp_path):
    def make() -> keras.Model:
        return model_of(loss="mse", optimizer=keras.optimizers.SGD(0.1, momentum=0.9))

    straight = train(tmp_path / "straight", model=make, config={"epochs": 4})
    train(tmp_path / "run", model=make)
    resumed = train(tmp_path / "run", model=make, config={"epochs": 4}, resume=True)
    digests = [run.read_summary()["weights_sha256"] for run in (straight, resumed)]
    weights = [load_file(run.checkpoint("last") / "model.safetensors") for run in (straight, resumed)]
    for mine, theirs in zip(weights[0].values(), weights[1].values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert len(set(digests)) == 2  # in one process, Keras gives the second model's layers other names
    with pytest.raises(tfdl.UserError, match="--resume with optimizer"):
        train(tmp_path / "run", model=lambda: model_of(loss="mse", optimizer="adam"), resume=True)


def test_a_model_of_tfdl_with_an_optimizer_object_is_resumed_in_the_same_process(tiny, tmp_path):
    """Keras numbers the second optimizer: ``sgd_1/iteration``."""
    for epochs in (1, 2):
        optimizer = tfdl.optimizers.SGD(0.01, momentum=0.9)
        run = tfdl.train(tiny(epochs=epochs), tmp_path / "run", optimizer=optimizer, resume=epochs == 2)
    assert run.read_summary()["steps"] == int(optimizer.iterations) == 24


class OwnTexts(TextClassification):
    """Nothing declares it; only Python code names it."""

    name = "own-texts"


def test_a_task_class_is_declared_as_its_base_is(monkeypatch):
    monkeypatch.setattr(TASKS, "_parts", dict(TASKS._parts))
    data = {"train": (["a b", "c"] * 8, [0, 1] * 8)}
    passed = tfdl.TrainConfig(task="text-classification", model="bert-tiny", tokenizer="word")
    config = PythonParts(data=data, task=OwnTexts).resolve(passed)
    assert (config.task, config.model, config.tokenizer) == ("own-texts", passed.model, passed.tokenizer)
    task, sources = PythonParts(data=data, task=OwnTexts).open_task(config, None)
    assert isinstance(task, OwnTexts)
    assert set(sources) == {"train", "validation", "test"}
    assert "own-texts" not in TASKS.names


def test_an_optimizer_of_another_model_is_refused(tmp_path):
    optimizer = keras.optimizers.SGD(0.1)
    model = model_of()
    for _ in range(2):  # the same model may be trained again
        train(tmp_path / "first", model=model, task=Objective("mse"), optimizer=optimizer, overwrite=True)
    with pytest.raises(tfdl.UserError, match=r"the optimizer 'sgd.*' belongs to another model"):
        train(tmp_path / "second", model=model_of(), task=Objective("mse"), optimizer=optimizer)
    assert not (tmp_path / "second").exists()


@keras.saving.register_keras_serializable(package="own")
class Forgetful(keras.Model):
    """Its get_config does not return the number of its layers."""

    def __init__(self, depth: int = 1, **options: Any):
        super().__init__(**options)
        self.inner = [keras.layers.Dense(1) for _ in range(depth)]

    def call(self, inputs: Any) -> Any:
        for layer in self.inner:
            inputs = layer(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {}


class Unregistered(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


def unregistered_loss(target: Any, output: Any) -> Any:
    return tf.reduce_mean(tf.square(target - output), -1)


class Renamed(ImageClassification):
    """It inherits the name of a registered task."""


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (lambda: {"task": Renamed}, r"task= is the class Renamed, whose name 'image-classification' is another task's"),
        (lambda: {"model": model_of()}, "the model is not compiled and no task was passed, so there is no loss"),
        (lambda: {"model": "cnn"}, r"model= is a str, expected a keras\.Model or a function that builds one"),
        (lambda: {"model": lambda: 3}, r"the function model= returned a int, expected a keras\.Model"),
        (lambda: {"model": model_of(loss="mse"), "optimizer": "adam"}, r"optimizer= is a str, expected a keras\.optim"),
        (lambda: {"model": model_of(loss="mse"), "task": 3}, "task= is 3, expected a task's name"),
        (
            lambda: {"model": model_of(loss="mse"), "callbacks": keras.callbacks.EarlyStopping()},
            r"callbacks= is EarlyStopping, expected a list: callbacks=\[\.\.\.\]",
        ),
        (lambda: {"model": model_of(loss="mse"), "callbacks": [3]}, "callbacks= has a int, expected keras.callbacks"),
        (lambda: {"model": model_of(Unregistered(), loss="mse")}, "uses the class 'Unregistered' .* not registered"),
        (lambda: {"model": model_of(keras.layers.Lambda(lambda x: x), loss="mse")}, "has a Lambda layer"),
        (
            lambda: {"model": model_of(loss=unregistered_loss)},
            "uses the function 'unregistered_loss', which is not regist",
        ),
        (lambda: {"model": Forgetful(2), "task": Objective("mse")}, "has 4 variables, and 2 when it is rebuilt"),
        (
            lambda: {"model": keras.Sequential([keras.Input([7]), keras.layers.Dense(1)]), "task": Objective("mse")},
            r"the model cannot be called with a sample of the data \(x of shape \(3,\)\)",
        ),
        (lambda: {"model": model_of(loss="mse"), "data": {"validation": numbers()}}, "data has no split 'train'"),
        (lambda: {"model": model_of(loss="mse"), "data": {"trian": numbers()}}, "data has the split 'trian'.*'train'"),
        (lambda: {"model": model_of(loss="mse"), "data": {"train": (numbers()[0],)}}, "has 1 items in a sample"),
        (
            lambda: {"model": model_of(loss="mse"), "data": {"train": (numbers()[0], numbers()[1][:9])}},
            r"the arrays of data\['train'\] have different lengths: x has 64, y has 9",
        ),
        (
            lambda: {
                "model": model_of(loss="mse"),
                "data": {"train": numbers(), "test": (numbers()[0][:, :2], numbers()[1])},
            },
            r"x of data\['test'\] has the shape \(2,\) and the dtype float32, expected those of the training data",
        ),
    ],
)
def test_bad_input_writes_nothing(tmp_path, parts, message):
    with pytest.raises(tfdl.UserError, match=message):
        train(tmp_path / "run", **parts())
    assert not (tmp_path / "run").exists()


@keras.saving.register_keras_serializable(package="test_own_keras_model")
class Times(keras.layers.Layer):
    """Its configuration lacks the factor."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, values):
        return values * self.factor

    def get_config(self):
        return super().get_config()


def test_an_argument_of_a_layer_that_is_lost_is_refused(tmp_path):
    model = model_of(keras.layers.Dense(4), Times(5.0), loss="mse")
    with pytest.raises(tfdl.UserError, match="the model has other outputs when it is rebuilt from its get_config"):
        train(tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()


def test_an_adapted_lookup_needs_its_vocabulary(tmp_path):
    words = np.array(["a", "b", "c", "d"] * 16, dtype=object)
    lookup = keras.layers.StringLookup()
    lookup.adapt(words)
    model = keras.Sequential([keras.Input([], dtype="string"), lookup, keras.layers.Embedding(6, 1)])
    model.compile(loss="mse")
    with pytest.raises(tfdl.UserError, match=r"a lookup table is empty; .* vocabulary=layer\.get_vocabulary\(\)"):
        train(tmp_path / "run", model=model, data={"train": (words, numbers()[1])})


def test_an_adapted_normalization_is_the_same_after_a_rebuild(tmp_path):
    x, y = numbers()
    x = x * 10 + 50
    normalization = keras.layers.Normalization()
    normalization.adapt(x)
    model = keras.Sequential([keras.Input([3]), normalization, keras.layers.Dense(1)])
    model.compile(loss="mse")
    data = {"train": (x, y)}
    run = train(tmp_path / "run", model=model, data=data)
    assert tfdl.evaluate(run, "test", data=data) == pytest.approx(run.read_summary()["test"])
    np.testing.assert_allclose(load_run(run).model(x[:8]), model(x[:8]), rtol=1e-5)


@pytest.mark.parametrize("method", ["train_step", "test_step", "compute_loss", "compute_metrics"])
def test_a_method_of_fit_that_is_overridden_is_refused(tmp_path, method):
    kind = type("Overriding", (keras.Sequential,), {method: lambda *_arguments, **_options: None})
    model = kind([keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(tfdl.UserError, match=f"class Overriding overrides {method}, which tfdl does not call"):
        train(tmp_path / "run", model=model)


def test_a_loss_scale_factor_changes_no_step(tmp_path):
    kernels = []
    for factor in (None, 128.0):
        optimizer = keras.optimizers.SGD(0.1, loss_scale_factor=factor)
        model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile(loss="mse", optimizer=optimizer)
        train(tmp_path / f"run-{factor}", model=model)
        kernels.append(model.get_weights()[0])
    np.testing.assert_allclose(kernels[1], kernels[0], rtol=1e-5)


def test_layers_of_one_name_in_two_submodels(tmp_path):
    def part():
        inputs = keras.Input([3])
        return keras.Model(inputs, keras.layers.Dense(3, name="same")(inputs))

    inputs = keras.Input([3])
    model = keras.Model(inputs, keras.layers.Dense(1)(part()(part()(inputs))))
    model.compile(loss="mse", optimizer="adam")
    run = train(tmp_path / "run", model=model)
    x, _ = numbers()
    np.testing.assert_allclose(load_run(run).model(x), model(x), rtol=1e-5)


def test_evaluated_data_has_the_shape_of_the_runs_data(tmp_path):
    x, y = numbers()
    run = train(tmp_path / "run", model=model_of(loss="mse"))
    with pytest.raises(tfdl.UserError, match=r"x of the data has the shape \(2,\) .* trained with: \(3,\) and float32"):
        tfdl.evaluate(run, data={"train": (x[:, :2], y)})
    assert tfdl.evaluate(run, data={"train": (x, y, 0 * y)}) == {"loss": 0.0}


@keras.saving.register_keras_serializable(package="test_own_keras_model")
class Activity(keras.layers.Layer):
    def call(self, values):
        self.add_loss(keras.ops.sum(keras.ops.square(values), -1))
        return values


def test_own_losses_of_a_model(tmp_path):
    with pytest.raises(tfdl.UserError, match=r"add_loss got a tensor of shape \(1,\), expected one number, the mean"):
        train(tmp_path / "vector", model=model_of(Activity(), loss="mse"))
    hidden = keras.layers.Dense(4, activity_regularizer="l2", kernel_regularizer="l2", dtype="mixed_bfloat16")
    train(tmp_path / "mixed", model=model_of(hidden, loss="mse"))


def test_a_vocabulary_is_exported(tmp_path):
    words = np.array(["a", "b", "c", "d"] * 16, dtype=object)
    lookup = keras.layers.StringLookup(vocabulary=["a", "b", "c"])
    model = keras.Sequential([keras.Input([], dtype="string"), lookup, keras.layers.Embedding(6, 1)])
    model.compile(loss="mse")
    run = train(tmp_path / "run", model=model, data={"train": (words, numbers()[1])})
    exported = tfdl.export_saved_model(run, tmp_path / "exported")
    serve = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    np.testing.assert_allclose(serve(x=tf.constant(words[:4]))["output"], model(tf.constant(words[:4])), rtol=1e-5)
