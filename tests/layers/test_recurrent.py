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
BATCH, LENGTH, WIDTH, UNITS = 3, 7, 5, 4


def inputs(length=LENGTH, dtype="float32"):
    return tf.constant(np.random.default_rng(0).normal(size=(BATCH, length, WIDTH)), dtype)


def bias(width):
    return tf.constant(np.random.default_rng(5).normal(size=width))


def randomized(layer, length=LENGTH):
    """The layer, built with random weights and biases."""
    layer(inputs(length))
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=weight.shape) * 0.5 for weight in layer.weights])
    return layer


def run(layer, x, state, weigh):
    """Outputs, last state, and gradients of their weighted sum with respect to inputs, states and weights."""
    with tf.GradientTape() as tape:
        tape.watch([x, *state])
        outputs, *last = tf.nest.flatten(layer(x, state))
        total = tf.add_n([tf.reduce_sum(value * weight) for value, weight in zip((outputs, *last), weigh, strict=True)])
    return outputs, last, tape.gradient(total, [x, *state, *(weight.value for weight in layer.trainable_weights)])


class Reference(keras.layers.Layer):
    """The Keras layer with the signature of tfdl's."""

    def __init__(self, kind):
        super().__init__()
        self.layer = kind(UNITS, return_sequences=True, return_state=True)

    def call(self, x, state=None):
        outputs, *last = self.layer(x, initial_state=list(state) if state else None)
        return outputs, tuple(last)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize(("own", "reference"), KINDS)
def test_keras_s_layer_gives_the_same(own, reference, mode):
    ours, theirs = randomized(own(UNITS)), Reference(reference)
    theirs(inputs())
    theirs.set_weights(ours.get_weights())
    random = np.random.default_rng(2)
    state = tuple(tf.constant(random.normal(size=(BATCH, UNITS)), "float32") for _ in range(own.num_states))
    shapes = [(BATCH, LENGTH, UNITS), *[(BATCH, UNITS)] * own.num_states]
    weigh = [random.normal(size=shape).astype("float32") for shape in shapes]
    runner = run if mode == "eager" else tf.function(run, jit_compile=mode == "xla")
    for mine, other in zip(
        tf.nest.flatten(runner(ours, inputs(), state, weigh)),
        tf.nest.flatten(run(theirs, inputs(), state, weigh)),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_gradients_are_slopes(own):
    """Compares gradients with numerical differences in float64, through time, for every argument."""
    layer = randomized(own(UNITS, dtype="float64"))
    state = tuple(tf.constant(np.random.default_rng(3).normal(size=(BATCH, UNITS))) for _ in range(own.num_states))

    def total(x, *state):
        outputs, last = layer(x, state)
        return tf.reduce_sum(outputs**2) + tf.add_n([tf.reduce_sum(tf.sin(s)) for s in last])

    theoretical, numerical = tf.test.compute_gradient(total, [inputs(4, "float64"), *state], delta=1e-5)
    for mine, slope in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(mine, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("batch", "units"), [(4, 5), (3, 4)])
@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_xla_s_gradients_are_the_graph_s(own, batch, units):
    """XLA on a CPU returned wrong gradients for the LSTM, only in float64 with a batch of 4 and 5 units."""
    layer = randomized(own(units, dtype="float64"))
    x = tf.constant(np.random.default_rng(4).normal(size=(batch, 4, WIDTH)))

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x)[0] ** 2)
        return tape.gradient(total, [x, *layer.trainable_variables])

    for mine, other in zip(tf.function(gradients, jit_compile=True)(x), tf.function(gradients)(x), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-12)


