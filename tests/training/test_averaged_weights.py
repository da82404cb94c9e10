"""Running averages of the weights: in validation, results, checkpoints and exports, but not in training."""

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfdl
from tfdl.evaluation import evaluate
from tfdl.training.averaged_weights import averaged_weights

EMA = {"optimizer.ema_momentum": 0.75}


def sha(run):
    return run.read_summary()["weights_sha256"]


def weights(run, file):
    return load_file(run.checkpoint("last") / file)


@pytest.fixture(scope="module")
def averaged(tiny, tmp_path_factory):
    return tfdl.train(tiny(EMA), tmp_path_factory.mktemp("averaged") / "run")


def test_the_average_by_hand():
    """The first step's weights, then momentum times the average and the rest of the new weights."""
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5)
    optimizer = tfdl.build_optimizer("sgd", learning_rate=1.0, momentum=0, ema_momentum=0.75)
    variables = model.trainable_variables
    optimizer.build(variables)
    start = np.asarray(variables[0])
    expected = None
    for number in (1.0, 2.0, 3.0):
        optimizer.apply([np.full(v.shape, number, "float32") for v in variables], variables)
        start = start - number
        expected = start if expected is None else 0.75 * expected + 0.25 * start
    with averaged_weights(optimizer):
        np.testing.assert_allclose(variables[0], expected, rtol=1e-6)
    np.testing.assert_allclose(variables[0], start, rtol=1e-6)


def test_before_the_first_step_there_is_no_average():
    """A run in float16 may skip all steps of its first epoch."""
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5)
    optimizer = tfdl.build_optimizer("sgd", ema_momentum=0.75)
    optimizer.build(model.trainable_variables)
    start = model.get_weights()
    with averaged_weights(optimizer):
        served = model.get_weights()
    for before, within, after in zip(start, served, model.get_weights(), strict=True):
        np.testing.assert_array_equal(within, before)
        np.testing.assert_array_equal(after, before)


def test_results_are_those_of_the_average(averaged, trained_run):
    assert sha(averaged) != sha(trained_run)
    assert averaged.read_summary()["test"] != trained_run.read_summary()["test"]
    assert evaluate(averaged) == averaged.read_summary()["test"]


def test_training_itself_is_as_without_it(averaged, trained_run):
    """The checkpoint keeps the trained weights where the optimizer has its averages."""
    kept = weights(averaged, "optimizer.safetensors")
    plain = weights(trained_run, "model.safetensors")
    served = weights(averaged, "model.safetensors")
    found = [value for name, value in kept.items() if "average" in name]
    trained = [value for name, value in plain.items() if "moving" not in name]
    assert len(found) == len(trained)
    for value in trained:
        assert any(np.array_equal(value, other) for other in found)
    assert not np.array_equal(served["hidden/kernel"], plain["hidden/kernel"])


def test_a_resumed_run_has_the_same_weights(averaged, tiny, tmp_path):
    half = tfdl.train(tiny({**EMA, "epochs": 1}), tmp_path / "half")
    whole = tfdl.train(tiny(EMA), half.path, resume=True)
    assert sha(whole) == sha(averaged)
