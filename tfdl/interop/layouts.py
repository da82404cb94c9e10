"""How the values of a tfdl variable are laid out in tensors of other libraries."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np


class Layout(ABC):
    """Between one variable and one or several tensors."""

    @abstractmethod
    def join(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        """Tensors of the other library to the variable's value."""

    @abstractmethod
    def split(self, value: np.ndarray) -> list[np.ndarray]:
        """The variable's value to tensors of the other library."""


class Same(Layout):
    """One tensor, as it is."""

    def join(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        return tensors[0]

    def split(self, value: np.ndarray) -> list[np.ndarray]:
        return [value]


class Transposed(Layout):
    """One tensor with its axes in another order.

    Args:
        axes: for each axis of the variable, the axis of the tensor.
    """

    def __init__(self, *axes: int):
        self._axes = axes

    def join(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        return tensors[0].transpose(self._axes)

    def split(self, value: np.ndarray) -> list[np.ndarray]:
        return [value.transpose(np.argsort(self._axes))]


class Columns(Layout):
    """Several tensors ``(outputs, inputs)`` whose transposes are columns of one kernel, or several biases.

    Args:
        *widths: columns of each tensor.
    """

    def __init__(self, *widths: int):
        self._ends = np.cumsum(widths)[:-1]

    def join(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(tensors).T

    def split(self, value: np.ndarray) -> list[np.ndarray]:
        return np.split(value.T, self._ends)


class Patches(Layout):
    """A convolution's kernel ``(outputs, channels, side, side)`` as the kernel ``(side * side * channels, outputs)`` of
    flattened patches.

    Args:
        side: of a patch, in pixels.
    """

    def __init__(self, side: int):
        self._side = side

    def join(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        (kernel,) = tensors
        return kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0])

    def split(self, value: np.ndarray) -> list[np.ndarray]:
        rows, outputs = value.shape
        channels = rows // self._side**2
        return [value.reshape(self._side, self._side, channels, outputs).transpose(3, 2, 0, 1)]


class WithAxes(Layout):
    """A tensor with additional first axes of size 1.

    Args:
        num_axes: how many.
    """

    def __init__(self, num_axes: int):
        self._num_axes = num_axes

    def join(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        return tensors[0].reshape(tensors[0].shape[self._num_axes :])

    def split(self, value: np.ndarray) -> list[np.ndarray]:
        return [value.reshape((1,) * self._num_axes + value.shape)]


SAME = Same()
KERNEL = Transposed(1, 0)
"""A dense kernel: ``(outputs, inputs)`` there, ``(inputs, outputs)`` here."""
CONVOLUTION = Transposed(2, 3, 1, 0)
"""``(outputs, channels, height, width)`` there, ``(height, width, channels, outputs)`` here."""
