"""The types of what was read from the files of a run, which anyone may have changed."""

from collections.abc import Mapping
from typing import Any

_WORD = (str, "a text")
_COUNT = (int, "a whole number")
# Whole numbers in JSON may be larger than any other number of Python.
_LARGEST = 1e300
_NUMBER = (int | float, "a number")
_EXPECTED: dict[str, tuple[Any, str]] = {
    "model": _WORD,
    "task": _WORD,
    "dataset": _WORD,
    "parameters": _COUNT,
    "epochs": _COUNT,
    "steps": _COUNT,
    "world_size": _COUNT,
    "batch_size": _COUNT,
    "global_batch_size": _COUNT,
    "examples_per_second": _NUMBER,
    "wall_seconds": _NUMBER,
    "weights_sha256": _WORD,
    "tfdl_version": _WORD,
}


def checked_values(values: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The values that have the type which a ``ListedRun`` expects; other keys are left out.

    Args:
        values: results, by the keys of ``summary.json``.
        problems: gets a line for each value of another type.
    """
    checked: dict[str, Any] = {}
    for name, (kind, expected) in _EXPECTED.items():
        value = values.get(name)
        if _is_of(kind, value):
            checked[name] = value
        elif value is not None:
            problems.append(f"{name} is of type {type(value).__name__}, expected {expected}")
    for split in ("validation", "test"):
        metrics = values.get(split) or {}
        if _are_metrics(metrics):
            checked[split] = metrics
        else:
            problems.append(f"{split} has something else than metrics, expected numbers by name")
    return checked


def check_status(status: Mapping[str, Any], problems: list[str]) -> None:
    """Checks the values of ``status.json``.

    Args:
        status: its content.
        problems: gets a line for each value of another type.
    """
    code = status.get("code")
    if code is not None and not _is_of(int, code):
        problems.append(f"status.json: code is of type {type(code).__name__}, expected a whole number or null")
    reason = status.get("reason", "")
    if not isinstance(reason, str):
        problems.append(f"status.json: reason is of type {type(reason).__name__}, expected a text")


def count_or_zero(value: Any) -> int:
    """A whole number; 0 for anything else."""
    return value if _is_of(int, value) else 0


def is_number(value: Any) -> bool:
    """Whether a value is a number that is not too large to compute with. Truth values are none."""
    return _is_of(int | float, value) and not abs(value) >= _LARGEST


def _are_metrics(metrics: Any) -> bool:
    if not isinstance(metrics, Mapping):
        return False
    return all(value is None or is_number(value) for value in metrics.values())


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value has a type. Truth values are numbers in Python, and are none here."""
    return isinstance(value, kind) and not isinstance(value, bool)
