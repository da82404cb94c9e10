"""Adam and SGD against keras.optimizers: the same steps from the same gradients, arguments and saved configuration."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.optimizers import SGD, Adam

KINDS = [
    pytest.param(Adam, keras.optimizers.Adam, {"learning_rate": 0.01}, id="adam"),
    pytest.param(Adam, keras.optimizers.Adam, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}, id="adam-betas"),
    pytest.param(Adam, keras.optimizers.Adam, {"learning_rate": 0.01, "amsgrad": True}, id="amsgrad"),
    pytest.param(SGD, keras.optimizers.SGD, {"learning_rate": 0.1}, id="sgd"),
    pytest.param(SGD, keras.optimizers.SGD, {"learning_rate": 0.1, "momentum": 0.9}, id="momentum"),
    pytest.param(SGD, keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}, id="nesterov"),
]
SHAPES = [(4, 3), (3,), ()]


def variables(dtype="float32"):
    random = np.random.default_rng(0)
    return [keras.Variable(random.normal(size=shape), dtype=dtype, name=f"v{i}") for i, shape in enumerate(SHAPES)]


def train(optimizer, dtype="float32", steps=100, wrap=tf.function):
    """The variables after ``steps`` steps of random gradients that shrink and grow."""
    mine, random = variables(dtype), np.random.default_rng(1)
    optimizer.build(mine)
    step = wrap(lambda *gradients: optimizer.apply(gradients, mine))
    for number in range(steps):
        scale = 1 + 3 * np.sin(number / 5)
        step(*(tf.constant(scale * random.normal(size=shape), dtype) for shape in SHAPES))
    return mine


def assert_same_training(ours, theirs, rtol=1e-6, atol=1e-6, **options):
    for mine, other in zip(train(ours, **options), train(theirs, **options), strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol)
    for mine, other in zip(ours.variables, theirs.variables, strict=True):
        # TensorFlow's kernel takes 1 - beta_2 in float32, 1.3e-5 from 0.001; the correction for bias undoes it.
        np.testing.assert_allclose(mine, other, rtol=max(rtol, 2e-5), atol=atol, err_msg=mine.path)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_a_hundred_steps(own, reference, arguments):
    assert_same_training(own(**arguments), reference(**arguments))


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_a_hundred_steps_in_float64(own, reference, arguments):
    """As near as Keras allows, which rounds 0.9 and 0.999 to float32 first; ours are exact (see test_steps_by_hand)."""
    assert_same_training(own(**arguments), reference(**arguments), dtype="float64")


@pytest.mark.parametrize(
    "common",
    [
        {"weight_decay": 0.01},
        {"clipnorm": 0.5},
        {"clipvalue": 0.1},
        {"global_clipnorm": 0.5},
        {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7},
        {"gradient_accumulation_steps": 4},
        {"loss_scale_factor": 8.0},
    ],
    ids=lambda common: next(iter(common)),
)
@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_what_every_keras_optimizer_can_do(own, reference, arguments, common):
    assert_same_training(own(**arguments, **common), reference(**arguments, **common), rtol=1e-5)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_the_averaged_weights_are_keras_s(own, reference, arguments):
    averages = []
    for kind in (own, reference):
        optimizer = kind(**arguments, use_ema=True, ema_momentum=0.9)
        trained = train(optimizer)
        optimizer.finalize_variable_values(trained)
        averages.append([np.asarray(variable) for variable in trained])
    for mine, other in zip(*averages, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_a_schedule_of_learning_rates(own, reference, arguments):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 60)
    arguments = {**arguments, "learning_rate": schedule}
    assert_same_training(own(**arguments), reference(**arguments), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_gradients_of_an_embedding(own, reference, arguments):
    """Sparse gradients with a row twice; rows without a gradient still carry their momentum."""
    tables = []
    for kind in (own, reference):
        embedding = keras.layers.Embedding(6, 3, embeddings_initializer=keras.initializers.RandomNormal(seed=3))
        embedding.build()
        optimizer = kind(**arguments)
        optimizer.build(embedding.trainable_variables)
        for step in range(20):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(embedding(tf.constant([step % 6, 2, 2])) - 1.0))
            (gradient,) = tape.gradient(loss, [embedding.embeddings.value])
            assert isinstance(gradient, tf.IndexedSlices)
            if kind is reference:
                gradient = tf.convert_to_tensor(gradient)
            optimizer.apply([gradient], embedding.trainable_variables)
        tables.append(np.asarray(embedding.embeddings))
    np.testing.assert_allclose(*tables, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_compile_and_fit_are_keras_s(own, reference, arguments):
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(32, 4)), random.normal(size=(32, 1))
    weights = []
    for kind in (own, reference):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
        model.compile(kind(**arguments), "mse")
        model.fit(inputs, targets, batch_size=8, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for mine, other in zip(*weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_a_tf_variable_is_updated_too(own, reference, arguments):  # noqa: ARG001
    optimizer, keras_variable, variable = own(**arguments), keras.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    optimizer.build([keras_variable])
    optimizer.apply([tf.constant([1.0, -1.0])], [keras_variable])
    other = own(**arguments)
    other.build([variable])
    other.apply([tf.constant([1.0, -1.0])], [variable])
    np.testing.assert_array_equal(variable, keras_variable)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_the_step_is_traced_once(own, reference, arguments):  # noqa: ARG001
    optimizer, mine, traces = own(**arguments), variables(), 0
    optimizer.build(mine)

    @tf.function
    def step(scale):
        nonlocal traces
        traces += 1
        optimizer.apply([scale * tf.ones(shape) for shape in SHAPES], mine)

    for number in range(10):
        optimizer.learning_rate = 0.1 / (number + 1)
        step(tf.constant(float(number)))
    assert traces == 1
    assert int(optimizer.iterations) == 10


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_a_graph_does_as_eager_python(own, reference, arguments):  # noqa: ARG001
    graph = train(own(**arguments), steps=5)
    eager = train(own(**arguments), steps=5, wrap=lambda function: function)
    for mine, other in zip(graph, eager, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_configuration_comes_back(own, reference, arguments):  # noqa: ARG001
    optimizer = own(**arguments, weight_decay=0.1, global_clipnorm=2.0, name="mine")
    assert own.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is own
    assert copy.get_config() == optimizer.get_config()
    for before, after in zip(train(optimizer, steps=3), train(copy, steps=3), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("names", [(Adam, keras.optimizers.Adam), (SGD, keras.optimizers.SGD)])
def test_every_argument_of_keras_s_is_taken_with_its_default(names):
    own, reference = names
    signature = inspect.signature(reference).parameters.values()
    defaults = {
        parameter.name: parameter.default for parameter in signature if parameter.name not in ("kwargs", "name")
    }
    ours, given, theirs = own().get_config(), own(**defaults).get_config(), reference().get_config()
    theirs["name"] = ours["name"]  # Keras numbers its own; a fixed one keeps the paths in checkpoints
    assert ours == given == theirs


# Objectives whose minimum is known


def minimize(optimizer, objective, start, steps):
    variable = keras.Variable(start)
    optimizer.build([variable])

    @tf.function
    def run():
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                loss = objective(variable.value)
            optimizer.apply(tape.gradient(loss, [variable.value]), [variable])

    run()
    return np.asarray(variable)


def parabola(x):
    return tf.reduce_sum(tf.constant([1.0, 10.0]) * tf.square(x - tf.constant([3.0, -1.0])))


def rosenbrock(x):
    return tf.square(1.0 - x[0]) + 100.0 * tf.square(x[1] - tf.square(x[0]))


@pytest.mark.parametrize(
    "optimizer",
    [
        Adam(0.1),
        Adam(0.1, amsgrad=True),
        SGD(0.02),
        SGD(0.02, momentum=0.7),
        SGD(0.02, momentum=0.7, nesterov=True),
    ],
    ids=["adam", "amsgrad", "sgd", "momentum", "nesterov"],
)
def test_the_bottom_of_a_parabola(optimizer):
    np.testing.assert_allclose(minimize(optimizer, parabola, [0.0, 0.0], 1000), [3, -1], atol=1e-3)


@pytest.mark.parametrize(
    "optimizer",
    [Adam(0.02), Adam(0.02, amsgrad=True), SGD(5e-4, momentum=0.9), SGD(5e-4, momentum=0.9, nesterov=True)],
    ids=["adam", "amsgrad", "momentum", "nesterov"],
)
def test_the_end_of_rosenbrock_s_valley(optimizer):
    np.testing.assert_allclose(minimize(optimizer, rosenbrock, [-1.2, 1.0], 10_000), [1, 1], atol=1e-2)
