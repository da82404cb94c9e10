"""Answers for an array that is what the model takes: its batches need no loading and no checks of single samples."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tfdl.inference.predictor import Compute
from tfdl.tasks.prediction import Prediction, Record


def is_ready(prediction: Prediction, inputs: Any) -> bool:
    """Whether inputs are one array of the dtype and the shape that ``compute`` takes.

    Args:
        prediction: the task's steps.
        inputs: of Python code.
    """
    signature = prediction.signature
    if not isinstance(inputs, np.ndarray) or len(signature) != 1:
        return False
    (spec,) = signature.values()
    return bool(inputs.dtype == spec.dtype.as_numpy_dtype and spec.shape.is_compatible_with(inputs.shape))


def answers_of_arrays(
    prediction: Prediction, compute: Compute, inputs: np.ndarray, batch_size: int | None
) -> Iterator[Record]:
    """The records of an array's rows, in their order.

    Args:
        prediction: the task's steps.
        compute: the model's step.
        inputs: ``(n, ...)``, for which ``is_ready`` is true.
        batch_size: most rows that are computed together. Defaults to the task's own number.
    """
    (name,) = prediction.signature
    size = batch_size or prediction.batch_size
    for start in range(0, len(inputs), size):
        outputs = compute({name: inputs[start : start + size]})
        yield from prediction.records({key: value.numpy() for key, value in outputs.items()})
