"""BatchNormalization: values by hand, Keras's layer, and several ranks against one rank with the whole batch."""

import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed.world import statistics_weight
from tfdl.layers import BatchNormalization, batch_kernels

# Shape of the inputs and the channel axis: every rank, channels last and first.
SHAPES = [
    ((8, 5), -1),
    ((8, 5), 1),
    ((4, 6, 5), -1),
    ((4, 5, 6), 1),
    ((4, 6, 7, 5), -1),
    ((4, 6, 7, 5), 3),
    ((4, 5, 6, 7), 1),
    ((2, 3, 2, 3, 5), -1),
]


@pytest.fixture(params=["kernel", "formula"])
def way(request, monkeypatch):
    """Runs a test twice: with TensorFlow's kernels for inputs of any size, then with the formula."""
    least_sizes = {"kernel": 0, "formula": 1 << 60}
    monkeypatch.setattr(batch_kernels, "LEAST_SIZE", least_sizes[request.param])
    return request.param


both_ways = pytest.mark.usefixtures("way")


def pair(shape, axis=-1, **arguments):
    """Our layer and Keras's, built for ``shape`` with the same random weights."""
    ours = BatchNormalization(axis=axis, **arguments)
    theirs = keras.layers.BatchNormalization(axis=axis, **arguments)
    ours.build(shape)
    theirs.build(shape)
    random = np.random.default_rng(1)
    weights = [random.uniform(0.5, 2, weight.shape) for weight in ours.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def outputs_and_gradients(layer, inputs, upstream, **call):
    """The outputs, and the gradients of ``sum(outputs * upstream)`` with respect to inputs and trainable weights."""
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, **call)
        objective = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
    sources = [inputs, *(weight.value for weight in layer.trainable_variables)]
    gradients = tape.gradient(objective, sources)
    return [np.asarray(tf.cast(value, tf.float32)) for value in (outputs, *gradients)]


def assert_same_as_keras(ours, theirs, inputs, *, rtol=1e-4, atol=1e-5, **call):
    upstream = random_upstream(inputs.shape)
    actual = outputs_and_gradients(ours, inputs, upstream, **call)
    expected = outputs_and_gradients(theirs, inputs, upstream, **call)
    assert len(actual) == len(expected)
    # A layer without gamma or beta has fewer gradients than there are names.
    for name, value, reference in zip(("outputs", "inputs", "gamma", "beta"), actual, expected, strict=False):
        np.testing.assert_allclose(value, reference, rtol=rtol, atol=atol, err_msg=name)
    for mine, other in zip(ours.non_trainable_variables, theirs.non_trainable_variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol, err_msg=mine.path)


def random_inputs(shape, dtype="float32"):
    return np.random.default_rng(0).normal(3, 2, shape).astype(dtype)


def random_upstream(shape):
    """The gradient of an objective with respect to outputs of this shape."""
    return np.random.default_rng(2).normal(size=shape).astype("float32")


# By hand


@both_ways
def test_hand_computed_training():
    # x = (0, 4): mu = 2, sigma^2 = 4; x = (1, 3): mu = 2, sigma^2 = 1. With epsilon 0 the rows become -1 and 1.
    layer = BatchNormalization(momentum=0.75, epsilon=0.0, beta_initializer="ones")
    outputs = layer(np.array([[0.0, 1.0], [4.0, 3.0]], "float32"), training=True)
    np.testing.assert_allclose(outputs, [[0, 0], [2, 2]], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, [0.5, 0.5])  # 0.75 * 0 + 0.25 * 2
    np.testing.assert_allclose(layer.moving_variance, [1.75, 1.0])  # 0.75 * 1 + 0.25 * (4, 1)


