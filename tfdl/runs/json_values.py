"""Numbers that JSON does not have."""

import math
from collections.abc import Mapping
from typing import Any


def json_values(values: Any) -> Any:
    """Dictionaries, lists and plain values, with None for each number that is NaN or infinite.

    A metric may have such a value, such as R2 of equal targets; ``json`` would write it in a form that other programs
    refuse.

    Args:
        values: plain data.
    """
    if isinstance(values, Mapping):
        return {key: json_values(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [json_values(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return values
