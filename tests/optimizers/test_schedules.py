"""Learning-rate schedules: values by hand at the corners, PyTorch and Keras, long runs, serialization."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.errors import UserError
from tfdl.optimizers import build_schedule
from tfdl.optimizers.schedules import Constant, Cosine, InverseSquareRoot, Linear, OneCycle, Step

ALL = [
    Constant(0.5, 10),
    Linear(0.5, 100, 10, 0.1),
    Cosine(0.5, 100, 10, 0.1),
    Step(0.5, 100, 10, (50, 75), 0.1),
    InverseSquareRoot(0.5, 10),
    OneCycle(0.5, 100, 10),
]
BIG = 2**40  # steps, far above the integers that float32 can represent


def kind_of(schedule):
    return type(schedule).__name__


def rates(schedule, steps):
    """The learning rates of these steps."""
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


@pytest.mark.parametrize("schedule", ALL[:5], ids=kind_of)
def test_the_warm_up_rises_evenly_to_the_peak_in_its_last_step(schedule):
    assert rates(schedule, range(10)) == pytest.approx([0.05 * number for number in range(1, 11)], rel=1e-6)


# A schedule, and its learning rate at some steps.
CORNERS = {
    "constant": (Constant(0.5), {0: 0.5, 99: 0.5, 10**9: 0.5}),
    "constant, warm-up of 1": (Constant(0.5, 1), {0: 0.5, 1: 0.5}),
    "linear": (Linear(0.5, 100), {0: 0.5, 50: 0.25, 99: 0.005, 100: 0, 500: 0}),
    "linear, not to 0": (Linear(0.5, 110, 10, 0.2), {9: 0.5, 10: 0.5, 60: 0.3, 109: 0.104, 110: 0.1, 500: 0.1}),
    "linear, one step": (Linear(0.5, 1), {0: 0.5, 1: 0}),
    "linear, only a warm-up": (Linear(0.5, 4, 4, 0.2), {0: 0.125, 3: 0.5, 4: 0.1}),
    "cosine": (Cosine(0.5, 100), {0: 0.5, 25: 0.25 * (1 + math.sqrt(0.5)), 50: 0.25, 100: 0, 500: 0}),
    "cosine, not to 0": (Cosine(0.5, 110, 10, 0.2), {9: 0.5, 10: 0.5, 60: 0.3, 110: 0.1, 500: 0.1}),
    "step": (
        Step(0.5, 100, 0, (50, 75), 0.1),
        {0: 0.5, 49: 0.5, 50: 0.05, 74: 0.05, 75: 0.005, 99: 0.005, 500: 0.005},
    ),
    "step, without milestones": (Step(0.5, 100, 2), {0: 0.25, 1: 0.5, 99: 0.5}),
    "step, two at once": (Step(0.5, 100, 0, (50, 50), 0.1), {49: 0.5, 50: 0.005}),
    "step, down to 0": (Step(0.5, 100, 0, (50,), 0.0), {49: 0.5, 50: 0}),
    "step, in the warm-up": (Step(0.5, 100, 4, (2,), 0.1), {1: 0.25, 2: 0.0375, 3: 0.05, 4: 0.05}),
    "inverse root": (InverseSquareRoot(0.5, 4), {0: 0.125, 3: 0.5, 4: math.sqrt(0.2), 15: 0.25, 99: 0.1}),
    "inverse root, no warm-up": (InverseSquareRoot(0.5), {0: 0.5, 3: 0.25}),
    "one cycle": (
        OneCycle(0.5, 101, 11),
        {0: 0.02, 5: 0.26, 10: 0.5, 55: 0.250001, 100: 0.5 / 250_000, 500: 0.5 / 250_000},
    ),
    "one cycle, up in one step": (OneCycle(0.5, 3, 1), {0: 0.5, 1: 0.250001, 2: 0.5 / 250_000}),
    "one cycle, one step": (OneCycle(0.5, 1), {0: 0.5, 1: 0.5 / 250_000}),
    "one cycle, only up": (OneCycle(0.5, 3, 3), {0: 0.02, 1: 0.26, 2: 0.5, 3: 0.5 / 250_000}),
}


@pytest.mark.parametrize("case", CORNERS)
def test_values_by_hand(case):
    schedule, expected = CORNERS[case]
    actual = rates(schedule, expected.keys())
    assert actual == pytest.approx(list(expected.values()), rel=1e-6, abs=1e-12)


def test_the_transformer_s_schedule_is_the_paper_s():
    """lrate = d_model^-0.5 * min(step^-0.5, step * warmup_steps^-1.5), with step from 1."""
    width = 512
    warmup = 4000
    schedule = InverseSquareRoot(width**-0.5 * warmup**-0.5, warmup)
    for number in (1, 100, 4000, 4001, 100_000):
        expected = width**-0.5 * min(number**-0.5, number * warmup**-1.5)
        assert float(schedule(number - 1)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("total_steps", [10, 50, 77])
def test_one_cycle_is_pytorch_s(total_steps):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=total_steps, cycle_momentum=False)
    expected = [theirs.get_last_lr()[0]]
    for _ in range(total_steps - 1):
        optimizer.step()
        theirs.step()
        expected.append(theirs.get_last_lr()[0])
    assert rates(OneCycle(0.5, total_steps), range(total_steps)) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_cosine_and_linear_are_keras_s():
    cosine = Cosine(0.5, 60, final_fraction=0.1)
    linear = Linear(0.5, 60, final_fraction=0.1)
    keras_cosine = keras.optimizers.schedules.CosineDecay(0.5, 60, alpha=0.1)
    keras_linear = keras.optimizers.schedules.PolynomialDecay(0.5, 60, end_learning_rate=0.05)
    for step in range(0, 80, 3):
        assert float(cosine(step)) == pytest.approx(float(keras_cosine(step)), rel=1e-5)
        assert float(linear(step)) == pytest.approx(float(keras_linear(step)), rel=1e-5)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Linear(1.0, BIG, 0), {BIG - 3: 3 / BIG, BIG - 1: 1 / BIG, BIG: 0}),
        (Cosine(1.0, BIG, 0), {BIG - 1: (math.pi / 2 / BIG) ** 2, BIG // 2: 0.5}),
        (Step(1.0, BIG, 0, (BIG - 2,)), {BIG - 3: 1, BIG - 2: 0.1}),
        (OneCycle(1.0, BIG, BIG - 2), {BIG - 3: 1, BIG - 2: 0.500002, BIG - 1: 1 / 250_000}),
        (Constant(1.0, BIG), {0: 1 / BIG, BIG // 2 - 1: 0.5, BIG: 1}),
    ],
    ids=kind_of,
)
def test_no_step_of_a_long_run_is_rounded_away(schedule, expected):
    actual = rates(schedule, expected.keys())
    assert actual == pytest.approx(list(expected.values()), rel=1e-6, abs=0)


@pytest.mark.parametrize("schedule", ALL, ids=kind_of)
def test_many_steps_at_once_in_float32_and_compiled(schedule):
    steps = tf.range(120)
    together = schedule(steps)
    assert together.dtype == tf.float32
    np.testing.assert_allclose(together, rates(schedule, range(120)), rtol=1e-6)
    compiled = tf.function(lambda steps: schedule(steps), jit_compile=True)
    np.testing.assert_allclose(compiled(steps), together, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("schedule", ALL, ids=kind_of)
def test_a_schedule_comes_back_equal(schedule):
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert rates(again, range(0, 120, 7)) == rates(schedule, range(0, 120, 7))


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("constant", {}, Constant(0.5, 10)),
        ("linear", {"final_fraction": 0.25}, Linear(0.5, 100, 10, 0.25)),
        ("cosine", {"final_fraction": 0.25}, Cosine(0.5, 100, 10, 0.25)),
        ("step", {"milestones": (0.2, 0.3), "factor": 0.5}, Step(0.5, 100, 10, (20, 30), 0.5)),
        ("inverse_sqrt", {}, InverseSquareRoot(0.5, 10)),
        ("one_cycle", {}, OneCycle(0.5, 100, 10)),
    ],
)
def test_schedules_by_name(name, fields, expected):
    built = build_schedule(name, 0.5, total_steps=100, warmup_steps=10, **fields)
    assert type(built) is type(expected)
    assert built.get_config() == expected.get_config()


def test_a_rate_that_never_changes_stays_a_number():
    rate = build_schedule("constant", 1, total_steps=100)
    assert type(rate) is float
    assert rate == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0.0, 10), r"Linear peak=0\.0, expected a positive learning rate"),
        (lambda: Constant(math.nan), r"Constant peak=nan, expected a positive learning rate"),
        (lambda: Constant(0.1, -1), r"Constant warmup_steps=-1, expected a whole number of steps, at least 0"),
        (lambda: InverseSquareRoot(0.1, 1.5), r"InverseSquareRoot warmup_steps=1\.5, expected a whole number of steps"),
        (lambda: Linear(0.1, 0), r"Linear total_steps=0, expected a whole number of steps, at least 1"),
        (lambda: Cosine(0.1, 10, 11), r"Cosine warmup_steps=11, expected at most total_steps=10"),
        (lambda: Linear(0.1, 10, 0, 2.0), r"Linear final_fraction=2\.0, expected a number from 0 to 1"),
        (lambda: Step(0.1, 10, 0, (5, 3)), r"Step milestones=\[5, 3\], expected rising steps, up to total_steps=10"),
        (lambda: Step(0.1, 10, 0, (5, 11)), r"Step milestones=\[5, 11\], expected rising steps, up to total_steps=10"),
        (lambda: Step(0.1, 10, 0, (0.5,)), r"Step milestone=0\.5, expected a whole number of steps, at least 0"),
        (lambda: Step(0.1, 10, factor=-1), r"Step factor=-1, expected a number of at least 0"),
        (lambda: OneCycle(0.1, 10, 11), r"OneCycle warmup_steps=11, expected at most total_steps=10"),
        (lambda: build_schedule("cosin", 0.1, total_steps=1), r"unknown schedule 'cosin', .* Did you mean 'cosine'\?"),
        (lambda: build_schedule("constant", -1, total_steps=1), r"Constant peak=-1, expected a positive learning rate"),
        (lambda: build_schedule("linear", 0.1), r"schedule 'linear' without total_steps, expected the number of steps"),
        (lambda: build_schedule("linear", 0.1, total_steps=1, factor=2), r"unknown key 'schedule\.factor', expected"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(UserError, match=message):
        make()