@both_ways
def test_hand_computed_training_of_an_image():
    # TensorFlow's kernel reports the unbiased variance, 16 / 3 here; the moving statistics take sigma^2 = 4.
    layer = BatchNormalization(momentum=0.75, epsilon=12.0)
    outputs = layer(np.array([0.0, 0.0, 4.0, 4.0], "float32").reshape(1, 2, 2, 1), training=True)
    np.testing.assert_allclose(np.ravel(outputs), [-0.5, -0.5, 0.5, 0.5], rtol=1e-6)  # 2 / sqrt(4 + 12)
    np.testing.assert_allclose(layer.moving_mean, [0.5])
    np.testing.assert_allclose(layer.moving_variance, [1.75], rtol=1e-6)


@both_ways
def test_hand_computed_inference():
    layer = BatchNormalization(epsilon=1.0)
    layer.build((None, 1))
    layer.set_weights(np.array([[3.0], [10.0], [2.0], [8.0]]))  # gamma, beta, moving mean, moving variance
    np.testing.assert_allclose(layer(np.array([[5.0]])), [[13.0]], rtol=1e-6)  # 3 * (5 - 2) / sqrt(8 + 1) + 10


# Against Keras


@both_ways
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_as_keras(shape, axis, training):
    assert_same_as_keras(*pair(shape, axis, momentum=0.7, epsilon=0.01), random_inputs(shape), training=training)


@both_ways
@pytest.mark.parametrize("shape", [(8, 5), (4, 6, 7, 5)])
@pytest.mark.parametrize("switches", [{"center": False}, {"scale": False}, {"center": False, "scale": False}])
def test_as_keras_without_beta_or_gamma(shape, switches):
    assert_same_as_keras(*pair(shape, **switches), random_inputs(shape), training=True)


@both_ways
@pytest.mark.parametrize("shape", [(1, 5), (1, 1, 1, 5), (2, 1, 1, 5)])
def test_as_keras_with_hardly_a_sample(shape):
    assert_same_as_keras(*pair(shape), random_inputs(shape), training=True)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float32", 1e-5), ("float64", 1e-7), ("mixed_float16", 2e-2), ("mixed_bfloat16", 0.1)],
)
def test_as_keras_with_a_mask(dtype, tolerance):
    mask = np.array([[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0] * 6, [1] * 6], bool)
    layers = pair((4, 6, 5), dtype=dtype)
    inputs = random_inputs((4, 6, 5))
    assert_same_as_keras(*layers, inputs, training=True, mask=mask, rtol=tolerance, atol=tolerance)


def test_as_keras_with_a_mask_of_images():
    mask = np.random.default_rng(3).random((4, 6, 7)) < 0.5
    assert_same_as_keras(*pair((4, 6, 7, 5)), random_inputs((4, 6, 7, 5)), training=True, mask=mask)


@both_ways
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(32, 5), (4, 6, 7, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 5e-3), ("bfloat16", 5e-2)])
def test_as_keras_in_half_precision(dtype, tolerance, shape, training):
    ours, theirs = pair(shape, dtype=f"mixed_{dtype}")
    inputs = tf.cast(random_inputs(shape), dtype)
    upstream = random_upstream(shape)
    actual = outputs_and_gradients(ours, inputs, upstream, training=training)
    expected = outputs_and_gradients(theirs, inputs, upstream, training=training)
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=tolerance, atol=tolerance * np.abs(reference).max())
    assert {weight.dtype for weight in ours.weights} == {"float32"}
    for mine, other in zip(ours.non_trainable_variables, theirs.non_trainable_variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4)
    assert ours(inputs, training=training).dtype == dtype


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_as_keras_in_float64(shape, axis, training):
    layers = pair(shape, axis, dtype="float64")
    assert {weight.dtype for weight in layers[0].weights} == {"float64"}
    assert_same_as_keras(*layers, random_inputs(shape, "float64"), training=training, rtol=1e-6, atol=1e-6)


