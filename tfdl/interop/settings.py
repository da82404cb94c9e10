"""Values of config.json, each checked when it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfdl.errors import UserError

_REQUIRED = object()
# No text has more tokens.
# A whole number of JSON may be too large for a float; no setting is.
_TOO_LARGE = 1e30
_MOST_POSITIONS = 2**31


class Settings:
    """The values of a published model's configuration.

    A size is at most the number of values in the largest tensor, so a file that names a huge size is refused before
    anything of that size is made. Keys that are not read are ignored.

    Args:
        values: the content of config.json.
        path: of the file, for messages.
        largest: the number of values in the largest tensor of the weights.
        num_tensors: the number of tensors of the weights.
    """

    def __init__(self, values: Mapping[str, Any], path: Path, largest: int, num_tensors: int):
        self._values = values
        self._path = path
        self._largest = largest
        self._num_tensors = num_tensors

    def raw(self, name: str) -> Any:
        """The value as it is; None without it."""
        return self._values.get(name)

    def lacks(self, name: str) -> bool:
        """Whether there is no such key; a key with null is there."""
        return name not in self._values

    def section(self, name: str) -> "Settings":
        """A nested object; empty without it."""
        values = self._values.get(name) or {}
        if not isinstance(values, dict):
            raise self.wrong(name, values, "an object")
        return Settings(values, self._path, self._largest, self._num_tensors)

    def size(self, name: str, default: Any = _REQUIRED) -> Any:
        """A dimension of some tensor; the default where the value is missing or null."""
        return self._count(name, default, self._largest, "which no tensor of the weights has")

    def layers(self, name: str) -> int:
        """A number of layers."""
        count: int = self._count(name, _REQUIRED, self._num_tensors, "but there are not as many tensors")
        return count

    def positions(self, name: str, default: Any = _REQUIRED) -> Any:
        """A number of tokens."""
        return self._count(name, default, _MOST_POSITIONS, "which no text has")

    def number(self, name: str, default: Any = _REQUIRED) -> Any:
        """A finite number."""
        value = self._value(name, default)
        if value is default:
            return value
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _TOO_LARGE
        if not is_number:
            raise self.wrong(name, value, "a number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    def choice(self, name: str, choices: Mapping[str, Any], default: str) -> Any:
        """What one of several words stands for."""
        value = self._value(name, default)
        if not isinstance(value, str) or value not in choices:
            raise self.wrong(name, value, f"one of {', '.join(choices)}; others are not built in tfdl")
        return choices[value]

    def require(self, name: str, default: Any, *accepted: Any) -> None:
        """Refuses a model whose value changes the computation in a way that tfdl does not have.

        Args:
            name: the key.
            default: the value where it is missing or null.
            *accepted: values that tfdl computes.

        Raises:
            UserError: another value.
        """
        value = self._value(name, default)
        if not any(type(value) is type(known) and value == known for known in accepted):
            raise self.wrong(name, value, f"{' or '.join(map(repr, accepted))}; others are not built in tfdl")

    def wrong(self, name: str, received: Any, expected: str) -> UserError:
        """The error of a value."""
        shown = repr(received)
        if len(shown) > 100:
            shown = f"{shown[:100]}..."
        return UserError(f"{str(self._path)!r} has {name}={shown}, expected {expected}")

    def _count(self, name: str, default: Any, most: int, reason: str) -> Any:
        value = self._value(name, default)
        if value is default:
            return value
        if type(value) is not int or value < 1:
            raise self.wrong(name, value, "a whole number of at least 1")
        if value > most:
            raise self.wrong(name, value, f"at most {most:,}: {value:,} is a size {reason}")
        return value

    def _value(self, name: str, default: Any) -> Any:
        value = self._values.get(name)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise UserError(f"{str(self._path)!r} has no {name}, expected the configuration of a published model")
        return default