def test_an_lstm_step_by_hand():
    layer = LSTM(1)
    layer.build((None, 1, 1))
    weights = [[[0.1, 0.2, 0.3, 0.4]], [[0.5, 0.6, 0.7, 0.8]], [0.01, 0.02, 0.03, 0.04]]
    layer.set_weights([np.array(weight) for weight in weights])
    outputs, (h, c) = layer(
        np.array([[[2.0]]], "float32"), (np.array([[0.5]], "float32"), np.array([[-1.0]], "float32"))
    )

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    i, f, g, o = 0.2 + 0.25 + 0.01, 0.4 + 0.3 + 0.02, 0.6 + 0.35 + 0.03, 0.8 + 0.4 + 0.04
    expected_c = sigmoid(f) * -1.0 + sigmoid(i) * np.tanh(g)
    assert float(c[0, 0]) == pytest.approx(expected_c, rel=1e-6)
    assert float(h[0, 0]) == float(outputs[0, 0, 0]) == pytest.approx(sigmoid(o) * np.tanh(expected_c), rel=1e-6)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_pytorch_gives_the_same(name):
    torch = pytest.importorskip("torch")
    own = {"LSTM": LSTM, "GRU": GRU, "RNN": SimpleRNN}[name]
    ours = randomized(own(UNITS))
    kernel, recurrent, bias = ours.get_weights()
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    # PyTorch orders the gates of a GRU as r, z, n; tfdl as z, r, h.
    order = np.arange(kernel.shape[1])
    if name == "GRU":
        order = np.concatenate([order[UNITS : 2 * UNITS], order[:UNITS], order[2 * UNITS :]])
    theirs = getattr(torch.nn, name)(WIDTH, UNITS, batch_first=True)
    values = (kernel.T[order], recurrent.T[order], biases[0][order], biases[1][order])
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(np.ascontiguousarray(value)))
        outputs, last = theirs(torch.tensor(inputs().numpy()))
    found, state = ours(inputs())
    np.testing.assert_allclose(found, outputs.numpy(), rtol=1e-5, atol=1e-5)
    for mine, other in zip(state, last if isinstance(last, tuple) else (last,), strict=True):
        np.testing.assert_allclose(mine, other[0].numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_pieces_with_the_state_carried_are_the_whole(own):
    layer = randomized(own(UNITS))
    whole, last = layer(inputs())
    state, parts = None, []
    for piece in (slice(0, 3), slice(3, 4), slice(4, None)):
        outputs, state = layer(inputs()[:, piece], state)
        parts.append(outputs)
    np.testing.assert_allclose(tf.concat(parts, 1), whole, rtol=1e-6, atol=1e-7)
    for mine, other in zip(state, last, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_a_dropped_unit_is_dropped_at_every_step(own):
    """Compares each sample with a layer without dropout, whose recurrent kernel has its rows scaled by the mask."""
    layer = randomized(own(UNITS, recurrent_dropout=0.5, seed=1))
    start = np.asarray(layer.seed_generator.state)
    found, _ = layer(inputs(), training=True)
    layer.seed_generator.state.assign(start)
    mask = np.asarray(keras.random.dropout(tf.ones([BATCH, UNITS]), 0.5, seed=layer.seed_generator))
    assert set(np.unique(mask)) == {0.0, 2.0}
    kernel, recurrent, bias = layer.get_weights()
    for sample in range(BATCH):
        plain = randomized(own(UNITS))
        plain.set_weights([kernel, recurrent * mask[sample][:, None], bias])
        np.testing.assert_allclose(found[sample], plain(inputs())[0][sample], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer(inputs())[0], randomized(own(UNITS))(inputs())[0])


@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_gradients_go_through_the_mask(own):
    layer = randomized(own(UNITS, recurrent_dropout=0.5, seed=1, dtype="float64"))
    start = np.asarray(layer.seed_generator.state)

    def total(x):
        layer.seed_generator.state.assign(start)
        return tf.reduce_sum(layer(x, training=True)[0] ** 2)

    (theoretical,), (numerical,) = tf.test.compute_gradient(total, [inputs(4, "float64")], delta=1e-5)
    np.testing.assert_allclose(theoretical, numerical, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("loop", "gates", "num_states"),
    [
        pytest.param(lstm_loop, 4, 2, id="lstm"),
        pytest.param(lambda x, r, h, mask: gru_loop(x, r, bias(3 * UNITS), h, mask), 3, 1, id="gru"),
        pytest.param(simple_loop, 1, 1, id="simple"),
    ],
)
def test_kernels_have_the_right_slopes_under_a_mask(loop, gates, num_states):
    random = np.random.default_rng(4)
    shapes = [(4, BATCH, gates * UNITS), (UNITS, gates * UNITS), *[(BATCH, UNITS)] * num_states]
    arguments = [tf.constant(random.normal(size=shape)) for shape in shapes]
    mask = tf.constant(random.integers(0, 2, (BATCH, UNITS)) * 2.0)

    def total(*arguments):
        return tf.add_n([tf.reduce_sum(tf.sin(value)) for value in loop(*arguments, mask=mask)])

    theoretical, numerical = tf.test.compute_gradient(total, arguments, delta=1e-5)
    for mine, slope in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(mine, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_other_precisions(own, policy):
    layer, plain = randomized(own(UNITS, dtype=policy)), randomized(own(UNITS))
    outputs, state = layer(inputs())
    assert {value.dtype for value in (outputs, *state)} == {tf.as_dtype(layer.compute_dtype)}
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), plain(inputs())[0], atol=0.05)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_sixteen_bits_lose_nothing_of_a_bias_s_gradient(own, policy):
    """The gradient is a sum over all steps of all samples. In 16 bits it would stop growing after some hundred."""
    x = np.random.default_rng(0).normal(size=(256, 100, WIDTH))
    weights = randomized(own(UNITS)).get_weights()

    def slopes(policy):
        layer = own(UNITS, dtype=policy)
        layer.build(x.shape)
        layer.set_weights(weights)

        @tf.function
        def run():
            with tf.GradientTape() as tape:
                total = tf.reduce_mean(tf.cast(layer(tf.cast(x, layer.compute_dtype))[0], tf.float64)) * x.shape[0]
            return tape.gradient(total, layer.bias.value)

        return np.asarray(run(), "float64")

    expected = slopes("float64")
    np.testing.assert_allclose(slopes(policy), expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_a_layer_comes_back_from_its_configuration(own):
    layer = own(UNITS, recurrent_dropout=0.25, seed=3, kernel_initializer=keras.initializers.RandomUniform(-0.1, 0.1))
    again = own.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("own", [LSTM, GRU, SimpleRNN])
def test_shapes_are_known_and_may_be_unknown(own):
    layer = randomized(own(UNITS))
    graph = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec([None, None, WIDTH]))
    outputs, _ = graph(inputs())
    np.testing.assert_allclose(outputs, layer(inputs())[0], rtol=1e-6, atol=1e-7)
    known = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec([2, 9, WIDTH]))
    assert known.structured_outputs[0].shape == (2, 9, UNITS)
    assert all(value.shape == (2, UNITS) for value in known.structured_outputs[1])


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
    weights = [tf.constant(random.normal(size=shape)) for shape in [(WIDTH, UNITS)] * 4 + [(UNITS, UNITS)] * 4]
    biases = [tf.constant(random.normal(size=UNITS)) for _ in range(8)]
    expected = _standardize_cudnn_weights(weights, biases, tf.constant([-1]), transpose_weights=True)
    np.testing.assert_array_equal(pack_parameters(weights, biases), expected)


