"""The first steps of each update rule, computed by hand from its docstring."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.optimizers import SGD, Adam, AdamW


def positions_of(optimizer, gradients, start=1.0):
    """The positions of one variable after each step."""
    variable = keras.Variable([start], dtype="float64")
    optimizer.build([variable])
    positions = []
    for gradient in gradients:
        optimizer.apply([tf.constant([gradient], "float64")], [variable])
        positions.append(float(np.asarray(variable)[0]))
    return positions


def test_adam():
    # beta_1 = 1/2, beta_2 = 3/4, epsilon = 1/2, eta = 1.
    # g = 2: m = 1, v = 1, correction sqrt(1/4) / (1/2) = 1, step 1 / (1 + 1/2).
    # g = 1: m = 1, v = 1, correction sqrt(7/16) / (3/4) = sqrt(7)/3, step sqrt(7)/3 / (3/2).
    positions = positions_of(Adam(1.0, beta_1=0.5, beta_2=0.75, epsilon=0.5), [2.0, 1.0])
    assert positions == pytest.approx([1 - 2 / 3, 1 - 2 / 3 - 2 * math.sqrt(7) / 9], rel=1e-12)


def test_adam_keeps_the_largest_moment_with_amsgrad():
    # g = 2 as above; g = 0: m = 1/2, v = 3/4, but the step divides by the root of the largest v, which is 1.
    positions = positions_of(Adam(1.0, beta_1=0.5, beta_2=0.75, epsilon=0.5, amsgrad=True), [2.0, 0.0])
    assert positions == pytest.approx([1 - 2 / 3, 1 - 2 / 3 - math.sqrt(7) / 9], rel=1e-12)


def test_adamw():
    # As test_adam, but at eta = 1 and lambda = 1/4 every step starts from 3/4 of the position.
    positions = positions_of(AdamW(1.0, weight_decay=0.25, beta_1=0.5, beta_2=0.75, epsilon=0.5), [2.0, 1.0])
    first = 3 / 4 - 2 / 3
    assert positions == pytest.approx([first, 3 / 4 * first - 2 * math.sqrt(7) / 9], rel=1e-12)


def test_adamw_s_decay_does_not_enter_the_moments():
    optimizer = AdamW(0.5, weight_decay=0.5)
    assert positions_of(optimizer, [0.0, 0.0], start=16.0) == [12.0, 9.0]
    assert [float(np.asarray(moment)[0]) for moment in optimizer.variables[2:]] == [0.0, 0.0]


def test_adamw_s_decay_follows_the_schedule():
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.25])
    assert positions_of(AdamW(rates, weight_decay=0.5), [0.0, 0.0], start=16.0) == [12.0, 10.5]


def test_adamw_needs_a_decay():
    with pytest.raises(ValueError, match="AdamW weight_decay=None, expected a number; for no weight decay use Adam"):
        AdamW(weight_decay=None)


def test_adam_in_float64_uses_its_constants_in_float64():
    gradients = [0.3, -1.7, 0.02, 5.0]
    rate = float(np.float32(0.01))  # Keras keeps the learning rate in float32
    position = 1.0
    m = 0.0
    v = 0.0
    expected = []
    for step, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        correction = math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        position -= rate * correction * m / (math.sqrt(v) + 1e-7)
        expected.append(position)
    assert positions_of(Adam(0.01), gradients) == pytest.approx(expected, rel=1e-12)


def test_gradient_descent():
    assert positions_of(SGD(0.25), [1.0, 2.0]) == pytest.approx([0.75, 0.25], rel=1e-12)


def test_momentum():
    # u = -1/4, then u = -1/8 - 1/2.
    assert positions_of(SGD(0.25, momentum=0.5), [1.0, 2.0]) == pytest.approx([0.75, 0.125], rel=1e-12)


def test_nesterov():
    # u = -1/4, step u/2 - 1/4; then u = -5/8, step u/2 - 1/2.
    positions = positions_of(SGD(0.25, momentum=0.5, nesterov=True), [1.0, 2.0])
    assert positions == pytest.approx([0.625, -0.1875], rel=1e-12)


def test_the_learning_rate_is_part_of_the_momentum():
    # u = -1/4 at eta = 1/4; then at eta = 1, u = -1/8 - 2: the old step is not scaled anew.
    variable = keras.Variable([1.0])
    optimizer = SGD(0.25, momentum=0.5)
    optimizer.build([variable])
    optimizer.apply([tf.constant([1.0])], [variable])
    optimizer.learning_rate = 1.0
    optimizer.apply([tf.constant([2.0])], [variable])
    np.testing.assert_allclose(variable, [1 - 0.25 - 2.125])


def test_plain_descent_keeps_no_state():
    optimizer = SGD(0.1)
    optimizer.build([keras.Variable([1.0])])
    assert [variable.name for variable in optimizer.variables] == ["iteration", "learning_rate"]


@pytest.mark.parametrize("momentum", [-0.1, 1.1])
def test_momentum_lies_between_0_and_1(momentum):
    with pytest.raises(ValueError, match=rf"momentum={momentum}, expected a number from 0 to 1"):
        SGD(momentum=momentum)
