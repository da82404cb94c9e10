"""Reads JSON files that anyone may have written: their size is bounded, and each value is checked when it is read."""

import json
import math
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfdl.errors import UserError, in_one_line

MOST_BYTES = 16 * 2**20
"""The largest file that is read, unless the caller allows more."""

_LARGEST = 2**63 - 1
_REQUIRED = object()
_LONGEST_SHOWN = 100


def read_json_object(path: Path, advice: str, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Reads one JSON object.

    Args:
        path: the file.
        advice: what the user can do if it is no such file, such as ``copy the run again``.
        most_bytes: a larger file is refused before it is read.

    Raises:
        UserError: no such file, no regular file, a file that is too large, or no JSON object.
    """
    try:
        return bounded_object(path, most_bytes)
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r} ({error.strerror}), expected a JSON file; {advice}") from error
    except ValueError as error:
        raise UserError(f"{str(path)!r} {error}; {advice}") from error


def bounded_object(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """``read_json_object`` for callers that have messages of another form.

    Args:
        path: the file.
        most_bytes: a larger file is refused before it is read.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: what is wrong with the file, such as ``holds a list, expected a JSON object``.
    """
    # A pipe would be waited for, and a device may have no end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is no regular file")
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"has more than {most_bytes:,} bytes, expected a smaller file")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({in_one_line(str(error))})") from error
    if not isinstance(values, dict):
        raise ValueError(f"holds a {type(values).__name__}, expected a JSON object")
    return values


class JsonValues:
    """The values of a JSON object, each checked when it is read. Keys that are not read are ignored.

    Args:
        values: the object.
        path: of its file, for messages.
        advice: what the user can do about a wrong value.
    """

    def __init__(self, values: Mapping[str, Any], path: Path, advice: str):
        self._values = values
        self._path = path
        self._advice = advice

    @classmethod
    def of_file(cls, path: Path, advice: str) -> "JsonValues":
        """The values of a file; the arguments and errors are those of ``read_json_object``."""
        return cls(read_json_object(path, advice), path, advice)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def section(self, key: str, default: Any = _REQUIRED) -> "JsonValues":
        """A nested object."""
        value = self._value(key, default)
        self.require(isinstance(value, dict), key, value, "an object")
        return JsonValues(value, self._path, self._advice)

    def sections(self) -> "dict[str, JsonValues]":
        """All values, each of which must be an object."""
        return {key: self.section(key) for key in self._values}

    def count(self, key: str, default: Any = _REQUIRED, least: int = 0, most: int = _LARGEST) -> Any:
        """A whole number; the default where it is missing or null."""
        value = self._value(key, default)
        if value is default:
            return value
        fits = type(value) is int and least <= value <= most
        self.require(fits, key, value, f"a whole number from {least} to {most}")
        return value

    def number(self, key: str, default: Any = _REQUIRED) -> Any:
        """A finite number, as a float; the default where it is missing or null."""
        value = self._value(key, default)
        if value is default:
            return value
        self.require(is_number(value), key, value, "a number")
        return float(value)

    def numbers(self, key: str, default: Any = _REQUIRED) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self._value(key, default)
        self.require(isinstance(value, list | tuple) and all(map(is_number, value)), key, value, "a list of numbers")
        return tuple(map(float, value))

    def any_number(self, key: str, default: Any = _REQUIRED) -> Any:
        """A number that may be NaN or infinite, as Python writes those; the default where it is missing or null."""
        value = self._value(key, default)
        if value is default:
            return value
        self.require(_is_any_number(value), key, value, "a number")
        return float(value)

    def any_numbers(self, key: str, default: Any = _REQUIRED) -> tuple[float, ...]:
        """A list of numbers that may be NaN or infinite."""
        value = self._value(key, default)
        fits = isinstance(value, list | tuple) and all(map(_is_any_number, value))
        self.require(fits, key, value, "a list of numbers")
        return tuple(map(float, value))

    def flag(self, key: str, default: Any = _REQUIRED) -> bool:
        """True or false."""
        value = self._value(key, default)
        self.require(isinstance(value, bool), key, value, "true or false")
        return bool(value)

    def text(self, key: str) -> str:
        """A text."""
        value = self._value(key, _REQUIRED)
        self.require(isinstance(value, str), key, value, "a text")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._value(key, _REQUIRED)
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        self.require(fits, key, value, "a list of texts")
        return tuple(value)

    def raw(self, key: str) -> Any:
        """A value of any type, which the caller checks."""
        return self._value(key, _REQUIRED)

    def require(self, holds: bool, key: str, received: Any, expected: str) -> None:
        """Raises ``UserError`` unless ``holds``.

        Args:
            holds: whether the value can be used.
            key: of the value.
            received: the value.
            expected: what it must be.
        """
        if not holds:
            shown = repr(received)
            if len(shown) > _LONGEST_SHOWN:
                shown = f"{shown[:_LONGEST_SHOWN]}..."
            raise UserError(f"{str(self._path)!r} has {key}={shown}, expected {expected}; {self._advice}")

    def _value(self, key: str, default: Any) -> Any:
        value = self._values.get(key)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise UserError(f"{str(self._path)!r} has no {key!r}; {self._advice}")
        return default


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number; true and false are none."""
    return _is_any_number(value) and math.isfinite(value)


def _is_any_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= _LARGEST
