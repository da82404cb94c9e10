"""LSTM, GRU and SimpleRNN: Keras and PyTorch with the same weights, values by hand, carried states, dropout, cuDNN."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow.rnn import _standardize_cudnn_weights

from tfdl.layers import GRU, LSTM, SimpleRNN, cudnn
from tfdl.layers.cudnn import is_usable, pack_parameters, portable_kernels
from tfdl.layers.recurrent_loops import gru_loop, lstm_loop, simple_loop

KINDS = [
    pytest.param(LSTM, keras.layers.LSTM, id="lstm"),
    pytest.param(GRU, keras.layers.GRU, id="gru"),
    pytest.param(SimpleRNN, keras.layers.SimpleRNN, id="simple"),
]
ALL = [LSTM, GRU, SimpleRNN]
BATCH = 3
LENGTH = 7  # time steps
WIDTH = 5  # of the inputs
UNITS = 4


def inputs(length=LENGTH, dtype="float32"):
    return tf.constant(np.random.default_rng(0).normal(size=(BATCH, length, WIDTH)), dtype)


def gru_loop_with_bias(projected, kernel, h0, mask):
    bias = tf.constant(np.random.default_rng(5).normal(size=kernel.shape[1]))
    return gru_loop(projected, kernel, bias, h0, mask)


def randomized(layer, length=LENGTH):
    """The layer, built with random weights and biases."""
    layer(inputs(length))
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=weight.shape) * 0.5 for weight in layer.weights])
    return layer


def run(layer, x, state, factors):
    """Outputs, last state, and gradients of their weighted sum with respect to inputs, states and weights."""
    with tf.GradientTape() as tape:
        tape.watch([x, *state])
        outputs, *last = tf.nest.flatten(layer(x, state))
        sums = [tf.reduce_sum(value * factor) for value, factor in zip((outputs, *last), factors, strict=True)]
        total = tf.add_n(sums)
    weights = [weight.value for weight in layer.trainable_weights]
    return outputs, last, tape.gradient(total, [x, *state, *weights])


def assert_gradients_are_slopes(function, arguments):
    """Compares gradients with numerical differences in float64, for every element of every argument.

    A difference takes two calls for each element, so the arguments should be small.
    """
    theoretical, numerical = tf.test.compute_gradient(function, arguments, delta=1e-5)
    for gradient, slope in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-7)


class Reference(keras.layers.Layer):
    """The Keras layer with the signature of tfdl's."""

    def __init__(self, kind):
        super().__init__()
        self.layer = kind(UNITS, return_sequences=True, return_state=True)

    def call(self, x, state=None):
        initial_state = list(state) if state else None
        outputs, *last = self.layer(x, initial_state=initial_state)
        return outputs, tuple(last)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("layer_class", "keras_class"), KINDS)
def test_keras_s_layer_gives_the_same(layer_class, keras_class, mode):
    ours = randomized(layer_class(UNITS))
    theirs = Reference(keras_class)
    theirs(inputs())
    theirs.set_weights(ours.get_weights())
    random = np.random.default_rng(2)
    num_states = layer_class.num_states
    state = tuple(tf.constant(random.normal(size=(BATCH, UNITS)), "float32") for _ in range(num_states))
    shapes = [(BATCH, LENGTH, UNITS), *[(BATCH, UNITS)] * num_states]
    factors = [random.normal(size=shape).astype("float32") for shape in shapes]
    run_in_mode = run
    if mode != "eager":
        run_in_mode = tf.function(run, jit_compile=mode == "xla")
    actual = tf.nest.flatten(run_in_mode(ours, inputs(), state, factors))
    expected = tf.nest.flatten(run(theirs, inputs(), state, factors))
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer_class", ALL)
def test_gradients_are_slopes(layer_class):
    """For every argument of the layer, through time."""
    layer = randomized(layer_class(UNITS, dtype="float64"))
    random = np.random.default_rng(3)
    state = [tf.constant(random.normal(size=(BATCH, UNITS))) for _ in range(layer_class.num_states)]

    def total(x, *state):
        outputs, last = layer(x, state)
        return tf.reduce_sum(outputs**2) + tf.add_n([tf.reduce_sum(tf.sin(value)) for value in last])

    assert_gradients_are_slopes(total, [inputs(3, "float64"), *state])


