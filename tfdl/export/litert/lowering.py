"""A LiteRT file in a lower precision, measured on the run's test split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import TASKS
from tfdl.config.dataset import PythonDataConfig
from tfdl.data import Source
from tfdl.errors import UserError
from tfdl.export.litert.calibrated_conversion import ConverterCrashError
from tfdl.export.litert.conversion import LiteRTGraph, in_precision
from tfdl.export.litert.cost import Cost, cost_of
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.litert.metrics import metrics_of_litert
from tfdl.export.parity import Arrays
from tfdl.runs.load import LoadedRun

# Training samples on which the ranges of the numbers between layers are measured.
_MOST_CALIBRATION = 256
_WEIGHTS_ALONE = {
    "float16": "weights are float16, and computed in float32",
    "int8": "weights are int8; the numbers between layers stay float32",
}
_ALL_NUMBERS = "weights and the numbers between layers are int8,"


@dataclass(frozen=True)
class Lowered:
    """A file in a lower precision."""

    content: bytes
    cost: Cost
    note: str
    """Which numbers have the precision."""


def sources_of(loaded: LoadedRun, precision: str, data: Mapping[str, Any] | None) -> dict[str, Source]:
    """The splits of a run.

    Args:
        loaded: the run.
        precision: that they are needed for.
        data: the splits, if Python code passed them to ``tfdl.train``.

    Raises:
        UserError: they cannot be read.
    """
    if isinstance(loaded.config.dataset, PythonDataConfig) and data is None:
        raise UserError(
            f"what precision {precision!r} costs is measured on the run's own data, which Python code passed; pass it"
            " again: tfdl.export_litert(run, folder, precision=..., data=...)"
        )
    try:
        _, sources = TASKS.load(loaded.config.task).open(loaded.config, loaded.run.assets, data)
    except UserError as error:
        raise UserError(
            f"what precision {precision!r} costs is measured on the run's own data, which cannot be read: {error}"
        ) from error
    return dict(sources)


def lowered(
    content: bytes,
    graph: LiteRTGraph,
    function: LiteRTFunction,
    precision: str,
    sources: Mapping[str, Source],
) -> Lowered:
    """Converts a graph to a lower precision, and measures what that costs.

    The numbers between the layers of a model of images become int8 as well, unless that costs too much.

    Args:
        content: of the file in float32.
        graph: that it was converted from.
        function: what it computes, which is measurable.
        precision: ``float16`` or ``int8``.
        sources: the run's splits.

    Raises:
        UserError: the task's metric becomes much worse.
        RunError: the converter failed.
    """
    before = metrics_of_litert(content, graph, function, sources["test"])

    def measured(calibration: Arrays | None, note: str) -> Lowered:
        low_content = in_precision(graph, precision, calibration)
        after = metrics_of_litert(low_content, graph, function, sources["test"])
        return Lowered(low_content, cost_of(before, after, sources["test"].num_examples), note)

    note = _WEIGHTS_ALONE[precision]
    if precision == "int8" and function.calibrates:
        calibration = _calibration(function, sources["train"])
        count = len(next(iter(calibration.values())))
        try:
            low = measured(calibration, f"{_ALL_NUMBERS} in the ranges of {count} training samples")
        except ConverterCrashError as crash:
            note += f", since {crash}"
        else:
            if low.cost.is_sound:
                return low
            note += f"; in int8 they cost too much: {low.cost.line}"
    low = measured(None, note)
    low.cost.check(precision)
    return low


def _calibration(function: LiteRTFunction, source: Source) -> Arrays:
    """Inputs of training samples, evenly spread over the split."""
    count = min(_MOST_CALIBRATION, source.num_examples)
    numbers = np.arange(count) * source.num_examples // count
    batch = source.read(tf.constant(numbers))
    return {name: np.asarray(values) for name, values in function.of_batch(batch).items()}
