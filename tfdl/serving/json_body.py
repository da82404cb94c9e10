"""The JSON of a request's body."""

import json
import math
from collections import Counter
from typing import Any

from tfdl.garbage_collection import garbage_collection_off
from tfdl.serving.errors import BAD_REQUEST, RequestError

# The objects that a body's infinities become. Any other infinite float was a number that is too large, such as 1e400.
_WRITTEN = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
_MOST_SHOWN = 60


class Body(dict[str, Any]):
    """The object of a body.

    Args:
        values: its members.
        text: the body.
    """

    def __init__(self, values: dict[str, Any], text: bytes):
        super().__init__(values)
        self.num_bytes = len(text)


def read_object(body: bytes) -> Body:
    """Reads a JSON object in UTF-8. ``NaN``, ``Infinity`` and ``-Infinity`` are numbers, as in TensorFlow Serving.

    Args:
        body: of the request.

    Raises:
        RequestError: it is something else.
    """
    try:
        # Looking for cycles, which JSON does not have, takes most of the time of many small lists.
        with garbage_collection_off():
            values = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_WRITTEN.__getitem__)
    except UnicodeDecodeError as error:
        raise RequestError(BAD_REQUEST, f"the body is not UTF-8 (byte {error.start}), expected JSON") from error
    except RecursionError as error:
        raise RequestError(
            BAD_REQUEST, "the body's JSON is nested too deeply, expected a tensor's nested lists"
        ) from error
    except json.JSONDecodeError as error:
        raise RequestError(BAD_REQUEST, f"the body is not JSON: {error}") from error
    except ValueError as error:  # a number of thousands of digits
        raise RequestError(BAD_REQUEST, f"the body's JSON cannot be used: {str(error).partition(';')[0]}") from error
    if not isinstance(values, dict):
        raise RequestError(
            BAD_REQUEST, f'the body is a JSON {json_type(values)}, expected an object: {{"instances": ...}}'
        )
    return Body(values, body)


def is_written_infinity(value: float) -> bool:
    """Whether a number was written as ``Infinity`` or ``-Infinity``.

    Args:
        value: that ``read_object`` read.
    """
    return any(value is written for written in _WRITTEN.values())


def json_type(value: Any) -> str:
    """The name that JSON has for a value's type.

    Args:
        value: that was read from JSON.
    """
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def check_keys(values: dict[str, Any], known: set[str]) -> None:
    """Checks that an object has no other members.

    Args:
        values: the object.
        known: the members that it may have.

    Raises:
        RequestError: it has another one.
    """
    unknown = sorted(set(values) - known)
    if unknown:
        expected = ", ".join(sorted(known))
        raise RequestError(BAD_REQUEST, f"the body has the unknown key {shown(unknown[0])}, expected {expected}")


def shown(value: Any) -> str:
    """A value of a request in a message: as JSON has it, short, and in ASCII.

    Args:
        value: that was read from JSON.
    """
    if isinstance(value, float) and math.isinf(value) and not is_written_infinity(value):
        return "a number that is too large"
    try:
        text = json.dumps(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        return f"a JSON {json_type(value)}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def is_unicode(text: str) -> bool:
    """Whether a string has no half of a surrogate pair, which JSON can express and UTF-8 cannot.

    Args:
        text: that was read from JSON.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, number in counts.items() if number > 1)
        raise RequestError(BAD_REQUEST, f"the key {shown(twice)} occurs twice in one object of the body's JSON")
    return values
