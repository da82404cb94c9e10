"""The values that a step has returned, over all ranks: metrics exactly, other values as a mean."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfdl.distributed.world import World

# A step computes a metric in its graph, which may round the last digits differently than eager code does.
_TOLERANCE = 1e-5


def values_over_ranks(
    logged: Mapping[str, Any], local: Mapping[str, Any], exact: Mapping[str, Any], world: World
) -> dict[str, Any]:
    """Replaces what one rank would log by a value that is the same on all ranks.

    A custom ``train_step`` or ``test_step`` may return anything under any name. A returned value that is the model's
    metric of that name, on every rank, becomes the metric of all ranks' samples. Any other number, or array of numbers,
    becomes the mean over the ranks.

    Args:
        logged: name -> what this rank would log.
        local: name -> the result of the model's metric on this rank.
        exact: name -> the result of the model's metric over all ranks.
        world: the ranks.

    Returns:
        The replaced values by name, without those that are not numeric, or that only some ranks have.
    """
    numbers = _numbers(logged)
    found = {name: (value, name in local and _is_close(value, local[name])) for name, value in numbers.items()}
    everyone = world.all_gather_object(found)
    replaced = {}
    for name in found:
        of_ranks = [of_rank.get(name) for of_rank in everyone]
        if any(of_rank is None for of_rank in of_ranks):
            continue
        if all(is_metric for _, is_metric in of_ranks):
            replaced[name] = exact[name]
            continue
        values = [value for value, _ in of_ranks]
        if len({value.shape for value in values}) == 1:
            replaced[name] = _mean(values)
    return replaced


def flattened(logged: Mapping[str, Any]) -> dict[str, Any]:
    """The values without nesting: Keras logs what a nested dict contains under its own names."""
    flat = {}
    for name, value in logged.items():
        if isinstance(value, Mapping):
            flat.update(flattened(value))
        else:
            flat[name] = value
    return flat


def _numbers(logged: Mapping[str, Any]) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(value) for name, value in flattened(logged).items()}
    return {name: array.astype(np.float64) for name, array in arrays.items() if _is_number(array)}


def _is_number(array: np.ndarray) -> bool:
    return array.dtype.kind in "fiub" or array.dtype.name == "bfloat16"


def _is_close(value: np.ndarray, metric: Any) -> bool:
    result = np.asarray(metric, np.float64)
    return value.shape == result.shape and np.allclose(value, result, rtol=_TOLERANCE, atol=0, equal_nan=True)


def _mean(values: list[np.ndarray]) -> Any:
    """The mean; equal values, such as a learning rate, keep their bits."""
    mean = np.mean(values, axis=0)
    if all(np.array_equal(value, values[0], equal_nan=True) for value in values):
        mean = values[0]
    return mean if mean.ndim else float(mean)
