"""Checks of the arguments that the data decides: the shape of images, and the numbers of classes and tokens."""

from numbers import Integral
from typing import Any

from tfdl.errors import UserError


def check_image_shape(input_shape: Any) -> None:
    """Raises ``UserError`` unless ``input_shape`` is ``(height, width, channels)``, each a whole number above 0."""
    has_three_axes = isinstance(input_shape, list | tuple) and len(input_shape) == 3
    if not has_three_axes or not all(_is_count(size) for size in input_shape):
        raise UserError(f"input_shape={input_shape}, expected (height, width, channels) such as (32, 32, 3)")


def check_counts(**counts: Any) -> None:
    """Raises ``UserError`` unless each of the named values is a whole number above 0."""
    for name, count in counts.items():
        if not _is_count(count):
            raise UserError(f"{name}={count!r}, expected a whole number of at least 1")


def _is_count(value: Any) -> bool:
    # bool is a subclass of int.
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0
