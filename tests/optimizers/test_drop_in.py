"""Adam, AdamW and SGD against keras.optimizers: the same steps from the same gradients, and the same saved state."""

import inspect

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
SHAPES = [(4, 3), (3,), ()]


def variables(dtype="float32"):
    random = np.random.default_rng(0)
    return [keras.Variable(random.normal(size=shape), dtype=dtype, name=f"v{i}") for i, shape in enumerate(SHAPES)]


def train(optimizer, dtype="float32", steps=100, wrap=tf.function):
    """The variables after ``steps`` steps with random gradients of varying size."""
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
        # TensorFlow's kernel computes 1 - beta_2 in float32, with a relative error of 1.3e-5. The bias correction
        # cancels it.
        np.testing.assert_allclose(mine, other, rtol=max(rtol, 2e-5), atol=atol, err_msg=mine.path)


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_a_hundred_steps(own, reference, arguments):
    assert_same_training(own(**arguments), reference(**arguments))


@pytest.mark.parametrize(("own", "reference", "arguments"), KINDS)
def test_a_hundred_steps_in_float64(own, reference, arguments):
    """Keras rounds 0.9 and 0.999 to float32, which limits the agreement; tfdl is exact (see test_steps_by_hand)."""
    assert_same_training(own(**arguments), reference(**arguments), dtype="float64")


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
    """Sparse gradients with a repeated row. Rows without a gradient still move by their momentum."""
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
def test_a_step_that_xla_compiles(own, reference, arguments):
    assert_same_training(
        own(**arguments, global_clipnorm=1.0),
        reference(**arguments, global_clipnorm=1.0),
        steps=10,
        wrap=lambda step: tf.function(step, jit_compile=True),
        rtol=1e-5,
    )


@pytest.mark.parametrize(("own", "reference", "arguments"), [KINDS[0], KINDS[3], KINDS[6]])
def test_under_a_strategy_of_tensorflow(own, reference, arguments):
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(32, 4)), random.normal(size=(32, 1))
    weights = []
    for kind in (own, reference):
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential(
                [keras.Input((4,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1)]
            )
            model.compile(kind(**arguments, weight_decay=0.1, global_clipnorm=0.5), "mse")
        model.fit(inputs, targets, batch_size=8, verbose=0)
        weights.append(model.get_weights())
    for mine, other in zip(*weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD])
def test_variables_of_two_dtypes(kind):
    """Each variable steps as it would alone, but the global norm of both is clipped."""
    together, gradients = [*variables("float32"), *variables("float64")], []
    for variable in together:
        gradients.append(tf.constant(np.ones(variable.shape), variable.dtype))
    norm = np.sqrt(sum(np.size(gradient) for gradient in gradients))
    alone = [*variables("float32"), *variables("float64")]
    kind(0.1, global_clipnorm=norm / 2).apply(gradients, together)
    for variable, gradient in zip(alone, gradients, strict=True):
        kind(0.1).apply([gradient / 2], [variable])
    for mine, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)


@pytest.mark.parametrize("by", ["var_list", "var_names"])
def test_variables_excluded_from_weight_decay(by):
    trained = []
    for kind in (AdamW, keras.optimizers.AdamW):
        optimizer, mine = kind(0.1, weight_decay=0.5), variables()
        optimizer.exclude_from_weight_decay(**{by: mine[1:2] if by == "var_list" else ["v1"]})
        zeros = [tf.zeros(shape) for shape in SHAPES]
        optimizer.build(mine)
        optimizer.apply(zeros, mine)
        trained.append(mine)
    for mine, other, before, share in zip(*trained, variables(), [0.95, 1.0, 0.95], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)
        np.testing.assert_allclose(mine, np.asarray(before) * share, rtol=1e-6)


@pytest.mark.parametrize(("gradient", "expected"), [(0.0, 1.0), (np.inf, np.nan), (np.nan, np.nan)])
@pytest.mark.parametrize("kind", [Adam, keras.optimizers.Adam])
def test_the_global_norm_of_nothing_and_of_infinity(kind, gradient, expected):
    variable, still = keras.Variable([1.0]), keras.Variable([1.0])
    kind(0.1, global_clipnorm=1.0).apply([tf.constant([gradient]), tf.constant([0.0])], [variable, still])
    np.testing.assert_array_equal(variable, [expected])
    np.testing.assert_array_equal(still, [expected])


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


@pytest.mark.parametrize(
    "names", [(Adam, keras.optimizers.Adam), (AdamW, keras.optimizers.AdamW), (SGD, keras.optimizers.SGD)]
)
def test_every_argument_of_keras_s_is_taken_with_its_default(names):
    own, reference = names
    signature = inspect.signature(reference).parameters.values()
    defaults = {
        parameter.name: parameter.default for parameter in signature if parameter.name not in ("kwargs", "name")
    }
    ours, given, theirs = own().get_config(), own(**defaults).get_config(), reference().get_config()
    theirs["name"] = ours["name"]  # Keras numbers its names; a fixed name keeps the paths in checkpoints
    assert ours == given == theirs