@pytest.mark.parametrize("own", [LSTM, GRU])
def test_cudnn_is_given_the_gates_in_its_order(own, monkeypatch):
    """PyTorch replaces the op: its parameters have cuDNN's layout, kernels first and then biases."""
    torch = pytest.importorskip("torch")
    layer = randomized(own(UNITS))
    _, state = layer(inputs())  # any values but zero
    expected = tf.nest.flatten(layer(inputs(), state))

    def stand_in(*, input, input_h, input_c, params, sequence_lengths, rnn_mode, is_training):
        assert is_training  # without it the op has no gradient
        assert sequence_lengths.numpy().tolist() == [LENGTH] * BATCH
        reference = getattr(torch.nn, rnn_mode.upper())(WIDTH, UNITS)
        torch.nn.utils.vector_to_parameters(torch.tensor(params.numpy()), reference.parameters())
        x, h, c = (torch.tensor(value.numpy()) for value in (input, input_h, input_c))
        outputs, last = reference(x, (h, c) if rnn_mode == "lstm" else h)
        return tuple(tf.constant(value.detach().numpy()) for value in (outputs, *(last if c.dim() else (last, c))))

    monkeypatch.setattr(cudnn, "is_usable", lambda _: True)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", stand_in)
    for mine, other in zip(tf.nest.flatten(layer(inputs(), state)), expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_cudnn_is_for_machines_with_a_gpu_and_graphs_that_stay(monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: [])
    assert not is_usable(None)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])
    assert is_usable(None)
    assert not is_usable(tf.ones([2, 3]))
    with portable_kernels():
        assert not is_usable(None)
    assert is_usable(None)