@pytest.mark.parametrize(("batch", "units"), [(4, 5), (3, 4)])
@pytest.mark.parametrize("layer_class", ALL)
def test_xla_s_gradients_are_the_graph_s(layer_class, batch, units):
    """XLA on a CPU returned wrong gradients for the LSTM, only in float64 with a batch of 4 and 5 units."""
    layer = randomized(layer_class(units, dtype="float64"))
    x = tf.constant(np.random.default_rng(4).normal(size=(batch, 4, WIDTH)))

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x)[0] ** 2)
        return tape.gradient(total, [x, *layer.trainable_variables])

    compiled = tf.function(gradients, jit_compile=True)
    graph = tf.function(gradients)
    for value, reference in zip(compiled(x), graph(x), strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-10, atol=1e-12)


def test_an_lstm_step_by_hand():
    layer = LSTM(1)
    layer.build((None, 1, 1))
    kernel = np.array([[0.1, 0.2, 0.3, 0.4]])
    recurrent_kernel = np.array([[0.5, 0.6, 0.7, 0.8]])
    bias = np.array([0.01, 0.02, 0.03, 0.04])
    layer.set_weights([kernel, recurrent_kernel, bias])
    x = np.array([[[2.0]]], "float32")
    initial_h = np.array([[0.5]], "float32")
    initial_c = np.array([[-1.0]], "float32")
    outputs, (h, c) = layer(x, (initial_h, initial_c))

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    i = 2.0 * 0.1 + 0.5 * 0.5 + 0.01
    f = 2.0 * 0.2 + 0.5 * 0.6 + 0.02
    g = 2.0 * 0.3 + 0.5 * 0.7 + 0.03
    o = 2.0 * 0.4 + 0.5 * 0.8 + 0.04
    expected_c = sigmoid(f) * -1.0 + sigmoid(i) * np.tanh(g)
    expected_h = sigmoid(o) * np.tanh(expected_c)
    assert float(c[0, 0]) == pytest.approx(expected_c, rel=1e-6)
    assert float(h[0, 0]) == pytest.approx(expected_h, rel=1e-6)
    assert float(outputs[0, 0, 0]) == float(h[0, 0])


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_pytorch_gives_the_same(name):
    torch = pytest.importorskip("torch")
    layer_class = {"LSTM": LSTM, "GRU": GRU, "RNN": SimpleRNN}[name]
    ours = randomized(layer_class(UNITS))
    kernel, recurrent, bias = ours.get_weights()
    # PyTorch has a bias of the inputs and one of the state. Only tfdl's GRU has both.
    if bias.ndim == 2:
        input_bias, recurrent_bias = bias
    else:
        input_bias = bias
        recurrent_bias = np.zeros_like(bias)
    # PyTorch orders the gates of a GRU as r, z, n; tfdl as z, r, h.
    order = np.arange(kernel.shape[1])
    if name == "GRU":
        order = np.concatenate([order[UNITS : 2 * UNITS], order[:UNITS], order[2 * UNITS :]])
    theirs = getattr(torch.nn, name)(WIDTH, UNITS, batch_first=True)
    values = (kernel.T[order], recurrent.T[order], input_bias[order], recurrent_bias[order])
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(np.ascontiguousarray(value)))
        outputs, last = theirs(torch.tensor(inputs().numpy()))
    expected_state = last if name == "LSTM" else (last,)
    our_outputs, our_state = ours(inputs())
    np.testing.assert_allclose(our_outputs, outputs.numpy(), rtol=1e-5, atol=1e-5)
    for value, reference in zip(our_state, expected_state, strict=True):
        np.testing.assert_allclose(value, reference[0].numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer_class", ALL)
def test_pieces_with_the_state_carried_are_the_whole(layer_class):
    layer = randomized(layer_class(UNITS))
    whole, expected_state = layer(inputs())
    state = None
    pieces = []
    for steps in (slice(0, 3), slice(3, 4), slice(4, None)):
        outputs, state = layer(inputs()[:, steps], state)
        pieces.append(outputs)
    np.testing.assert_allclose(tf.concat(pieces, 1), whole, rtol=1e-6, atol=1e-7)
    for value, reference in zip(state, expected_state, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layer_class", ALL)
def test_a_dropped_unit_is_dropped_at_every_step(layer_class):
    """Compares each sample with a layer without dropout; the mask scales the rows of its recurrent kernel."""
    layer = randomized(layer_class(UNITS, recurrent_dropout=0.5, seed=1))
    random_state = np.asarray(layer.seed_generator.state)
    actual, _ = layer(inputs(), training=True)
    layer.seed_generator.state.assign(random_state)  # draws the same mask again
    mask = np.asarray(keras.random.dropout(tf.ones([BATCH, UNITS]), 0.5, seed=layer.seed_generator))
    assert set(np.unique(mask)) == {0.0, 2.0}
    kernel, recurrent, bias = layer.get_weights()
    for sample in range(BATCH):
        plain = randomized(layer_class(UNITS))
        plain.set_weights([kernel, recurrent * mask[sample][:, None], bias])
        expected, _ = plain(inputs())
        np.testing.assert_allclose(actual[sample], expected[sample], rtol=1e-5, atol=1e-6)
    # Without training nothing is dropped.
    at_inference, _ = layer(inputs())
    without_dropout, _ = randomized(layer_class(UNITS))(inputs())
    np.testing.assert_array_equal(at_inference, without_dropout)


@pytest.mark.parametrize("layer_class", ALL)
def test_gradients_go_through_the_mask(layer_class):
    layer = randomized(layer_class(UNITS, recurrent_dropout=0.5, seed=1, dtype="float64"))
    random_state = np.asarray(layer.seed_generator.state)

    def total(x):
        layer.seed_generator.state.assign(random_state)  # the same mask in every call
        outputs, _ = layer(x, training=True)
        return tf.reduce_sum(outputs**2)

    assert_gradients_are_slopes(total, [inputs(3, "float64")])


@pytest.mark.parametrize(
    ("loop", "gates", "num_states"),
    [
        pytest.param(lstm_loop, 4, 2, id="lstm"),
        pytest.param(gru_loop_with_bias, 3, 1, id="gru"),
        pytest.param(simple_loop, 1, 1, id="simple"),
    ],
)
def test_loops_have_the_right_slopes_under_a_mask(loop, gates, num_states):
    random = np.random.default_rng(4)
    length = 3
    batch = 2
    units = 3
    # The inputs' part of all gates, the recurrent kernel, and the states.
    shapes = [(length, batch, gates * units), (units, gates * units), *[(batch, units)] * num_states]
    arguments = [tf.constant(random.normal(size=shape)) for shape in shapes]
    mask = tf.constant([[2.0, 0.0, 2.0], [0.0, 2.0, 2.0]], "float64")  # (batch, units)

    def total(*arguments):
        return tf.add_n([tf.reduce_sum(tf.sin(value)) for value in loop(*arguments, mask=mask)])

    assert_gradients_are_slopes(total, arguments)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize("layer_class", ALL)
def test_other_precisions(layer_class, policy):
    layer = randomized(layer_class(UNITS, dtype=policy))
    plain = randomized(layer_class(UNITS))
    outputs, state = layer(inputs())
    assert {value.dtype for value in (outputs, *state)} == {tf.as_dtype(layer.compute_dtype)}
    expected, _ = plain(inputs())
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, atol=0.05)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("layer_class", ALL)
def test_the_gradient_of_a_bias_is_summed_in_more_than_16_bits(layer_class, policy):
    """The gradient is a sum over all steps of all samples. In 16 bits it would stop growing after a few hundred."""
    x = np.random.default_rng(0).normal(size=(256, 100, WIDTH))
    weights = randomized(layer_class(UNITS)).get_weights()

    def slopes(policy):
        layer = layer_class(UNITS, dtype=policy)
        layer.build(x.shape)
        layer.set_weights(weights)

        @tf.function
        def gradient():
            with tf.GradientTape() as tape:
                outputs, _ = layer(tf.cast(x, layer.compute_dtype))
                total = tf.reduce_mean(tf.cast(outputs, tf.float64)) * x.shape[0]
            return tape.gradient(total, layer.bias.value)

        return np.asarray(gradient(), "float64")

    expected = slopes("float64")
    np.testing.assert_allclose(slopes(policy), expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize("layer_class", ALL)
def test_a_layer_comes_back_from_its_configuration(layer_class):
    layer = layer_class(
        UNITS, recurrent_dropout=0.25, seed=3, kernel_initializer=keras.initializers.RandomUniform(-0.1, 0.1)
    )
    again = layer_class.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("layer_class", ALL)
def test_shapes_are_known_and_may_be_unknown(layer_class):
    layer = randomized(layer_class(UNITS))
    graph = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec([None, None, WIDTH]))
    outputs, _ = graph(inputs())
    expected, _ = layer(inputs())
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)
    known = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec([2, 9, WIDTH]))
    symbolic_outputs, symbolic_state = known.structured_outputs
    assert symbolic_outputs.shape == (2, 9, UNITS)
    assert all(value.shape == (2, UNITS) for value in symbolic_state)


