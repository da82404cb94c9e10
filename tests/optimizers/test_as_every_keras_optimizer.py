"""The steps that every Keras optimizer makes, by hand, and beside Keras's own class where it is the reference."""

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
# Keras rounds Adam's decay rates to float32 in another place.
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}
each_pair = pytest.mark.parametrize(("tfdl_class", "keras_class"), PAIRS)
each_class = pytest.mark.parametrize("kind", [Adam, AdamW, SGD])


def constant(*values):
    return tf.constant(values, tf.float32)


def after_steps(optimizer, *gradients, start=(1.0, 2.0)):
    """The variable after one step with each gradient."""
    variable = keras.Variable(start)
    for gradient in gradients:
        optimizer.apply([constant(*gradient)], [variable])
    return np.asarray(variable)


# Gradients and variables


@each_class
def test_variables_without_a_gradient_stay(kind):
    moved = keras.Variable([1.0])
    still = keras.Variable([2.0])
    optimizer = kind(0.5)
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        optimizer.apply_gradients([(None, still), (constant(1.0), moved)])
    assert float(still[0]) == 2.0
    assert float(moved[0]) < 1.0
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply_gradients([(None, still), (None, moved)])
    assert int(optimizer.iterations) == 1


@each_class
def test_an_optimizer_is_built_once_and_for_its_variables(kind):
    variables = [keras.Variable([1.0]), keras.Variable([2.0, 3.0])]
    optimizer = kind()
    with pytest.raises(ValueError, match="the optimizer must already be built"):
        optimizer.apply([constant(1.0)])
    optimizer.apply([])
    assert not optimizer.built
    optimizer.build(variables)
    slots = optimizer.variables
    optimizer.build(variables)
    assert [id(variable) for variable in optimizer.variables] == [id(variable) for variable in slots]
    optimizer.apply([constant(1.0), constant(1.0, 1.0)])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([constant(1.0)], [keras.Variable([1.0])])
    with pytest.raises(ValueError, match="list of 1 gradients, but the optimizer is tracking 2"):
        optimizer.apply([constant(1.0)])


@each_class
def test_apply_gradients_counts_steps(kind):
    variable = keras.Variable([1.0])
    optimizer = kind()
    for step in range(1, 4):
        assert int(optimizer.apply_gradients(zip([constant(1.0)], [variable], strict=True))) == step
        assert int(optimizer.iterations) == step


@each_class
def test_constraints_hold_after_a_step(kind):
    variable = keras.Variable([-1.0, 1.0])
    variable.constraint = keras.constraints.NonNeg()
    kind(1e-3).apply([constant(0.0, 0.0)], [variable])
    assert float(variable[0]) == 0.0
    assert float(variable[1]) > 0.9


@each_class
def test_stateless_apply_is_refused_as_by_keras_on_tensorflow(kind):
    optimizer = kind()
    optimizer.build([keras.Variable([1.0])])
    with pytest.raises(ValueError, match="stateless_apply is not supported with the TensorFlow backend"):
        optimizer.stateless_apply(optimizer.variables, [constant(1.0)], [constant(1.0)])


@each_class
def test_variables_are_assigned(kind):
    """The methods that Keras documents for optimizers of one's own, with variables of Keras and of TensorFlow."""
    optimizer = kind()
    rows = tf.IndexedSlices(tf.constant([[1.0, 2.0]]), tf.constant([1]), tf.constant([2, 2]))
    for variable in (keras.Variable(np.zeros((2, 2))), tf.Variable(np.zeros((2, 2), "float32"))):
        optimizer.assign(variable, np.full((2, 2), 8))
        optimizer.assign_add(variable, tf.ones([2, 2], tf.float64))
        optimizer.assign_sub(variable, rows)
        np.testing.assert_array_equal(variable, [[9, 9], [8, 7]])


# Clipping


