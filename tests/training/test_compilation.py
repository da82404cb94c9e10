"""XLA around the forward and backward pass: the same training; chosen by time; refused where it cannot be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import TrainConfig
from tfdl.data.pipeline import WEIGHT
from tfdl.distributed import SingleWorld, reduce_gradients
from tfdl.errors import UserError
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer, train
from tfdl.training.compilation import choose_faster, decide

TASK = ImageClassification((8, 8, 1), ("a", "b", "c"), resized=False)


def batch(size=9):
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (size, 8, 8, 1), np.uint8)
    return {
        "image": tf.constant(images),
        "label": tf.constant(draws.integers(0, 3, size), tf.int32),
        WEIGHT: tf.ones(size),
    }


def trainer(world=None, dropout=0.0, **arguments):
    keras.utils.set_random_seed(0)
    model = tfdl.build_model("cnn", input_shape=(8, 8, 1), num_classes=3, filters=(3,), units=5, dropout=dropout)
    optimizer = tfdl.build_optimizer("sgd", learning_rate=0.1)
    return Trainer(model, optimizer, TASK, world or SingleWorld(), **arguments)


@pytest.mark.parametrize("pieces", [1, 2])
def test_compiled_steps_are_the_same_steps(pieces):
    plain = trainer(accumulation_steps=pieces)
    compiled = trainer(accumulation_steps=pieces)
    compiled.xla = True
    for each in (plain, compiled):
        each.run(iter(tf.data.Dataset.from_tensors(batch()).repeat()), 3)
    for mine, other in zip(compiled.model.weights, plain.model.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5, err_msg=mine.path)
    np.testing.assert_allclose(compiled.take_sums(), plain.take_sums(), rtol=1e-5)


def test_a_compiled_step_is_compiled():
    compiled = trainer()
    compiled.xla = True
    batches = iter(tf.data.Dataset.from_tensors(batch()).repeat())
    graph = compiled._run_steps.get_concrete_function(batches, tf.constant(1)).graph.as_graph_def()
    assert any(found.attr["_XlaMustCompile"].b for found in graph.library.function)


def test_measuring_changes_no_variable():
    measured = trainer(dropout=0.5)
    untouched = trainer(dropout=0.5)
    decision = decide("auto", measured, batch(), 1)
    assert not decision.xla  # one step saves less time than the compilation takes
    assert "ms a step with it" in decision.note
    for mine, other in zip(measured.model.variables, untouched.model.variables, strict=True):
        np.testing.assert_array_equal(mine, other, err_msg=mine.path)


@pytest.mark.parametrize("pieces", [1, 3])
def test_timed_steps_include_the_reduction(pieces, monkeypatch):
    """Without the reduction, XLA could seem faster although reducing after the backward pass costs more."""
    reduced = []

    def reduce(gradients, *arguments, **options):
        reduced.append(len(gradients))
        return reduce_gradients(gradients, *arguments, **options)

    monkeypatch.setattr("tfdl.training.trainer.reduce_gradients", reduce)
    measured = trainer(accumulation_steps=pieces)
    decide("auto", measured, batch(), 1)
    assert reduced == [len(measured.model.trainable_variables)] * 2  # traced once without XLA, once with it


@pytest.mark.parametrize(
    ("plain", "compiled", "compiling", "steps", "xla"),
    [(2, 1, 10, 11, True), (2, 1, 10, 9, False), (1, 2, 0, 1000, False), (1, 1, 0, 1000, False)],
)
def test_the_whole_run_s_time_decides(plain, compiled, compiling, steps, xla):
    assert choose_faster(plain, compiled, compiling, steps).xla is xla


def test_a_forward_pass_that_reduces_cannot_be_compiled(ranks):
    several = trainer(ranks(2))
    assert decide("auto", several, batch(), 10**9) == decide("auto", several, batch(), 1)
    assert decide("auto", several, batch(), 10**9).note.startswith("XLA off: synchronized batch normalization")
    with pytest.raises(UserError, match=r"xla=on.*--set model.synchronized=false"):
        decide("on", several, batch(), 1)


def test_the_choice_is_kept_with_the_run(tmp_path, tiny):
    run = train(tiny({"xla": "auto"}, steps=2), tmp_path / "run")
    assert run.read_config().xla == "off"
    resumed = train(tiny({"xla": "auto"}, steps=3), tmp_path / "run", resume=True)
    assert (resumed.read_config().xla, resumed.read_summary()["steps"]) == ("off", 3)
    assert TrainConfig(xla="on").xla == "on"
    with pytest.raises(UserError, match="xla='always'"):
        TrainConfig(xla="always")
