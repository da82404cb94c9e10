"""Reads the files in which a task's runs keep what the data decided, and which anyone may have changed."""

from pathlib import Path
from typing import Any

from tfdl.json_files import JsonValues

_ADVICE = "copy the run again"
_LONGEST_SIDE = 2**14
_MOST_CHANNELS = 2**10
# Positions of a text are 32-bit numbers.
_MOST_TOKENS = 2**31 - 1
_ANY = object()


def read_asset(assets: Path, name: str) -> JsonValues:
    """The values of a file of a run's assets.

    Args:
        assets: the folder.
        name: of the file.

    Raises:
        UserError: no such file, or no JSON object.
    """
    return JsonValues.of_file(assets / name, _ADVICE)


def checked_image_shape(values: JsonValues) -> tuple[int, int, int]:
    """Height, width and channels from ``image_shape``.

    Raises:
        UserError: not three sizes that an image can have.
    """
    shape = values.raw("image_shape")
    fits = isinstance(shape, list) and len(shape) == 3 and all(type(size) is int and size >= 1 for size in shape)
    fits = fits and max(shape[:2]) <= _LONGEST_SIDE and shape[2] <= _MOST_CHANNELS
    expected = f"height, width and channels, at most {_LONGEST_SIDE} pixels a side"
    values.require(fits, "image_shape", shape, expected)
    height, width, channels = shape
    return height, width, channels


def checked_class_names(values: JsonValues) -> tuple[str, ...]:
    """The names of ``class_names``.

    Raises:
        UserError: no texts.
    """
    names = values.texts("class_names")
    values.require(bool(names), "class_names", [], "a name for each class")
    return names


def checked_length(values: JsonValues, key: str, default: Any = _ANY) -> Any:
    """A number of tokens, or the default where it is missing.

    Args:
        values: of the file.
        key: of the number.
        default: where the key is missing; without it the key is required.

    Raises:
        UserError: no number of tokens.
    """
    if default is _ANY:
        return values.count(key, least=1, most=_MOST_TOKENS)
    return values.count(key, default, least=1, most=_MOST_TOKENS)