def test_the_forget_gate_begins_open():
    layer = LSTM(2, forget_bias=1.5)
    layer.build((None, None, 3))
    assert np.asarray(layer.bias).tolist() == [0, 0, 1.5, 1.5, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(0), "LSTM units=0, expected at least 1"),
        (lambda: GRU(3, recurrent_dropout=1.0), "GRU recurrent_dropout=1.0, expected a number from 0 to below 1"),
        (
            lambda: SimpleRNN(3)(np.zeros((2, 3), "float32")),
            r"SimpleRNN got inputs of shape \(2, 3\), expected \(batch, time, dim\)",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_are_packed_for_cudnn_as_keras_packs_them():
    random = np.random.default_rng(0)
    shapes = [(WIDTH, UNITS)] * 4 + [(UNITS, UNITS)] * 4
    weights = [tf.constant(random.normal(size=shape)) for shape in shapes]
    biases = [tf.constant(random.normal(size=UNITS)) for _ in range(8)]
    expected = _standardize_cudnn_weights(weights, biases, tf.constant([-1]), transpose_weights=True)
    np.testing.assert_array_equal(pack_parameters(weights, biases), expected)


@pytest.mark.parametrize("layer_class", [LSTM, GRU])
def test_cudnn_gets_the_gates_in_its_order(layer_class, monkeypatch):
    """PyTorch replaces the op: its parameters have cuDNN's layout, kernels first and then biases."""
    torch = pytest.importorskip("torch")
    layer = randomized(layer_class(UNITS))
    _, state = layer(inputs())  # any values except zero
    expected = tf.nest.flatten(layer(inputs(), state))

    def stand_in(*, input, input_h, input_c, params, sequence_lengths, rnn_mode, is_training):
        assert is_training  # without it the op has no gradient
        assert sequence_lengths.numpy().tolist() == [LENGTH] * BATCH
        reference = getattr(torch.nn, rnn_mode.upper())(WIDTH, UNITS)
        torch.nn.utils.vector_to_parameters(torch.tensor(params.numpy()), reference.parameters())
        x = torch.tensor(input.numpy())
        h = torch.tensor(input_h.numpy())
        c = torch.tensor(input_c.numpy())
        if rnn_mode == "lstm":
            outputs, (last_h, last_c) = reference(x, (h, c))
        else:  # the GRU has no cell state; the op returns what it got
            outputs, last_h = reference(x, h)
            last_c = c
        return tuple(tf.constant(value.detach().numpy()) for value in (outputs, last_h, last_c))

    monkeypatch.setattr(cudnn, "is_usable", lambda _: True)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", stand_in)
    actual = tf.nest.flatten(layer(inputs(), state))
    for value, reference in zip(actual, expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-6)


def test_cudnn_is_for_machines_with_a_gpu_and_graphs_that_stay(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: [])
    assert not is_usable(None)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])
    assert is_usable(None)
    assert not is_usable(tf.ones([2, 3]))
    with portable_kernels():
        assert not is_usable(None)
    assert is_usable(None)


