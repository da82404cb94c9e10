"""How far the answers of an exported model are from the model's own."""

import numpy as np


def largest_difference(expected: dict[str, np.ndarray], answers: dict[str, np.ndarray]) -> float:
    """The largest difference between two sets of outputs.

    Differences of real numbers are relative to the expected value where that is larger than 1. A missing output, an
    output of another shape, and a label or integer that differs count as infinite.

    Args:
        expected: the model's outputs by name.
        answers: those of the exported model.
    """
    if expected.keys() != answers.keys():
        return float("inf")
    largest = 0.0
    for name, expected_values in expected.items():
        values = answers[name]
        if expected_values.dtype.kind == "f" and expected_values.shape == values.shape:
            if not values.size:
                continue
            differences = np.abs(expected_values - values) / np.maximum(1, np.abs(expected_values))
            difference = float(differences.max())
            if not np.isfinite(difference):
                return float("inf")
            largest = max(largest, difference)
            continue
        if expected_values.dtype == object:  # strings, which NumPy's files store as bytes
            expected_values = expected_values.astype("S")
        if not np.array_equal(expected_values, values):
            return float("inf")
    return largest