@each_class
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # The norms of (3, 4) and (12, 0) are 5 and 12, and 13 together.
        ({"clipnorm": 2.0}, [[1.2, 1.6], [2.0, 0.0]]),
        ({"global_clipnorm": 6.5}, [[1.5, 2.0], [6.0, 0.0]]),
        ({"clipvalue": 3.5}, [[3.0, 3.5], [3.5, 0.0]]),
        ({"clipnorm": 20.0}, [[3.0, 4.0], [12.0, 0.0]]),
        ({"global_clipnorm": 13.0}, [[3.0, 4.0], [12.0, 0.0]]),
        ({"global_clipnorm": -1.0}, [[3.0, 4.0], [12.0, 0.0]]),
        ({}, [[3.0, 4.0], [12.0, 0.0]]),
    ],
)
def test_clipped_gradients(kind, options, expected):
    gradients = np.array([[3.0, 4.0], [12.0, 0.0]], "float32")
    for given in ([constant(*row) for row in gradients], list(gradients)):
        np.testing.assert_allclose(kind(**options)._clip_gradients(given), expected, rtol=1e-6)


# Learning rates, decay, scales


@each_class
def test_a_learning_rate_from_a_function(kind):
    rate = tf.Variable(0.5)
    from_function = kind(lambda: rate / 2)
    set_by_hand = kind(0.25)
    variables = [keras.Variable([1.0, 2.0]) for _ in range(2)]
    for new_rate, gradient in [(0.5, (1.0, -1.0)), (0.125, (2.0, 0.5))]:
        rate.assign(new_rate)
        set_by_hand.learning_rate = new_rate / 2
        from_function.apply([constant(*gradient)], [variables[0]])
        set_by_hand.apply([constant(*gradient)], [variables[1]])
    np.testing.assert_array_equal(variables[0], variables[1])


@each_class
def test_setting_a_schedule_and_a_rate(kind):
    optimizer = kind(0.5)
    assert len(optimizer.variables) == 2
    optimizer.learning_rate = keras.optimizers.schedules.PolynomialDecay(0.5, 4)
    assert [variable.name for variable in optimizer.variables] == ["iteration"]
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        optimizer.learning_rate = 0.25
    restored = kind.from_config(optimizer.get_config())
    assert isinstance(restored._learning_rate, keras.optimizers.schedules.PolynomialDecay)


@each_pair
def test_weight_decay_and_excluded_variables(tfdl_class, keras_class):
    """With gradients of 0 a step multiplies by 1 - 0.5 * 0.25."""
    for kind in (tfdl_class, keras_class):
        for way in ("var_list", "var_names"):
            decayed = keras.Variable([8.0], name="kernel")
            excluded = keras.Variable([8.0], name="left_out")
            optimizer = kind(0.5, weight_decay=0.25)
            optimizer.exclude_from_weight_decay(**{way: [excluded] if way == "var_list" else ["out"]})
            optimizer.apply([constant(0.0), constant(0.0)], [decayed, excluded])
            assert float(decayed[0]) == 7.0
            assert float(excluded[0]) == 8.0


@each_class
def test_a_static_loss_scale(kind):
    gradients = [(1.0, -2.0), (0.5, 3.0)]
    scaled = [tuple(16.0 * value for value in gradient) for gradient in gradients]
    optimizer = kind(0.25, loss_scale_factor=16.0)
    assert optimizer.scale_loss(3.0) == 48.0
    np.testing.assert_allclose(after_steps(optimizer, *scaled), after_steps(kind(0.25), *gradients), rtol=1e-6)
    assert kind().scale_loss(3.0) == 3.0


# Averages and accumulation


def test_averaged_weights_that_overwrite():
    """Steps of -1: 3, then 2 with the average (3 + 2) / 2; it overwrites after the second and the fourth step."""
    variable = keras.Variable([4.0])
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    values = []
    for _ in range(4):
        optimizer.apply([constant(1.0)], [variable])
        values.append((float(variable[0]), float(optimizer._model_variables_moving_average[0][0])))
    # 1.5 with the average (2.5 + 1.5) / 2; then 0.5 with (2.0 + 0.5) / 2.
    assert values == [(3.0, 3.0), (2.5, 2.5), (1.5, 2.0), (1.25, 1.25)]


