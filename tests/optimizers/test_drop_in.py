"""Adam, AdamW and SGD against keras.optimizers: the same steps from the same gradients, and the same saved state."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.optimizers import SGD, Adam, AdamW

KINDS = [
    pytest.param(Adam, keras.optimizers.Adam, {"learning_rate": 0.01}, id="adam"),
    pytest.param(Adam, keras.optimizers.Adam, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}, id="adam-betas"),
    pytest.param(Adam, keras.optimizers.Adam, {"learning_rate": 0.01, "amsgrad": True}, id="amsgrad"),
    pytest.param(AdamW, keras.optimizers.AdamW, {"learning_rate": 0.01}, id="adamw"),
    pytest.param(AdamW, keras.optimizers.AdamW, {"learning_rate": 0.01, "amsgrad": True}, id="adamw-amsgrad"),
    pytest.param(SGD, keras.optimizers.SGD, {"learning_rate": 0.1}, id="sgd"),
    pytest.param(SGD, keras.optimizers.SGD, {"learning_rate": 0.1, "momentum": 0.9}, id="momentum"),
    pytest.param(SGD, keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}, id="nesterov"),
]
# One of each class, with and without amsgrad. What Keras's base class does needs no more of them.
ONE_OF_EACH = [KINDS[0], KINDS[4], KINDS[6]]
SHAPES = [(4, 3), (3,), ()]


def variables(dtype="float32"):
    random = np.random.default_rng(0)
    return [keras.Variable(random.normal(size=shape), dtype=dtype, name=f"v{i}") for i, shape in enumerate(SHAPES)]


def train(optimizer, dtype="float32", steps=100, wrap=tf.function):
    """The variables after ``steps`` steps with random gradients of varying size."""
    trained = variables(dtype)
    random = np.random.default_rng(1)
    optimizer.build(trained)
    step = wrap(lambda *gradients: optimizer.apply(gradients, trained))
    for number in range(steps):
        scale = 1 + 3 * np.sin(number / 5)
        gradients = [tf.constant(scale * random.normal(size=shape), dtype) for shape in SHAPES]
        step(*gradients)
    return trained


def assert_same_training(ours, theirs, rtol=1e-6, atol=1e-6, **options):
    """Trains with both optimizers; the variables and the optimizers' states must agree."""
    assert_all_close(train(ours, **options), train(theirs, **options), rtol=rtol, atol=atol)
    for variable, reference in zip(ours.variables, theirs.variables, strict=True):
        # TensorFlow's kernel computes 1 - beta_2 in float32, with a relative error of 1.3e-5. The bias correction
        # cancels it.
        np.testing.assert_allclose(variable, reference, rtol=max(rtol, 2e-5), atol=atol, err_msg=variable.path)


def assert_all_close(values, references, **tolerances):
    for value, reference in zip(values, references, strict=True):
        np.testing.assert_allclose(value, reference, **tolerances)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_a_hundred_steps(tfdl_class, keras_class, arguments):
    assert_same_training(tfdl_class(**arguments), keras_class(**arguments))


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_a_hundred_steps_in_float64(tfdl_class, keras_class, arguments):
    """Keras rounds 0.9 and 0.999 to float32, which limits the agreement; tfdl is exact (see test_steps_by_hand)."""
    assert_same_training(tfdl_class(**arguments), keras_class(**arguments), dtype="float64")


@pytest.mark.parametrize(
    "common",
    [
        {"weight_decay": 0.01},
        {"clipnorm": 0.5},
        {"clipvalue": 0.1},
        {"global_clipnorm": 0.5},
        {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7},
        {"ema_momentum": 0.9, "use_ema": True, "gradient_accumulation_steps": 4, "weight_decay": 0.01},
        {"gradient_accumulation_steps": 4},
        {"loss_scale_factor": 8.0},
    ],
    ids=lambda common: next(iter(common)),
)
@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), ONE_OF_EACH)
def test_what_every_keras_optimizer_can_do(tfdl_class, keras_class, arguments, common):
    assert_same_training(tfdl_class(**arguments, **common), keras_class(**arguments, **common), rtol=1e-5)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), ONE_OF_EACH)
def test_the_averaged_weights_are_keras_s(tfdl_class, keras_class, arguments):
    averages = {}
    for kind in (tfdl_class, keras_class):
        optimizer = kind(**arguments, use_ema=True, ema_momentum=0.9)
        trained = train(optimizer)
        optimizer.finalize_variable_values(trained)
        averages[kind] = [np.asarray(variable) for variable in trained]
    assert_all_close(averages[tfdl_class], averages[keras_class], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), ONE_OF_EACH)
def test_a_schedule_of_learning_rates(tfdl_class, keras_class, arguments):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 60)
    arguments = {**arguments, "learning_rate": schedule}
    assert_same_training(tfdl_class(**arguments), keras_class(**arguments), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_gradients_of_an_embedding(tfdl_class, keras_class, arguments):
    """Sparse gradients with a repeated row. Rows without a gradient still move by their momentum."""
    tables = {}
    for kind in (tfdl_class, keras_class):
        embedding = keras.layers.Embedding(6, 3, embeddings_initializer=keras.initializers.RandomNormal(seed=3))
        embedding.build()
        optimizer = kind(**arguments)
        optimizer.build(embedding.trainable_variables)
        for step in range(20):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(embedding(tf.constant([step % 6, 2, 2])) - 1.0))
            (gradient,) = tape.gradient(loss, [embedding.embeddings.value])
            assert isinstance(gradient, tf.IndexedSlices)
            if kind is keras_class:
                gradient = tf.convert_to_tensor(gradient)
            optimizer.apply([gradient], embedding.trainable_variables)
        tables[kind] = np.asarray(embedding.embeddings)
    np.testing.assert_allclose(tables[tfdl_class], tables[keras_class], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), ONE_OF_EACH)
