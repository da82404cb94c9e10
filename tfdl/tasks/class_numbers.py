"""Class numbers as the targets of a Keras loss: whether they are those of a model's outputs."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data import ArraySource, Source
from tfdl.errors import UserError
from tfdl.tasks.objective import takes_class_numbers


def check_class_numbers(source: Source, feature: str, loss: Any, output: tf.TensorSpec, where: str) -> None:
    """Raises an error if a target is not the number of an output, for a loss that takes class numbers.

    TensorFlow fails at the first such sample on a CPU, and makes its loss NaN on a GPU.

    Args:
        source: the samples. Only those in memory are looked at.
        feature: the target's name.
        loss: of the output.
        output: shape and dtype of one sample's output.
        where: what is read, for messages.

    Raises:
        UserError: a number below 0, or not below the number of classes.
    """
    if not takes_class_numbers(loss) or not isinstance(source, ArraySource):
        return
    num_classes = output.shape[-1]
    numbers = np.unique(source.values(feature))
    numbers = numbers[numbers != getattr(loss, "ignore_class", None)]
    wrong = numbers[(numbers < 0) | (numbers >= num_classes)]
    if len(wrong):
        raise UserError(
            f"{feature} of {where} has the class number {wrong[0]}, but the model has {num_classes} outputs; expected"
            f" numbers from 0 to {num_classes - 1}, or a model with more outputs"
        )
