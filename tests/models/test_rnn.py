"""Recurrent models: sizes, states carried over windows, padding, learning, saving."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import RNNConfig
from tfdl.errors import UserError
from tfdl.optimizers import Adam

CELLS = ["lstm", "gru", "simple"]
SMALL = {"units": 8, "num_layers": 2}


def language_model(vocab_size=11, **fields):
    return tfdl.build_model("rnn", vocab_size=vocab_size, **{**SMALL, **fields})


def classifier(**fields):
    return tfdl.build_model("rnn", vocab_size=11, num_classes=3, **{**SMALL, **fields})


def tokens(batch=3, length=7, low=1, high=11):
    return np.random.default_rng(0).integers(low, high, (batch, length)).astype("int32")


@pytest.mark.parametrize(
    ("name", "units", "dropout", "scale"),
    [("lstm-small", 200, 0.0, 0.1), ("lstm-medium", 650, 0.5, 0.05), ("lstm-large", 1500, 0.65, 0.04)],
)
def test_the_paper_s_networks(name, units, dropout, scale):
    preset = tfdl.config.PRESETS[name]
    table = 10_000 * units
    head = 10_000 * units + 10_000
    layer = 4 * (units * units + units * units + units)
    assert preset.parameters == table + 2 * layer + head
    config = tfdl.config.choose_model(name)
    assert config.cell == "lstm"
    assert config.num_layers == 2
    assert config.units == units
    assert config.dropout == dropout
    assert config.init_scale == scale


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("simple", 1)])
@pytest.mark.parametrize("devices", [[], ["a GPU"]])
def test_the_cost_of_a_step(cell, gates, devices, monkeypatch):
    """Each token takes two products for each layer and one for the head; the backward pass takes each of them twice."""
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: devices)
    batch = 3
    length = 7
    units = SMALL["units"]
    vocab_size = 11
    cost = tfdl.inspection.step_cost(language_model(cell=cell), [tf.TensorSpec((batch, length), tf.int32)])
    layer = units * gates * units + units * gates * units  # of the inputs and of the state
    head = units * vocab_size
    multiplications = batch * length * (2 * layer + head)
    assert cost.forward_flops == 2 * multiplications
    assert cost.training_flops == 3 * 2 * multiplications


def test_weights_begin_within_the_scale():
    model = language_model(init_scale=0.1, units=32)
    for variable in model.weights:
        assert 0.05 < np.abs(variable).max() <= 0.1, variable.path


@pytest.mark.parametrize("cell", CELLS)
def test_shapes(cell):
    assert language_model(cell=cell).output_shape == (None, None, 11)
    assert language_model(cell=cell, tie_embeddings=True)(tokens()).shape == (3, 7, 11)
    assert classifier(cell=cell)(tokens()).shape == (3, 3)
    both = classifier(cell=cell, bidirectional=True)
    assert both(tokens()).shape == (3, 3)
    assert both.head.kernel.shape == (16, 3)


def test_a_tied_table_is_the_head():
    free = language_model()
    tied = language_model(tie_embeddings=True)
    assert free.count_params() - tied.count_params() == 8 * 11 + 11


@pytest.mark.parametrize("cell", CELLS)
def test_windows_with_the_state_carried_are_one_long_text(cell):
    model = language_model(cell=cell)
    text = tokens(length=9)
    state = model.initial_state(3)
    logits_by_window = []
    for window in (text[:, :4], text[:, 4:5], text[:, 5:]):
        logits, state = model.with_state(window, state)
        logits_by_window.append(logits)
    np.testing.assert_allclose(tf.concat(logits_by_window, 1), model(text), rtol=1e-5, atol=1e-6)


def test_no_gradient_reaches_the_previous_window():
    model = language_model()
    state = model.initial_state(3)
    with tf.GradientTape() as tape:
        tape.watch(state)
        logits, _ = model.with_state(tokens(), state, training=True)
    gradients = tf.nest.flatten(tape.gradient(logits, state))
    assert all(gradient is None for gradient in gradients)


def test_logits_do_not_depend_on_later_tokens():
    model = language_model()
    text = tokens()
    changed = text.copy()
    changed[:, 4] = (changed[:, 4] % 10) + 1
    before = np.asarray(model(text))
    after = np.asarray(model(changed))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_no_bit_of_the_logits(cell, bidirectional):
    model = classifier(cell=cell, bidirectional=bidirectional)
    text = tokens(batch=4, length=6)
    text[1, 3:] = 0
    longer = np.pad(text, [(0, 0), (0, 5)])
    np.testing.assert_array_equal(model(text), model(longer))
    assert np.isfinite(model(np.zeros((4, 6), "int32"))).all()


def test_the_backward_direction_begins_at_the_last_token():
    """Swapping the directions and reversing the text leaves the final states equal."""
    model = classifier(bidirectional=True, num_layers=1)
    swapped = classifier(bidirectional=True, num_layers=1)
    swapped.set_weights(model.get_weights())
    forward, backward = model.recurrent[0]
    swapped_forward, swapped_backward = swapped.recurrent[0]
    swapped_forward.set_weights(backward.get_weights())
    swapped_backward.set_weights(forward.get_weights())
    kernel, bias = model.head.get_weights()  # (2 * units, classes), (classes,)
    swapped_kernel = np.concatenate([kernel[8:], kernel[:8]])
    swapped.head.set_weights([swapped_kernel, bias])
    text = tokens(batch=1, length=5)
    np.testing.assert_allclose(model(text), swapped(text[:, ::-1]), rtol=1e-5, atol=1e-6)


def test_dropout_repeats_with_the_seed_and_not_from_step_to_step():
    def logits_of_two_steps():
        keras.utils.set_random_seed(3)
        model = language_model(dropout=0.5, variational=True)
        first = np.asarray(model(tokens(), training=True))
        second = np.asarray(model(tokens(), training=True))
        return first, second

    first, second = logits_of_two_steps()
    repeated, _ = logits_of_two_steps()
    np.testing.assert_array_equal(first, repeated)
    assert (first != second).any()


def test_variational_dropout_takes_the_same_values_at_all_steps():
    model = language_model(dropout=0.5, variational=True)
    ones = tf.ones([2, 6, 8])  # (batch, length, units)
    dropped = np.asarray(model.dropouts[0](ones, training=True))
    assert (dropped == dropped[:, :1]).all()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert model.recurrent[0].recurrent_dropout == 0.5
    plain_model = language_model(dropout=0.5)
    plain = np.asarray(plain_model.dropouts[0](ones, training=True))
    assert (plain != plain[:, :1]).any()


def train(model, inputs, targets, steps, rate=0.02, mask=None):
    """Trains with Adam on one batch, and returns the last loss.

    Args:
        model: The model, whose weights change.
        inputs: Token numbers, (batch, length).
        targets: The label of each text, or the next token at each position.
        steps: The number of optimizer steps.
        rate: The learning rate.
        mask: 1 where a target counts, 0 elsewhere, in the shape of ``targets``; None counts all.
    """
    optimizer = Adam(rate, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    weights = tf.ones_like(targets, tf.float32) if mask is None else tf.constant(mask, tf.float32)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, model(inputs, training=True))
            loss = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    for _ in range(steps):
        loss = step()
    return float(loss)


@pytest.mark.parametrize("cell", CELLS)
def test_a_language_model_overfits_one_batch(cell):
    text = tokens(batch=4, length=9)
    model = language_model(cell=cell, units=32)
    assert train(model, text[:, :-1], text[:, 1:], steps=150) < 0.05


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_classifier_overfits_one_batch(bidirectional):
    model = classifier(units=16, bidirectional=bidirectional)
    assert train(model, tokens(batch=12), np.arange(12) % 3, steps=80) < 0.01


def test_an_lstm_learns_to_copy():
    """Three letters, a separator, and the letters again: each repeats the one four positions before it."""
    letters = np.array(list(itertools.product(range(1, 6), repeat=3)), "int32")
    np.random.default_rng(0).shuffle(letters)
    text = np.concatenate([letters, np.full((len(letters), 1), 6, "int32"), letters], 1)  # (125, 7)
    training_texts = text[:100]
    test_texts = text[100:]
    model = language_model(units=48, num_layers=1, vocab_size=7)
    mask = np.zeros((100, 6))
    mask[:, 3:] = 1  # the letters that repeat
    inputs = training_texts[:, :-1]
    targets = training_texts[:, 1:]
    assert train(model, inputs, targets, steps=250, rate=0.01, mask=mask) < 0.05
    predictions = np.argmax(model(test_texts[:, :-1]), -1)
    correct = predictions[:, 3:] == test_texts[:, 4:]
    assert correct.mean() > 0.9


@pytest.mark.parametrize("make", [language_model, classifier, lambda: classifier(bidirectional=True, cell="gru")])
def test_it_saves_and_loads_as_a_keras_file(make, tmp_path):
    model = make()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(tokens()), model(tokens()))


@pytest.mark.parametrize("make", [language_model, lambda: classifier(bidirectional=True)])
def test_a_saved_model_takes_texts_of_any_length(make, tmp_path):
    model = make()
    module = tf.Module()
    module.weights = [variable.value for variable in model.weights]
    module.serve = tf.function(lambda text: model(text), input_signature=[tf.TensorSpec([None, None], tf.int32)])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for batch, length in [(1, 1), (3, 7)]:
        text = tokens(batch, length)
        np.testing.assert_allclose(loaded.serve(text), model(text), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_other_precisions(precision):
    with tfdl.models.compute_precision(precision):
        models = [language_model(), classifier(bidirectional=True)]
    expected = "float64" if precision == "float64" else "float32"
    for model in models:
        assert model(tokens()).dtype == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: language_model(bidirectional=True), r"bidirectional=True in a language model"),
        (lambda: language_model(vocab_size=0), r"vocab_size=0, expected a whole number of at least 1"),
        (lambda: tfdl.build_model("rnn"), r"'rnn' needs vocab_size, which its data decides"),
        (
            lambda: tfdl.build_model("rnn", vocab_size=3, num_classes=0),
            r"num_classes=0, expected a whole number of at least 1",
        ),
        (lambda: RNNConfig(units=0), r"model\.units=0, expected a number of at least 1"),
        (lambda: RNNConfig(cell="lstn"), r"model\.cell='lstn', expected one of lstm, gru, simple. Did you mean 'lstm'"),
        (lambda: RNNConfig(units=8, embedding_dim=9, tie_embeddings=True), r"embedding_dim=9, expected model\.units=8"),
        (lambda: RNNConfig(tie_embeddings=True, bidirectional=True), r"tie_embeddings=True, expected false with"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(UserError, match=message):
        make()
