"""NumPy arrays as a source."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.data.python_reading import python_columns
from tfdl.data.sources import ArraySource, ShuffledSource, Source
from tfdl.errors import UserError


class DiskArraySource(ShuffledSource):
    """Arrays that are mapped from disk and larger than the memory limit; each batch is read when it is needed.

    Args:
        features: arrays with one row for each sample.
    """

    def __init__(self, features: dict[str, np.ndarray]):
        self.num_examples = len(next(iter(features.values())))
        self._features = features
        self.signature = {
            name: tf.TensorSpec(values.shape[1:], values.dtype) for name, values in self._features.items()
        }

    def read(self, indices: Any) -> dict[str, Any]:
        """See ``Source.read``."""
        return python_columns(self._rows, indices, self.signature, stateful=False)

    def _rows(self, indices: np.ndarray) -> list[np.ndarray]:
        return [np.ascontiguousarray(values[indices]) for values in self._features.values()]


def arrays_source(features: dict[str, Any], memory_limit_mb: int, where: str) -> Source:
    """A source of arrays.

    Args:
        features: name -> array or list, with one row for each sample.
        memory_limit_mb: arrays that are mapped from disk stay there if they are larger than this, in MiB.
        where: what is read, for messages.

    Raises:
        UserError: no samples, unequal lengths, or values that are neither numbers nor texts.
    """
    arrays = {name: as_array(value, name, where) for name, value in features.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise UserError(f"the arrays of {where} have different lengths: {shown}; expected one row for each sample")
    if not next(iter(lengths.values())):
        raise UserError(f"{where} has no samples, expected at least 1")
    size = sum(array.nbytes for array in arrays.values())
    is_mapped = any(isinstance(array, np.memmap) for array in arrays.values())
    if is_mapped and size > memory_limit_mb * 2**20:
        return DiskArraySource(arrays)
    return ArraySource(arrays)


def as_array(value: Any, name: str, where: str) -> np.ndarray:
    """An array of numbers or texts; texts have the dtype ``object``.

    Args:
        value: an array, a list, or what NumPy can make an array of, such as a column of a table.
        name: the feature, for messages.
        where: what is read, for messages.

    Raises:
        UserError: values that are neither numbers nor texts, or no axis for samples.
    """
    try:
        array = np.asanyarray(value)  # a memory map stays one
    except ValueError as error:
        raise UserError(f"{name} of {where} is not an array: {error}") from error
    if array.dtype.kind in "US":
        # Made of the value itself, since NumPy's own strings lose zeros at their end.
        array = np.asarray(value, object)
    is_text = array.dtype == object and all(isinstance(item, str | bytes) for item in array.flat)
    is_number = array.dtype.kind in "biufc"
    if array.ndim == 0 or not (is_number or is_text):
        raise UserError(
            f"{name} of {where} is {type(value).__name__} of dtype {array.dtype}, expected an array of numbers or texts"
            " with one row for each sample"
        )
    return array
