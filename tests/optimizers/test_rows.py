"""Gradients of some rows of a table: the same results as Keras's classes, and SGD that touches only these rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.optimizers import SGD, Adam, AdamW

SHAPE = (6, 2)


def rows(numbers, values=None, dtype=tf.int32):
    """The gradient of the rows with these numbers."""
    if values is None:
        values = np.random.default_rng(len(numbers)).normal(size=(len(numbers), 2)).astype("float32")
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(numbers, dtype), tf.constant(SHAPE))


def table_after(optimizer, *gradients, wrap=tf.function):
    """The table after a step with each gradient."""
    table = keras.Variable(np.arange(12.0).reshape(SHAPE), dtype="float32")
    optimizer.build([table])
    step = wrap(lambda gradient: optimizer.apply([gradient], [table]))
    for gradient in gradients:
        step(gradient)
    return np.asarray(table)


def operations(step, *arguments):
    """The types of the operations in a step's graph."""
    graph = step.get_concrete_function(*arguments).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.5},
        {"momentum": 0.5, "nesterov": True},
        {"weight_decay": 0.25},
        {"clipnorm": 0.5},
        {"global_clipnorm": 0.5},
        {"clipvalue": 0.5},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
        {"gradient_accumulation_steps": 2},
        {"beta_1": 0.5},
        {"amsgrad": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("wrap", [tf.function, lambda function: function], ids=["graph", "eager"])
def test_different_rows_are_as_in_keras(kind, options, wrap):
    tfdl_class = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW}[kind]
    keras_class = getattr(keras.optimizers, kind)
    defaults = keras_class().get_config()
    if not set(options) <= set(defaults):
        pytest.skip("an argument of another optimizer")
    gradients = [rows([4, 1, 3]), rows([0, 4]), rows([2, 1, 5, 3])]
    results = [table_after(cls(0.1, **options), *gradients, wrap=wrap) for cls in (tfdl_class, keras_class)]
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_sgd_with_repeated_rows_is_as_in_keras(dtype):
    gradients = [rows([4, 1, 4, 4], dtype=dtype), rows([0, 0], dtype=dtype), rows([], np.zeros((0, 2)), dtype=dtype)]
    results = [table_after(cls(0.1), *gradients) for cls in (SGD, keras.optimizers.SGD)]
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {"clipvalue": 1.0}, {"loss_scale_factor": 4.0}],
    ids=str,
)
@pytest.mark.parametrize("kind", [SGD, lambda *a, **k: SGD(*a, **k, momentum=0.5), Adam, AdamW])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_repeated_rows_mean_their_sum(kind, options, jit_compile):
    """Rows 1, 1 with (3, 0) and (0, 4) are one row (3, 4), whose norm is 5."""

    def wrap(function):
        return tf.function(function, jit_compile=jit_compile)

    repeated = [rows([1, 2, 1], [[3, 0], [1, 1], [0, 4]])] * 2
    summed = [tf.constant([[0, 0], [3, 4], [1, 1], [0, 0], [0, 0], [0, 0]], tf.float32)] * 2
    result = table_after(kind(0.1, **options), *repeated, wrap=wrap)
    np.testing.assert_allclose(result, table_after(kind(0.1, **options), *summed, wrap=wrap), rtol=1e-6)


@pytest.mark.parametrize("kind", [keras.optimizers.Adam, keras.optimizers.RMSprop])
def test_keras_squares_repeated_rows_one_by_one(kind):
    """As docs/keras-scripts.md says. If this fails, Keras has changed, and the page must change too."""
    repeated = rows([1, 2, 1], [[3, 0], [1, 1], [3, 4]])
    summed = tf.convert_to_tensor(repeated)
    difference = np.abs(table_after(kind(0.1), *[repeated] * 2) - table_after(kind(0.1), *[summed] * 2))
    assert difference[1].max() > 0.01
    np.testing.assert_allclose(difference[[0, 2, 3, 4, 5]], 0, atol=1e-5)


def test_sgd_updates_only_the_rows():
    table = keras.Variable(np.zeros(SHAPE, "float32"))
    optimizer = SGD(0.5, global_clipnorm=10.0)
    optimizer.build([table])
    step = tf.function(lambda gradient: optimizer.apply([gradient], [table]))
    types = operations(step, rows([1, 3]))
    assert "ResourceScatterSub" in types
    assert "ResourceApplyGradientDescent" not in types
    step(rows([1, 3], [[1, 2], [3, 4]]))
    np.testing.assert_array_equal(table, [[0, 0], [-0.5, -1], [0, 0], [-1.5, -2], [0, 0], [0, 0]])


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_fit_with_an_embedding_and_a_clipped_norm(kind):
    results = []
    for cls in (kind, getattr(keras.optimizers, kind.__name__)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Embedding(10, 4), keras.layers.Flatten(), keras.layers.Dense(2)])
        model.compile(cls(0.1, clipnorm=100.0), "mse")
        model.fit(np.arange(6).reshape(2, 3), np.zeros((2, 2)), verbose=0)
        results.append(model.get_weights())
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