@pytest.mark.parametrize("layer_class", [LSTM, GRU])
def test_an_exported_graph_has_no_kernel_of_cudnn(layer_class, monkeypatch):
    layer = randomized(layer_class(UNITS))
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])

    def operations():
        call = tf.function(layer.call)
        graph = call.get_concrete_function(tf.TensorSpec((None, None, WIDTH))).graph
        return {operation.type for operation in graph.get_operations()}

    assert "CudnnRNNV3" in operations()
    with portable_kernels():
        assert "CudnnRNNV3" not in operations()


@pytest.mark.parametrize("layer_class", [LSTM, GRU])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_cudnn_computes_bfloat16_in_float32(layer_class, policy, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])
    layer = layer_class(UNITS, dtype=policy)
    layer.build((None, None, WIDTH))
    spec = tf.TensorSpec((None, None, WIDTH), layer.compute_dtype)
    graph = tf.function(lambda x: layer(x)).get_concrete_function(spec)
    (kernel,) = (op for op in graph.graph.get_operations() if op.type == "CudnnRNNV3")
    expected = {"mixed_bfloat16": "float32", "mixed_float16": "float16", "float64": "float64"}[policy]
    # The inputs of the op: the sequence, its two states, the parameters.
    assert {kernel.inputs[index].dtype.name for index in range(4)} == {expected}
    assert all(value.dtype == layer.compute_dtype for value in tf.nest.flatten(graph.structured_outputs))


