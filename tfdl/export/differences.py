"""How far the answers of an export are from the model's."""

from collections.abc import Mapping

import numpy as np

from tfdl.errors import RunError
from tfdl.export.parity import Arrays

# The process or library that loads the file fuses other kernels, and adds in another order. Float32 answers then agree
# to about this.
TOLERANCE = 1e-4


def checked_difference(what: str, expected: Mapping[str, Arrays], answers: Mapping[str, Arrays]) -> float:
    """The largest difference between an export's answers and the model's, if it is small.

    Args:
        what: the export in messages, such as ``"the ONNX file"``.
        expected: the model's outputs by name, of several sets of inputs by name.
        answers: the export's.

    Raises:
        RunError: they differ by more than kernels do.
    """
    difference = max(largest_difference(outputs, answers.get(case, {})) for case, outputs in expected.items())
    if not difference <= TOLERANCE:  # also for NaN
        raise RunError(
            f"{what} differs from the model by {difference:.3g}, expected at most {TOLERANCE:g}; nothing was written"
        )
    return difference


def check_lower_precision(what: str, here: Mapping[str, Arrays], elsewhere: Mapping[str, Arrays]) -> None:
    """Checks the answers of a file in a lower precision, which are not the model's.

    Args:
        what: the export in messages.
        here: its outputs by name, of several sets of inputs by name, in this process.
        elsewhere: the same in a clean process.

    Raises:
        RunError: a number is NaN or infinite, or the answers differ.
    """
    for outputs in here.values():
        for name, values in outputs.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise RunError(f"{what} answers with {name} that are NaN or infinite; nothing was written")
    difference = max(largest_difference(outputs, elsewhere.get(case, {})) for case, outputs in here.items())
    if not difference <= TOLERANCE:
        raise RunError(f"{what} answers otherwise in another process, by {difference:.3g}; nothing was written")


def largest_difference(expected: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]) -> float:
    """The largest difference between two sets of outputs.

    Differences of real numbers are relative to the expected value where that is larger than 1. Equal infinities, such
    as a perplexity that float32 cannot hold, do not differ. A missing output, an output of another shape, NaN, and a
    label or integer that differs count as infinite.

    Args:
        expected: the model's outputs by name.
        answers: the export's.
    """
    if expected.keys() != answers.keys():
        return float("inf")
    largest = 0.0
    for name, expected_values in expected.items():
        values = answers[name]
        if expected_values.dtype.kind == "f" and expected_values.shape == values.shape:
            differs = expected_values != values
            if not differs.any():
                continue
            expected_numbers = expected_values[differs]
            differences = np.abs(expected_numbers - values[differs]) / np.maximum(1, np.abs(expected_numbers))
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
