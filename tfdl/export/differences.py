"""How far the answers of an export are from the model's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tfdl.errors import RunError
from tfdl.export.parity import Arrays

# The process or library that loads the file fuses other kernels, and adds in another order. Float32 answers then agree
# to about this.
TOLERANCE = 1e-4


# Deep models with large activations differ by more. Their answers are then compared with those in float64: another
# order of additions may be worse than the model's own by this factor.
_ROUNDING_FACTOR = 2.0
# Where the model's own float32 answers are farther from float64, they say nothing about an export.
_MOST_ROUNDING = 0.05


@dataclass(frozen=True)
class Difference:
    """How far an export that is kept is from the model."""

    largest: float
    notes: tuple[str, ...] = ()
    """Why it is right, if it differs by more than kernels usually do."""


def checked_difference(
    what: str,
    expected: Mapping[str, Arrays],
    answers: Mapping[str, Arrays],
    in_float64: Callable[[], Mapping[str, Arrays] | None] = lambda: None,
    factor: float = _ROUNDING_FACTOR,
) -> Difference:
    """The largest difference between an export's answers and the model's, if it is rounding.

    Up to ``TOLERANCE`` it is. A larger one must be explained by the model's own rounding: the export may be ``factor``
    times as far from the model in float64 as the model in float32 is.

    Args:
        what: the export in messages, such as ``"the ONNX file"``.
        expected: the model's outputs by name, of several sets of inputs by name.
        answers: the export's.
        in_float64: the model's answers in float64, which are computed only if they are needed; None if there are none.
        factor: how much worse than TensorFlow's the export's kernels may round.

    Raises:
        RunError: they differ by more.
    """
    difference = _largest_of_cases(expected, answers)
    if difference <= TOLERANCE:
        return Difference(difference)
    refusal = f"{what} differs from the model by {difference:.3g}, expected at most {TOLERANCE:g}"
    exact = in_float64() if np.isfinite(difference) else None
    if exact is None:
        raise RunError(f"{refusal}; nothing was written")
    own_rounding = _largest_of_cases(exact, expected)
    from_exact = _largest_of_cases(exact, answers)
    if not (own_rounding <= _MOST_ROUNDING and from_exact <= factor * own_rounding):
        raise RunError(
            f"{refusal}; beside the model in float64 it is off by {from_exact:.3g}, and the model in float32 by"
            f" {own_rounding:.3g}; nothing was written"
        )
    note = (
        f"the difference is float32's rounding: beside the model in float64, {what} is off by {from_exact:.3g}, and the"
        f" model in float32 by {own_rounding:.3g}"
    )
    return Difference(difference, (note,))


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
    difference = _largest_of_cases(here, elsewhere)
    if not difference <= TOLERANCE:
        raise RunError(f"{what} answers otherwise in another process, by {difference:.3g}; nothing was written")


def _largest_of_cases(expected: Mapping[str, Arrays], answers: Mapping[str, Arrays]) -> float:
    """``largest_difference`` over several sets of inputs by name."""
    return max(largest_difference(outputs, answers.get(case, {})) for case, outputs in expected.items())


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
