"""Every optimizer on objectives with a known minimum. The step is traced once, however the learning rate changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.optimizers import SGD, Adam, AdamW
from tfdl.optimizers.schedules import Constant, Cosine, InverseSquareRoot, Linear, OneCycle, Step

# Adam needs a rate 20 times that of SGD here.
OPTIMIZERS = {
    "adam": lambda rate: Adam(20 * rate),
    "amsgrad": lambda rate: Adam(20 * rate, amsgrad=True),
    "adamw": lambda rate: AdamW(20 * rate, weight_decay=1e-6),
    "sgd": lambda rate: SGD(rate),
    "momentum": lambda rate: SGD(rate, momentum=0.7),
    "nesterov": lambda rate: SGD(rate, momentum=0.7, nesterov=True),
}
SCHEDULES = [
    Constant(0.1, 3),
    Linear(0.1, 10, 3),
    Cosine(0.1, 10, 3),
    Step(0.1, 10, 3, (5,)),
    InverseSquareRoot(0.1, 3),
    OneCycle(0.1, 10, 3),
]


def parabola(x):
    return tf.reduce_sum(tf.constant([1.0, 10.0]) * tf.square(x - tf.constant([3.0, -1.0])))


def rosenbrock(x):
    return tf.square(1.0 - x[0]) + 100.0 * tf.square(x[1] - tf.square(x[0]))


def minimize(optimizer, objective, start, calls, steps_per_call):
    """Minimizes and returns the final variables. The rate is halved before the last call."""
    variable = keras.Variable(start)
    optimizer.build([variable])

    @tf.function
    def run():
        for _ in tf.range(steps_per_call):
            with tf.GradientTape() as tape:
                loss = objective(variable.value)
            optimizer.apply(tape.gradient(loss, [variable.value]), [variable])

    for call in range(calls):
        if call == calls - 1:
            optimizer.learning_rate = float(optimizer.learning_rate) / 2
        run()
    assert run.experimental_get_tracing_count() == 1
    return np.asarray(variable)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bottom_of_a_parabola(name):
    end = minimize(OPTIMIZERS[name](0.01), parabola, [0.0, 0.0], calls=4, steps_per_call=500)
    np.testing.assert_allclose(end, [3, -1], atol=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_end_of_rosenbrock_s_valley(name):
    end = minimize(OPTIMIZERS[name](1e-3), rosenbrock, [-1.2, 1.0], calls=4, steps_per_call=5_000)
    np.testing.assert_allclose(end, [1, 1], atol=1e-2)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_steps_are_as_long_as_the_schedule_s_rates_with_one_trace(schedule):
    """With a gradient of 1, plain gradient descent moves by the rate, also after the run."""
    variable = keras.Variable([0.0])
    optimizer = SGD(schedule)
    optimizer.build([variable])
    step = tf.function(lambda: optimizer.apply([tf.constant([1.0])], [variable]))
    positions = [0.0]
    for _ in range(13):
        step()
        positions.append(float(np.asarray(variable)[0]))
    rates = [float(schedule(number)) for number in range(13)]
    np.testing.assert_allclose(-np.diff(positions), rates, atol=1e-6)
    assert step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(("kind", "expected"), [(Adam, 1), (AdamW, 1), (SGD, 1), (keras.optimizers.AdamW, 6)])
def test_the_schedule_runs_once_a_step_however_many_variables(kind, expected):
    """Keras runs the schedule once more for each variable that decays."""
    calls = 0

    class Counted(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):  # noqa: ARG002
            nonlocal calls
            calls += 1
            return tf.constant(0.5)

    variables = [keras.Variable([1.0]) for _ in range(5)]
    optimizer = kind(Counted(), weight_decay=0.1)
    optimizer.build(variables)
    optimizer.apply([tf.constant([1.0])] * 5, variables)
    assert calls == expected