@both_ways
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(32, 5), (4, 6, 7, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 5e-3), ("bfloat16", 5e-2)])
def test_as_keras_with_weights_of_half_precision(dtype, tolerance, shape, training):
    ours, theirs = pair(shape, dtype=dtype)
    inputs = tf.cast(random_inputs(shape), dtype)
    outputs = ours(inputs, training=training)
    dtypes = {outputs.dtype, *(tf.as_dtype(weight.dtype) for weight in ours.weights)}
    assert dtypes == {tf.as_dtype(dtype)}
    expected = tf.cast(theirs(inputs, training=training), "float32")
    np.testing.assert_allclose(tf.cast(outputs, "float32"), expected, rtol=tolerance, atol=tolerance)
    for mine, other in zip(ours.non_trainable_variables, theirs.non_trainable_variables, strict=True):
        np.testing.assert_allclose(tf.cast(mine, "float32"), tf.cast(other, "float32"), rtol=tolerance)


@both_ways
@pytest.mark.parametrize("shape", [(4096, 2), (64, 8, 8, 2)])
def test_statistics_of_half_precision_are_float32(shape):
    """In float16 the sum of so many values would be infinite, and a mean of 1000 accurate only to 0.5."""
    inputs = np.random.default_rng(0).normal(1000, 5, shape).astype("float16")
    layer = BatchNormalization(momentum=0.0, dtype="mixed_float16")
    outputs = tf.cast(layer(inputs, training=True), "float64")
    exact = inputs.astype("float64").reshape(-1, 2)
    np.testing.assert_allclose(layer.moving_mean, exact.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, exact.var(0), rtol=1e-4)
    expected = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-3)
    np.testing.assert_allclose(tf.reshape(outputs, (-1, 2)), expected, atol=5e-3)


@pytest.mark.parametrize("training", [True, False])
def test_whole_numbers_are_normalized_as_in_keras(training):
    ours, theirs = pair((8, 5))
    inputs = np.random.default_rng(0).integers(-9, 9, (8, 5))
    outputs = ours(inputs, training=training)
    assert outputs.dtype == "float32"
    np.testing.assert_allclose(outputs, theirs(inputs, training=training), rtol=1e-5, atol=1e-5)


def operations(layer, shape, training):
    """The types of the operations in the layer's graph."""
    call = tf.function(lambda inputs: layer(inputs, training=training))
    graph = call.get_concrete_function(tf.TensorSpec(shape)).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("training", [True, False])
def test_large_samples_take_the_fused_kernel_and_small_ones_the_formula(training):
    is_fused = {(16, 16, 8): True, (2048,): True, (None, 4): True, (4, 4, 8): False, (64,): False}
    for sample_shape, expected in is_fused.items():
        layer = BatchNormalization()
        layer.build((None, *sample_shape))
        in_graph = operations(layer, (None, *sample_shape), training)
        assert ("FusedBatchNormV3" in in_graph) == expected, sample_shape


@both_ways
@pytest.mark.parametrize("training", [True, False])
def test_compiled_by_xla_it_does_the_same(training):
    shape = (4, 6, 7, 5)
    compiled, _ = pair(shape)
    plain, _ = pair(shape)
    inputs = random_inputs(shape)
    upstream = random_upstream(shape)

    @tf.function(jit_compile=True)
    def run(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = compiled(inputs, training=training)
        return outputs, tape.gradient(outputs, inputs, upstream)

    expected = outputs_and_gradients(plain, inputs, upstream, training=training)
    for value, reference in zip(run(tf.constant(inputs)), expected, strict=False):
        np.testing.assert_allclose(value, reference, rtol=1e-4, atol=1e-5)
    for mine, other in zip(compiled.non_trainable_variables, plain.non_trainable_variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_arguments_and_defaults_are_keras_s():
    def defaults(layer):
        parameters = inspect.signature(layer).parameters
        return [(name, parameter.default) for name, parameter in parameters.items()]

    assert defaults(BatchNormalization) == defaults(keras.layers.BatchNormalization)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"axis": 1, "momentum": 0.5, "epsilon": 0.25, "center": False, "name": "mine", "dtype": "mixed_float16"},
        {"renorm_clipping": {"rmax": 2.0}, "renorm_momentum": 0.5, "synchronized": True, "trainable": False},
        {
            "gamma_initializer": keras.initializers.Constant(2.0),
            "beta_regularizer": "l2",
            "gamma_constraint": "non_neg",
        },
    ],
)
def test_the_configuration_is_keras_s_in_both_directions(arguments):
    theirs = keras.layers.BatchNormalization(**arguments)
    ours = BatchNormalization.from_config(theirs.get_config())
    assert ours.get_config() == theirs.get_config()
    assert keras.layers.BatchNormalization.from_config(ours.get_config()).get_config() == theirs.get_config()