def test_fit_ends_with_the_averaged_weights():
    """Loss w^2 and rate 1/4 halve w: 1/2, then 1/4; their average is 3/8."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)])
    model.compile(SGD(0.25, use_ema=True, ema_momentum=0.5), "mse")
    model.fit(np.ones((1, 1)), np.zeros((1, 1)), epochs=2, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], [[0.375]])


@each_pair
def test_accumulated_gradients(tfdl_class, keras_class):
    """Nothing moves before the third step, which is that of the mean."""
    gradients = [(1.0, 2.0), (3.0, -4.0), (5.0, 5.0), (1.0, 1.0)]
    states = []
    for kind in (tfdl_class, keras_class):
        variable = keras.Variable([1.0, 2.0])
        optimizer = kind(0.5, gradient_accumulation_steps=3)
        found = []
        for gradient in gradients:
            optimizer.apply([constant(*gradient)], [variable])
            accumulated = np.asarray(optimizer._accumulated_gradients[0])
            found.append([*np.asarray(variable), *accumulated, int(optimizer.iterations)])
        states.append(found)
    np.testing.assert_allclose(states[0], states[1], **ROUNDING)
    for steps, (sums, updates) in enumerate([((1, 2), 0), ((4, -2), 0), ((0, 0), 1), ((1, 1), 1)]):
        assert states[0][steps][2:] == [*sums, updates]
    np.testing.assert_allclose(states[0][2][:2], after_steps(tfdl_class(0.5), (3.0, 1.0)), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}])
@each_pair
def test_variables_that_are_replaced_by_their_gradients(tfdl_class, keras_class, options):
    results = []
    for kind in (tfdl_class, keras_class):
        replaced = keras.Variable([1.0, 2.0])
        replaced.overwrite_with_gradient = True
        trained = keras.Variable([1.0, 2.0])
        optimizer = kind(0.5, **options)
        for gradient in [(1.0, 4.0), (2.0, 3.0), (5.0, 1.0)]:
            optimizer.apply([constant(*gradient)] * 2, [replaced, trained])
            results.append((kind, [*np.asarray(replaced), *np.asarray(trained)]))
    ours = [values for kind, values in results if kind is tfdl_class]
    theirs = [values for kind, values in results if kind is keras_class]
    np.testing.assert_allclose(ours, theirs, **ROUNDING)
    assert ours[1][:2] == ([2.0, 4.0] if options else [2.0, 3.0])  # the larger of both when they are accumulated


@each_class
def test_averages_beside_variables_that_are_replaced(kind):
    """They have no average. Keras 3.15 fails to give the others theirs."""
    replaced = keras.Variable([1.0])
    replaced.overwrite_with_gradient = True
    trained = keras.Variable([1.0])
    optimizer = kind(0.5, use_ema=True, ema_overwrite_frequency=2)
    for _ in range(3):
        optimizer.apply([constant(7.0), constant(1.0)], [replaced, trained])
    optimizer.finalize_variable_values([replaced, trained])
    assert float(replaced[0]) == 7.0
    np.testing.assert_array_equal(trained, optimizer._model_variables_moving_average[1])


# Subclasses of a user


@each_pair
def test_a_subclass_may_scale_the_learning_rate_of_a_step(tfdl_class, keras_class):
    """The hook that Keras documents for optimizers of one's own."""
    results = []
    for kind in (tfdl_class, keras_class):

        class Slower(kind):
            def update_step(self, gradient, variable, learning_rate):
                scale = 0.5 if variable.shape == (2,) else 1.0
                super().update_step(gradient, variable, learning_rate * scale)

        variables = [keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])]
        optimizer = Slower(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))
        step = tf.function(lambda *gradients: optimizer.apply(gradients, variables))  # noqa: B023
        optimizer.build(variables)
        for scale in (1.0, -3.0, 2.0):
            step(constant(scale, 2.0), scale * tf.ones([1, 1]))
        results.append([*np.asarray(variables[0]), *np.ravel(variables[1])])
    np.testing.assert_allclose(results[0], results[1], **ROUNDING)
