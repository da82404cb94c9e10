"""The names of a step's collectives, by which Horovod matches the ranks'."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.distributed.collective_names import next_collective_name


def traced_names(inner_functions: Callable[[list[int]], list[Any]]) -> list[int]:
    """The numbers in the order in which a step is traced that has a collective before, between and after functions."""
    numbers: list[int] = []
    functions = inner_functions(numbers)

    @tf.function(autograph=False)
    def step(value: Any) -> Any:
        take(numbers)
        for function in functions:
            value = function(value)
            take(numbers)
        return value

    step(tf.constant(1.0))
    return numbers


def take(numbers: list[int]) -> None:
    numbers.append(int(next_collective_name().removeprefix("HorovodAllreduce_")))


def function_with_two_collectives(numbers: list[int], makes_variable: bool = False) -> Any:
    variables: list[tf.Variable] = []

    @tf.function(autograph=False)
    def inner(value: Any) -> Any:
        if makes_variable and not variables:
            variables.append(tf.Variable(1.0))
        take(numbers)
        take(numbers)
        return value + 1.0

    return inner


def test_a_trace_that_was_discarded_does_not_count() -> None:
    """As when the first step makes the variables of a metric: the function is traced twice."""
    names = traced_names(lambda numbers: [function_with_two_collectives(numbers, makes_variable=True)])
    assert names == [0, 1, 2, 1, 2, 3]


def test_functions_of_one_name_have_different_collectives() -> None:
    """The control: both are called."""
    names = traced_names(lambda numbers: [function_with_two_collectives(numbers) for _ in range(2)])
    assert names == list(range(7))


def test_branches_have_different_collectives() -> None:
    def branches(numbers: list[int]) -> list[Any]:
        def branch() -> Any:
            take(numbers)
            return tf.constant(1.0)

        return [lambda value: tf.cond(value > 0.0, branch, branch)]

    assert traced_names(branches) == [0, 1, 2, 3]