def test_a_model_of_keras_s_layers_gets_ours():
    """By ``clone_model``, which makes layers from configurations; their weights are in the same order."""
    layers = [keras.Input((4, 3)), keras.layers.BatchNormalization(axis=1), keras.layers.BatchNormalization()]
    model = keras.Sequential(layers)
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 2, weight.shape) for weight in model.get_weights()])
    clone = keras.models.clone_model(
        model, clone_function=lambda layer: BatchNormalization.from_config(layer.get_config())
    )
    clone.set_weights(model.get_weights())
    inputs = random.normal(size=(8, 4, 3))
    assert {type(layer) for layer in clone.layers} == {BatchNormalization}
    for training in (True, False):
        expected = model(inputs, training=training)
        np.testing.assert_allclose(clone(inputs, training=training), expected, rtol=1e-4, atol=1e-5)
    for value, expected in zip(clone.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_batch_renormalization_is_refused():
    message = r"renorm=True, expected False; use keras\.layers\.BatchNormalization"
    with pytest.raises(ValueError, match=message):
        BatchNormalization(renorm=True)
    with pytest.raises(TypeError, match=message):  # Keras's from_config turns every error into this one
        BatchNormalization.from_config(keras.layers.BatchNormalization(renorm=True).get_config())


def test_weights_and_losses_by_the_switches():
    for center, scale in itertools.product([True, False], repeat=2):
        layers = [
            kind(center=center, scale=scale, beta_regularizer="l2", gamma_regularizer="l2", name="bn")
            for kind in (BatchNormalization, keras.layers.BatchNormalization)
        ]
        assert layers[0].moving_mean is layers[1].moving_mean is None
        for trainable in (True, False):
            found = []
            for layer in layers:
                layer.trainable = trainable
                layer(np.ones((2, 4, 4, 3), "float32"), training=True)
                found.append(
                    [
                        [(weight.path, tuple(weight.shape), weight.trainable) for weight in layer.weights],
                        len(layer.trainable_weights),
                        len(layer.losses),
                    ]
                )
            assert found[0] == found[1]


def test_statistics_beyond_float16_in_an_autocast_scope():
    layer = BatchNormalization()
    layer.build((None, 2))
    with keras.src.backend.AutocastScope("float16"):
        layer.moving_variance.assign([1e5, 2e5])
        np.testing.assert_array_equal(layer.moving_variance.value, [1e5, 2e5])


def test_numbers_of_numpy_are_axes():
    assert BatchNormalization(axis=np.int64(1)).get_config()["axis"] == 1


def test_the_shape_of_the_outputs():
    assert BatchNormalization(axis=1).compute_output_shape((None, 3, None)) == (None, 3, None)
    for axis in (2, -3):
        with pytest.raises(ValueError, match=rf"axis={axis} does not fit inputs of shape \(None, 3\)"):
            BatchNormalization(axis=axis).compute_output_shape((None, 3))


# Inputs that are hard to normalize


@both_ways
@pytest.mark.parametrize("shape", [(512, 3), (32, 16, 3)])
def test_a_small_variance_about_a_large_mean(shape):
    inputs = np.random.default_rng(0).normal(1e4, 1e-1, shape).astype("float32")
    layer = BatchNormalization(momentum=0.0, epsilon=1e-6)
    outputs = np.asarray(layer(inputs, training=True))
    exact = inputs.astype("float64").reshape(-1, 3)
    expected = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-6)
    # In float32 the squares of 1e4 are accurate only to 8, so E[x^2] - E[x]^2 could not resolve a variance of 1e-2.
    np.testing.assert_allclose(layer.moving_variance, exact.var(0), rtol=5e-3)
    np.testing.assert_allclose(outputs.reshape(-1, 3), expected, atol=0.1)


