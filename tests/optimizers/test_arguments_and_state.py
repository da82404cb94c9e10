"""Arguments, names, slots and saved state of the optimizers: those of Keras's own classes."""

import inspect
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.optimizers import SGD, Adam, AdamW

PAIRS = [
    pytest.param(Adam, keras.optimizers.Adam, id="adam"),
    pytest.param(AdamW, keras.optimizers.AdamW, id="adamw"),
    pytest.param(SGD, keras.optimizers.SGD, id="sgd"),
]
each_pair = pytest.mark.parametrize(("tfdl_class", "keras_class"), PAIRS)
each_class = pytest.mark.parametrize("kind", [Adam, AdamW, SGD])


def constant(*values):
    return tf.constant(values, tf.float32)


# Construction


@each_pair
def test_positions_names_and_defaults_of_arguments_are_keras_s(tfdl_class, keras_class):
    def arguments(kind):
        return [(name, parameter.default) for name, parameter in inspect.signature(kind).parameters.items()]

    assert arguments(tfdl_class) == arguments(keras_class)
    values = [0.5, 0.25, 0.125, 1e-3, True]  # the first arguments, by position
    values = values[:2] if tfdl_class is SGD else values
    ours = tfdl_class(*values, name="same").get_config()
    assert ours == keras_class(*values, name="same").get_config()


@each_pair
def test_names_are_numbered_as_keras_s(tfdl_class, keras_class):
    keras.utils.clear_session()
    theirs = [keras_class().name for _ in range(3)]
    keras.utils.clear_session()
    assert [tfdl_class().name for _ in range(3)] == theirs
    assert theirs[1] == f"{theirs[0]}_1"


@each_pair
@pytest.mark.parametrize("options", [{}, {"momentum": 0.5}, {"amsgrad": True}, {"use_ema": True}])
def test_slots_have_keras_s_names_and_order(tfdl_class, keras_class, options):
    if not set(options) <= set(inspect.signature(keras_class).parameters):
        pytest.skip("an argument of another optimizer")
    slots = []
    for kind in (tfdl_class, keras_class):
        optimizer = kind(**options, gradient_accumulation_steps=2, name="mine")
        optimizer.build([keras.Variable(np.ones((2, 3)), name="kernel"), keras.Variable(np.ones(3), name="bias")])
        slots.append([(variable.path, tuple(variable.shape)) for variable in optimizer.variables])
    assert slots[0] == slots[1]
    assert len(slots[0]) >= 2 + 2


@each_pair
@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": 1},
        {"clipnorm": 1.0, "clipvalue": 1.0},
        {"clipnorm": 1.0, "global_clipnorm": 1.0},
        {"clipvalue": 1.0, "global_clipnorm": 1.0},
        {"use_ema": True, "ema_momentum": 1.5},
        {"use_ema": True, "ema_overwrite_frequency": -1},
        {"use_ema": True, "ema_overwrite_frequency": 2.5},
        {"gradient_accumulation_steps": 1},
        {"lr": 0.1},
    ],
)
def test_wrong_arguments_are_keras_s_errors(tfdl_class, keras_class, arguments):
    messages = []
    for kind in (tfdl_class, keras_class):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            kind(**arguments)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


@each_class
def test_it_is_pickled_and_found_by_keras(kind):
    optimizer = kind(0.25, weight_decay=0.5, global_clipnorm=2.0)
    restored = pickle.loads(pickle.dumps(optimizer))
    assert type(restored) is kind
    assert restored.get_config() == optimizer.get_config()
    assert keras.optimizers.get(optimizer) is optimizer


# Saved state


@each_class
def test_weights_are_set(kind):
    variable = keras.Variable([1.0, 2.0])
    trained = kind(0.5, use_ema=True)
    trained.apply([constant(3.0, 4.0)], [variable])
    other = kind(0.25, use_ema=True)
    with pytest.raises(ValueError, match="an optimizer that has not yet been built"):
        other.set_weights(trained.variables)
    other.build([variable])
    other.set_weights(trained.variables)
    for value, expected in zip(other.variables, trained.variables, strict=True):
        np.testing.assert_array_equal(value, expected)
    with pytest.raises(ValueError, match="not compatible with provided weight shape"):
        other.set_weights([np.ones((7, 7)) for _ in other.variables])


@each_class
def test_own_variables_are_saved_and_loaded(kind):
    variable = keras.Variable([1.0, 2.0])
    trained = kind(0.5)
    trained.apply([constant(3.0, 4.0)], [variable])
    store = {}
    trained.save_own_variables(store)
    assert list(store) == [str(number) for number in range(len(trained.variables))]
    other = kind(0.25)
    other.build([variable])
    other.load_own_variables(store)
    assert float(other.learning_rate) == 0.5
    assert int(other.iterations) == 1
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        other.load_own_variables({"0": 5})
    assert int(other.iterations) == 1


@each_class
def test_tensorflow_s_checkpoints(kind, tmp_path):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(4, 3))
    targets = random.normal(size=(4, 2))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(kind(0.1), "mse")
    model.train_on_batch(inputs, targets)
    checkpoint = tf.train.Checkpoint(model, optimizer=model.optimizer)
    path = checkpoint.save(tmp_path / "checkpoint")
    saved = [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]
    model.train_on_batch(inputs, targets)
    checkpoint.restore(path)
    for variable, value in zip((*model.variables, *model.optimizer.variables), saved, strict=True):
        np.testing.assert_array_equal(variable, value)