@pytest.mark.parametrize("own", [LSTM, GRU])
def test_an_exported_graph_has_no_kernel_of_cudnn(own, monkeypatch):
    layer = randomized(own(UNITS))
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])

    def operations():
        graph = tf.function(layer.call).get_concrete_function(tf.TensorSpec((None, None, WIDTH))).graph
        return {operation.type for operation in graph.get_operations()}

    assert "CudnnRNNV3" in operations()
    with portable_kernels():
        assert "CudnnRNNV3" not in operations()


@pytest.mark.parametrize("own", [LSTM, GRU])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_cudnn_computes_bfloat16_in_float32(own, policy, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])
    layer = own(UNITS, dtype=policy)
    layer.build((None, None, WIDTH))
    spec = tf.TensorSpec((None, None, WIDTH), layer.compute_dtype)
    graph = tf.function(lambda x: layer(x)).get_concrete_function(spec)
    (kernel,) = (op for op in graph.graph.get_operations() if op.type == "CudnnRNNV3")
    expected = {"mixed_bfloat16": "float32", "mixed_float16": "float16", "float64": "float64"}[policy]
    assert {kernel.inputs[place].dtype.name for place in range(4)} == {expected}
    assert all(value.dtype == layer.compute_dtype for value in tf.nest.flatten(graph.structured_outputs))


@pytest.mark.skipif(not cudnn.is_present(), reason="cuDNN runs on a GPU alone")
@pytest.mark.parametrize("own", [LSTM, GRU])
@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_bfloat16", "mixed_float16"])
def test_cudnn_gives_what_the_loop_gives(own, policy):
    layer = randomized(own(UNITS, dtype=policy))
    x = inputs(dtype=layer.compute_dtype)
    _, state = layer(x)
    weigh = [tf.random.normal(value.shape, dtype=value.dtype) for value in tf.nest.flatten(layer(x, state))]
    found = tf.nest.flatten(run(layer, x, state, weigh))
    with portable_kernels():
        expected = tf.nest.flatten(run(layer, x, state, weigh))
    tolerance = {"float32": 2e-3, "float64": 1e-9}.get(policy, 5e-2)  # float32 products may be computed in TF32
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(tf.cast(mine, "float64"), tf.cast(other, "float64"), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("xla", "expected"), [(False, True), (True, False)])
def test_what_xla_compiles_is_not_cudnn_s(xla, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: ["a GPU"])
    answers = []

    @tf.function(jit_compile=xla)
    def step(x):
        inner = tf.function(lambda x: answers.append(is_usable(None)) or x)
        answers.append(is_usable(None))
        return inner(x)

    step(tf.ones([2]))
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
