"""The running averages of the weights, exchanged with the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf


def swap_averages(optimizer: Any) -> None:
    """Exchanges the optimizer's trained variables and their running averages.

    An optimizer without averages is left as it is. So is one that has not made its first step, because Keras starts an
    average at the variable's value after that step. Moving statistics of normalization layers are not exchanged: they
    are not trained, and are running averages already.
    """
    if not optimizer.use_ema or int(optimizer.iterations) == 0:
        return
    for variable, average in zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    ):
        value = tf.identity(tf.convert_to_tensor(variable))
        variable.assign(average)
        average.assign(value)


def keep_as_averages(optimizer: Any) -> None:
    """Makes the weights their own averages, as both are after a checkpoint of averages was read.

    Args:
        optimizer: with or without averages.
    """
    if not optimizer.use_ema:
        return
    for variable, average in zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    ):
        average.assign(variable)


@contextmanager
def averaged_weights(optimizer: Any) -> Iterator[None]:
    """Within the block the model has its averaged weights, and the optimizer has the trained weights as averages.

    A checkpoint that is written within the block can be evaluated and exported as it is. A resumed run calls
    ``swap_averages`` after it has loaded the checkpoint, and then continues bit for bit.
    """
    swap_averages(optimizer)
    try:
        yield
    finally:
        swap_averages(optimizer)