@pytest.mark.skipif(not cudnn.is_present(), reason="cuDNN runs only on a GPU")
@pytest.mark.parametrize("layer_class", [LSTM, GRU])
@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_bfloat16", "mixed_float16"])
def test_cudnn_gives_what_the_loop_gives(layer_class, policy):
    layer = randomized(layer_class(UNITS, dtype=policy))
    x = inputs(dtype=layer.compute_dtype)
    _, state = layer(x)
    results = tf.nest.flatten(layer(x, state))
    factors = [keras.random.normal(value.shape, dtype=value.dtype) for value in results]
    actual = tf.nest.flatten(run(layer, x, state, factors))
    with portable_kernels():
        expected = tf.nest.flatten(run(layer, x, state, factors))
    tolerance = {"float32": 2e-3, "float64": 1e-9}.get(policy, 5e-2)  # float32 products may be computed in TF32
    for value, reference in zip(actual, expected, strict=True):
        value = tf.cast(value, "float64")
        reference = tf.cast(reference, "float64")
        np.testing.assert_allclose(value, reference, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("xla", "expected"), [(False, True), (True, False)])
def test_a_graph_that_xla_compiles_does_not_use_cudnn(xla, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])
    answers = []

    @tf.function
    def inner(x):
        answers.append(is_usable(None))
        return x

    @tf.function(jit_compile=xla)
    def step(x):
        answers.append(is_usable(None))
        return inner(x)

    step(tf.ones([2]))
    assert len(answers) >= 2  # outer and inner function
    assert set(answers) == {expected}


def test_keras_s_fit_compiles_no_layer_that_cudnn_runs(monkeypatch):
    monkeypatch.setattr(cudnn, "is_present", lambda: False)
    assert randomized(LSTM(UNITS)).supports_jit
    monkeypatch.setattr(cudnn, "is_present", lambda: True)
    monkeypatch.setattr(cudnn, "is_usable", lambda _: False)
    assert not randomized(LSTM(UNITS)).supports_jit
    assert not randomized(GRU(UNITS)).supports_jit
    assert randomized(LSTM(UNITS, recurrent_dropout=0.5)).supports_jit
    assert randomized(SimpleRNN(UNITS)).supports_jit
