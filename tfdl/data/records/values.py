"""The values of a row of records, and what they are as texts."""

import json
from collections.abc import Sequence

Value = str | bytes | int | float | bool
"""Missing values are left out of a row."""


def as_text(value: Value, class_names: Sequence[str] = ()) -> str | bytes | None:
    """A number or a boolean as JSON, the number of a class as its name, all else as it is.

    A number that is none of a class's, such as -1 of a sample without a label, is ``None``.

    Args:
        value: of a row.
        class_names: the names of the classes, if the value is the number of one.
    """
    if isinstance(value, str | bytes):
        return value
    if class_names and isinstance(value, int):
        return class_names[value] if 0 <= value < len(class_names) else None
    return json.dumps(value)
