"""A LiteRT file in a lower precision, measured on the run's test split."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfdl.data import Source
from tfdl.export.cost import Cost, cost_of
from tfdl.export.file_metrics import FileInGraph, file_metrics, num_measured
from tfdl.export.known_tasks import IMAGE
from tfdl.export.litert.calibrated_conversion import ConverterCrashError
from tfdl.export.litert.conversion import LiteRTGraph, in_precision
from tfdl.export.litert.functions import LiteRTFunction
from tfdl.export.litert.interpreter import LiteRTModel
from tfdl.export.litert.recurrent_function import RecurrentFile, RecurrentLanguageFunction
from tfdl.export.run_splits import calibration_images

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


def lowered(
    content: bytes,
    graph: LiteRTGraph,
    function: LiteRTFunction,
    precision: str,
    splits: Mapping[str, Source],
) -> Lowered:
    """Converts a graph to a lower precision, and measures what that costs.

    The numbers between the layers of a model of images become int8 as well, unless that costs too much.

    Args:
        content: of the file in float32.
        graph: that it was converted from.
        function: what it computes, for a task whose metrics are known.
        precision: ``float16`` or ``int8``.
        splits: of the run.

    Raises:
        UserError: the task's metric becomes much worse.
        RunError: the converter failed.
    """
    test = splits["test"]
    before = _metrics(content, graph, function, test)

    def measured(calibration: np.ndarray | None, note: str) -> Lowered:
        inputs = None if calibration is None else {IMAGE: calibration}
        lower_content = in_precision(graph, precision, inputs)
        after = _metrics(lower_content, graph, function, test)
        return Lowered(
            lower_content, cost_of(before, after, num_measured(function.task, test), test.num_examples), note
        )

    note = _WEIGHTS_ALONE[precision]
    if precision == "int8" and function.calibrates:
        images = calibration_images(splits["train"])
        try:
            lower = measured(images, f"{_ALL_NUMBERS} in the ranges of {len(images)} training samples")
        except ConverterCrashError as crash:
            note += f", since {crash}"
        else:
            if lower.cost.is_sound:
                return lower
            note += f"; in int8 they cost too much: {lower.cost}"
    lower = measured(None, note)
    lower.cost.check(precision)
    return lower


def _metrics(content: bytes, graph: LiteRTGraph, function: LiteRTFunction, source: Source) -> dict[str, float]:
    file = FileInGraph(LiteRTModel(content, one_row=graph.one_row).answers, graph.outputs)
    recurrent = RecurrentFile(function, file) if isinstance(function, RecurrentLanguageFunction) else None
    return file_metrics(file, function.task, source, recurrent)
