"""The running average of the weights in the place of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf


def swap_averages(optimizer: Any) -> None:
    """Exchanges the optimizer's trained variables and their running averages.

    Nothing where it keeps none, or has not made its first step: Keras starts an average at the variable's value after
    that. Statistics of normalizations are no trained variables; they are running averages already.
    """
    if not optimizer.use_ema or int(optimizer.iterations) == 0:
        return
    for variable, average in zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    ):
        value = tf.identity(tf.convert_to_tensor(variable))
        variable.assign(average)
        average.assign(value)


@contextmanager
def averaged_weights(optimizer: Any) -> Iterator[None]:
    """Within the block the model has its averaged weights, and the optimizer keeps the trained ones in their place.

    A checkpoint that is written within it serves with averages as it is, and goes on exactly after ``swap_averages``.
    """
    swap_averages(optimizer)
    try:
        yield
    finally:
        swap_averages(optimizer)
