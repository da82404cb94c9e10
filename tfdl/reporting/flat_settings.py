"""A configuration as one level of names and values."""

from collections.abc import Mapping
from typing import Any

from tfdl.runs.json_values import json_values

# A file may nest values deeper than any configuration does.
_MOST_LEVELS = 8


def flat_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings as one level: ``{"model": {"units": 5}}`` becomes ``{"model.units": 5}``.

    Args:
        values: of ``config.yaml``.
    """
    flat: dict[str, Any] = {}
    _add(flat, "", values, 0)
    return flat


def _add(flat: dict[str, Any], prefix: str, values: Mapping[Any, Any], level: int) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and level < _MOST_LEVELS:
            _add(flat, f"{prefix}{key}.", value, level + 1)
        elif isinstance(value, str | int | float | list | tuple | None):
            flat[f"{prefix}{key}"] = json_values(value)
        else:
            flat[f"{prefix}{key}"] = str(value)  # YAML has dates, too
