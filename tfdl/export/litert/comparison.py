"""A LiteRT file in float32, compared with the model in a process without TensorFlow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfdl.export.differences import checked_difference
from tfdl.export.file_size import check_size
from tfdl.export.litert.conversion import (
    ConverterError,
    LiteRTGraph,
    MissingOperationError,
    has_tensor_list,
    in_precision,
    traced,
)
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.litert.interpreter import answers_of_litert
from tfdl.export.parity import Arrays
from tfdl.export.served_numbers import as_arrays, num_rows

# XNNPACK approximates exponentials and roots. For SmolLM2 it is 4.9 times as far from float64 as TensorFlow.
_ROUNDING_FACTOR = 8.0


@dataclass(frozen=True)
class Compared:
    """A file that gives the model's answers."""

    graph: LiteRTGraph
    """What it was converted from."""
    content: bytes
    samples: dict[str, Arrays]
    """What was compared."""
    largest_difference: float
    notes: tuple[str, ...]
    """Why the file takes one row at a time, if it does, and of the comparison."""

    @property
    def num_rows(self) -> int:
        """The number of rows that were compared."""
        return sum(num_rows(sample) for sample in self.samples.values())


def written_and_compared(
    function: LiteRTFunction, path: Path, in_float64: Callable[[], LiteRTFunction | None] = lambda: None
) -> Compared:
    """Writes a file for any number of rows or, where LiteRT has no such file, for one row.

    Args:
        function: what the file computes.
        path: of the file.
        in_float64: the function of the model in float64, if there is one; made only if it is needed.

    Raises:
        UserError: LiteRT does not have the function's operations, or the model is too large.
        RunError: LiteRT cannot use the file, or answers otherwise than the model.
    """
    check_size(function.model, "a LiteRT file")
    graph = traced(function, one_row=False)
    if has_tensor_list(graph):
        reason = "LiteRT has the lists of its loops for a known number of rows only"
    else:
        try:
            return _compared(function, graph, path, in_float64)
        except (MissingOperationError, ConverterError) as refusal:  # LiteRT has some operations for known sizes only
            reason = f"for any number of them, {refusal.reason}"
    note = f"the file takes one row at a time; {reason}"
    return _compared(function, traced(function, one_row=True), path, in_float64, note)


def _compared(
    function: LiteRTFunction,
    graph: LiteRTGraph,
    path: Path,
    in_float64: Callable[[], LiteRTFunction | None],
    *notes: str,
) -> Compared:
    content = in_precision(graph)
    path.write_bytes(content)
    samples = function.samples(one_row=graph.one_row)

    def exact() -> dict[str, Arrays] | None:
        exact_function = in_float64()
        return None if exact_function is None else _own_answers(exact_function, samples, tf.float64)

    expected = _own_answers(function, samples, tf.float32)
    answers = answers_of_litert(path, samples)
    difference = checked_difference("the LiteRT file", expected, answers, exact, _ROUNDING_FACTOR)
    return Compared(graph, content, samples, difference.largest, (*notes, *difference.notes))


def _own_answers(function: LiteRTFunction, samples: Mapping[str, Arrays], real: tf.DType) -> dict[str, Arrays]:
    """The model's answers in this process, without a graph.

    Args:
        function: with the model.
        samples: its inputs by case and name.
        real: the type of the inputs that are real numbers.
    """
    answers = {}
    for case, sample in samples.items():
        tensors = {
            name: tf.constant(values, real if values.dtype.kind == "f" else None) for name, values in sample.items()
        }
        answers[case] = as_arrays(function.answer(tensors))
    return answers