def test_compile_and_fit_are_keras_s(tfdl_class, keras_class, arguments):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(32, 4))
    targets = random.normal(size=(32, 1))
    weights = {}
    for kind in (tfdl_class, keras_class):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
        model.compile(kind(**arguments), "mse")
        model.fit(inputs, targets, batch_size=8, epochs=3, verbose=0)
        weights[kind] = model.get_weights()
    assert_all_close(weights[tfdl_class], weights[keras_class], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_a_tf_variable_is_updated_too(tfdl_class, keras_class, arguments):  # noqa: ARG001
    keras_variable = keras.Variable([1.0, 2.0])
    tf_variable = tf.Variable([1.0, 2.0])
    for variable in (keras_variable, tf_variable):
        optimizer = tfdl_class(**arguments)
        optimizer.build([variable])
        optimizer.apply([tf.constant([1.0, -1.0])], [variable])
    np.testing.assert_array_equal(tf_variable, keras_variable)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_a_step_that_xla_compiles(tfdl_class, keras_class, arguments):
    assert_same_training(
        tfdl_class(**arguments, global_clipnorm=1.0),
        keras_class(**arguments, global_clipnorm=1.0),
        steps=10,
        wrap=lambda step: tf.function(step, jit_compile=True),
        rtol=1e-5,
    )


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), ONE_OF_EACH)
def test_under_a_strategy_of_tensorflow(tfdl_class, keras_class, arguments):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(32, 4))
    targets = random.normal(size=(32, 1))
    weights = {}
    for kind in (tfdl_class, keras_class):
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential(
                [keras.Input((4,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1)]
            )
            model.compile(kind(**arguments, weight_decay=0.1, global_clipnorm=0.5), "mse")
        model.fit(inputs, targets, batch_size=8, verbose=0)
        weights[kind] = model.get_weights()
    assert_all_close(weights[tfdl_class], weights[keras_class], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD])
def test_variables_of_two_dtypes(kind):
    """Each variable steps as it would alone, but the global norm of all is clipped."""
    together = [*variables("float32"), *variables("float64")]
    gradients = [tf.constant(np.ones(variable.shape), variable.dtype) for variable in together]
    norm = np.sqrt(sum(np.size(gradient) for gradient in gradients))
    kind(0.1, global_clipnorm=norm / 2).apply(gradients, together)
    alone = [*variables("float32"), *variables("float64")]
    for variable, gradient in zip(alone, gradients, strict=True):
        kind(0.1).apply([gradient / 2], [variable])
    assert_all_close(together, alone, rtol=1e-6)


@pytest.mark.parametrize("by", ["var_list", "var_names"])
def test_variables_excluded_from_weight_decay(by):
    """With gradients of 0, a step multiplies by 1 - 0.1 * 0.5, except the variable that is excluded."""
    expected = [np.asarray(variable) * factor for variable, factor in zip(variables(), [0.95, 1.0, 0.95], strict=True)]
    results = []
    for kind in (AdamW, keras.optimizers.AdamW):
        trained = variables()
        optimizer = kind(0.1, weight_decay=0.5)
        excluded = {"var_list": trained[1:2], "var_names": ["v1"]}
        optimizer.exclude_from_weight_decay(**{by: excluded[by]})
        optimizer.build(trained)
        optimizer.apply([tf.zeros(shape) for shape in SHAPES], trained)
        assert_all_close(trained, expected, rtol=1e-6)
        results.append(trained)
    assert_all_close(*results, rtol=1e-6)


@pytest.mark.parametrize(("gradient", "expected"), [(0.0, 1.0), (np.inf, np.nan), (np.nan, np.nan)])
@pytest.mark.parametrize("kind", [Adam, keras.optimizers.Adam])
def test_a_global_norm_that_is_zero_or_not_finite(kind, gradient, expected):
    """The norm is of all gradients, so the variable whose gradient is 0 becomes NaN, too."""
    variable = keras.Variable([1.0])
    other = keras.Variable([1.0])
    kind(0.1, global_clipnorm=1.0).apply([tf.constant([gradient]), tf.constant([0.0])], [variable, other])
    np.testing.assert_array_equal(variable, [expected])
    np.testing.assert_array_equal(other, [expected])


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_the_step_is_traced_once(tfdl_class, keras_class, arguments):  # noqa: ARG001
    optimizer = tfdl_class(**arguments)
    trained = variables()
    optimizer.build(trained)
    traces = 0

    @tf.function
    def step(scale):
        nonlocal traces
        traces += 1
        optimizer.apply([scale * tf.ones(shape) for shape in SHAPES], trained)

    for number in range(10):
        optimizer.learning_rate = 0.1 / (number + 1)
        step(tf.constant(float(number)))
    assert traces == 1
    assert int(optimizer.iterations) == 10


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_a_graph_does_as_eager_python(tfdl_class, keras_class, arguments):  # noqa: ARG001
    graph = train(tfdl_class(**arguments), steps=5)
    eager = train(tfdl_class(**arguments), steps=5, wrap=lambda function: function)
    assert_all_close(graph, eager, rtol=1e-6)


@pytest.mark.parametrize(("tfdl_class", "keras_class", "arguments"), KINDS)
def test_configuration_comes_back(tfdl_class, keras_class, arguments):  # noqa: ARG001
    optimizer = tfdl_class(**arguments, weight_decay=0.1, global_clipnorm=2.0, name="mine")
    assert tfdl_class.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is tfdl_class
    assert copy.get_config() == optimizer.get_config()
    for before, after in zip(train(optimizer, steps=3), train(copy, steps=3), strict=True):
        np.testing.assert_array_equal(before, after)