@both_ways
def test_a_constant_channel_becomes_beta():
    layer = BatchNormalization(beta_initializer="ones")
    outputs = layer(np.full((16, 2), 7.0, "float32"), training=True)
    np.testing.assert_allclose(outputs, np.ones((16, 2)), atol=1e-5)


@both_ways
@pytest.mark.parametrize("shape", [(0, 3), (0, 4, 3), (0, 4, 4, 3)])
def test_an_empty_batch_leaves_the_moving_statistics(shape):
    layer, _ = pair((None, *shape[1:]))
    before = [np.asarray(weight) for weight in layer.non_trainable_variables]
    assert layer(np.zeros(shape, "float32"), training=True).shape == shape
    for weight, value in zip(layer.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_mask_without_any_sample_leaves_the_moving_statistics():
    layer, _ = pair((2, 4, 3))
    before = [np.asarray(weight) for weight in layer.non_trainable_variables]
    outputs = layer(random_inputs((2, 4, 3)), training=True, mask=np.zeros((2, 4), bool))
    assert np.isfinite(outputs).all()
    for weight, value in zip(layer.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(weight, value)


# Masks


@pytest.mark.parametrize(("shape", "axis"), [((6, 5), -1), ((6, 4, 5), -1), ((6, 5, 4), 1), ((6, 3, 3, 5), -1)])
def test_statistics_are_of_the_unmasked_samples(shape, axis):
    inputs = random_inputs(shape)
    keep = np.array([True, False, True, True, False, True])
    masked, _ = pair(shape, axis)
    plain, _ = pair(shape, axis)
    outputs = np.asarray(masked(inputs, training=True, mask=keep))
    np.testing.assert_allclose(outputs[keep], plain(inputs[keep], training=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(masked.moving_mean, plain.moving_mean, rtol=1e-6)
    np.testing.assert_allclose(masked.moving_variance, plain.moving_variance, rtol=1e-5)


def test_a_mask_travels_through_the_model():
    sequence = keras.Sequential([keras.layers.Masking(), BatchNormalization(momentum=0.0)])
    sequence(np.array([[[1.0], [3.0], [0.0]]], "float32"), training=True)
    np.testing.assert_allclose(sequence.layers[1].moving_mean, [2.0])


# Modes and configuration


@both_ways
def test_a_frozen_layer_runs_in_inference_mode():
    shape = (8, 5)
    layer, _ = pair(shape)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(random_inputs(shape), training=True), layer(random_inputs(shape)))
    for value, weight in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(value, weight)


@both_ways
def test_inference_is_the_default():
    layer, _ = pair((8, 5))
    np.testing.assert_array_equal(layer(random_inputs((8, 5))), layer(random_inputs((8, 5)), training=False))


def test_it_comes_back_from_its_configuration():
    layer = BatchNormalization(
        axis=1,
        momentum=0.5,
        epsilon=0.25,
        center=False,
        gamma_initializer=keras.initializers.Constant(3.0),
        moving_mean_initializer="ones",
        gamma_regularizer=keras.regularizers.L2(0.5),
        gamma_constraint="non_neg",
        synchronized=True,
        name="mine",
    )
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(copy, BatchNormalization)
    assert copy.get_config() == layer.get_config()
    layer.build((None, 4, 3))
    copy.build((None, 4, 3))
    np.testing.assert_array_equal(copy.gamma, np.full(4, 3.0))
    np.testing.assert_array_equal(copy.moving_mean, np.ones(4))
    assert copy.beta is None
    assert float(tf.add_n(copy.losses)) == pytest.approx(0.5 * 4 * 9)  # L2 of 0.5; 4 values of 3


def test_a_symbolic_batch_keeps_its_shape():
    inputs = keras.Input((None, None, 3))
    for layer in (BatchNormalization(), BatchNormalization(synchronized=True)):
        assert layer(inputs).shape == (None, None, None, 3)


@pytest.mark.parametrize(
    ("axis", "shape", "message"),
    [
        (4, (2, 3), r"axis=4 does not fit inputs of shape \(2, 3\)"),
        (-3, (2, 3), r"axis=-3 does not fit inputs of shape \(2, 3\)"),
        (0, (2,), r"axis=0 does not fit inputs of shape \(2,\)"),
        (-1, (2, None), r"needs a known size on its channel axis -1, got shape \(2, None\)"),
    ],
)
def test_shapes_that_do_not_fit(axis, shape, message):
    with pytest.raises(ValueError, match=f"BatchNormalization {message}"):
        BatchNormalization(axis=axis).build(shape)


def test_several_axes_are_refused():
    with pytest.raises(ValueError, match=r"BatchNormalization axis=\[1, 2\], expected one integer"):
        BatchNormalization(axis=[1, 2])


# Over ranks

# The bounds of each rank's samples in a batch of 8. Some ranks have none.
PARTS = [[0, 5, 8], [0, 1, 8], [0, 8, 8], [0, 0, 8], [0, 2, 6, 8]]


def assert_ranks_equal_whole_batch(ranks, shape, ends, mask=None, rtol=1e-4, atol=1e-5, **arguments):
    """Compares a synchronized layer, with a part of a batch on each rank, with Keras's layer on the whole batch."""
    _, theirs = pair(shape, **arguments)
    inputs = random_inputs(shape, theirs.compute_dtype)
    upstream = random_upstream(shape)
    expected = outputs_and_gradients(theirs, inputs, upstream, training=True, mask=mask)
    parts = [slice(*part) for part in itertools.pairwise(ends)]
    layers = [pair(shape, synchronized=True, **arguments)[0] for _ in parts]

    def run(rank):
        part = parts[rank]
        part_of_mask = None if mask is None else mask[part]
        return outputs_and_gradients(layers[rank], inputs[part], upstream[part], training=True, mask=part_of_mask)

    results = ranks(len(parts)).run(run)
    outputs, inputs_gradients, gamma_gradients, beta_gradients = zip(*results, strict=True)
    np.testing.assert_allclose(np.concatenate(outputs), expected[0], rtol=rtol, atol=atol)
    np.testing.assert_allclose(np.concatenate(inputs_gradients), expected[1], rtol=rtol, atol=atol)
    # A weight's gradient is a sum over samples; each rank has its own samples' part of it.
    np.testing.assert_allclose(sum(gamma_gradients), expected[2], rtol=rtol, atol=10 * atol)
    np.testing.assert_allclose(sum(beta_gradients), expected[3], rtol=rtol, atol=10 * atol)
    for layer in layers:
        for mine, other in zip(layer.non_trainable_variables, theirs.non_trainable_variables, strict=True):
            np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol)


@both_ways
@pytest.mark.parametrize("ends", PARTS)
@pytest.mark.parametrize("shape", [(8, 5), (8, 4, 5), (8, 3, 3, 5)])
def test_ranks_equal_keras_on_the_whole_batch(ranks, shape, ends):
    assert_ranks_equal_whole_batch(ranks, shape, ends)


@pytest.mark.parametrize("ends", PARTS)
def test_ranks_equal_the_whole_batch_in_float64(ranks, ends):
    assert_ranks_equal_whole_batch(ranks, (8, 3, 3, 5), ends, dtype="float64", rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("ends", PARTS)
def test_ranks_with_masks_equal_the_whole_batch(ranks, ends):
    mask = np.random.default_rng(3).random((8, 4)) < 0.6
    assert_ranks_equal_whole_batch(ranks, (8, 4, 5), ends, mask=mask)


@both_ways
def test_ranks_equal_the_whole_batch_in_half_precision(ranks):
    assert_ranks_equal_whole_batch(ranks, (8, 3, 3, 5), [0, 5, 8], dtype="mixed_float16", rtol=1e-2, atol=1e-2)


@both_ways
@pytest.mark.parametrize("shape", [(512, 3), (128, 2, 2, 3)])
def test_ranks_keep_a_small_variance_about_a_large_mean(ranks, shape):
    inputs = np.random.default_rng(0).normal(1e4, 1e-1, shape).astype("float32")
    halves = np.split(inputs, 2)
    layers = [BatchNormalization(momentum=0.0, synchronized=True) for _ in halves]
    ranks(2).run(lambda rank: layers[rank](halves[rank], training=True))
    exact = inputs.astype("float64").reshape(-1, 3).var(0)
    for layer in layers:
        np.testing.assert_allclose(layer.moving_variance, exact, rtol=5e-3)


def test_an_unsynchronized_layer_runs_no_collective(ranks):
    ranks(2)  # a collective would wait for the other rank and fail
    layer, reference = pair((8, 5))
    inputs = random_inputs((8, 5))
    np.testing.assert_allclose(layer(inputs, training=True), reference(inputs, training=True), rtol=1e-4, atol=1e-5)


@both_ways
@pytest.mark.parametrize("masked", [False, True])
def test_there_is_one_collective_forward_and_one_backward(ranks, monkeypatch, masked):
    world = ranks(2)
    exchange = world._tensors_of_all
    ranks_of_calls = []

    def count_and_exchange(tensor):
        ranks_of_calls.append(world.rank)
        return exchange(tensor)

    monkeypatch.setattr(world, "_tensors_of_all", count_and_exchange)
    layers = [pair((4, 6, 5), synchronized=True)[0] for _ in range(2)]
    inputs = tf.constant(random_inputs((4, 6, 5)))
    mask = np.ones((4, 6), bool) if masked else None

    def run(rank):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layers[rank](inputs, training=True, mask=mask)
        after_forward = ranks_of_calls.count(rank)
        tape.gradient(outputs, [inputs, layers[rank].gamma.value])
        return after_forward, ranks_of_calls.count(rank)

    assert world.run(run) == [(1, 2), (1, 2)]


@both_ways
@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 5), (6, 3, 3, 5)])
def test_a_rank_with_a_stand_in_batch_counts_nothing(ranks, shape):
    """A rank without samples takes part in the collectives with any rows and weight 0."""
    inputs = random_inputs(shape)
    upstream = random_upstream(shape)
    whole, _ = pair(shape)
    expected = outputs_and_gradients(whole, inputs, upstream, training=True)
    layers = [pair(shape, synchronized=True)[0] for _ in range(3)]
    # Inputs, gradient of the outputs and weight of each rank.
    parts = [
        (inputs[:4], upstream[:4], 1.0),
        (inputs[4:], upstream[4:], 1.0),
        (inputs[:1] + 99, 0 * upstream[:1], 0.0),  # the stand-in
    ]

    def run(rank):
        part, part_of_upstream, weight = parts[rank]
        with statistics_weight(weight):
            return outputs_and_gradients(layers[rank], part, part_of_upstream, training=True)

    outputs, inputs_gradients, gamma_gradients, beta_gradients = zip(*ranks(3).run(run), strict=True)
    np.testing.assert_allclose(np.concatenate(outputs[:2]), expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(inputs_gradients[:2]), expected[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(inputs_gradients[2], np.zeros((1, *shape[1:])))
    np.testing.assert_allclose(sum(gamma_gradients), expected[2], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sum(beta_gradients), expected[3], rtol=1e-4, atol=1e-4)
    for layer in layers:
        for mine, other in zip(layer.non_trainable_variables, whole.non_trainable_variables, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5)


@pytest.mark.parametrize("count", [0.0, 1.0])
def test_a_single_value_has_no_variance_whatever_the_kernel_returns(count):
    """On a GPU the kernel divides by m - 1, which is 0."""
    from_kernel = tf.constant([np.nan, 3.0])
    variance = batch_kernels._biased_variance(from_kernel, tf.constant(count))
    assert np.asarray(variance).tolist() == [0, 0]
