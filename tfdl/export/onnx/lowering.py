"""An ONNX file in a lower precision, measured on the run's test split."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from tfdl.data import Source
from tfdl.export.cost import Cost, cost_of
from tfdl.export.differences import check_lower_precision
from tfdl.export.file_metrics import FileInGraph, file_metrics, num_measured
from tfdl.export.known_tasks import IMAGE, known_task
from tfdl.export.number_signature import NumberSignature
from tfdl.export.onnx import precision as precisions
from tfdl.export.onnx.runtime import OnnxModel, answers_of_onnx
from tfdl.export.parity import Arrays
from tfdl.export.run_splits import calibration_images
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.task import Task


def write_lowered(
    source: Path,
    target: Path,
    precision: str,
    task: Task,
    signature: NumberSignature,
    splits: Mapping[str, Source],
) -> Cost:
    """Makes a file in a lower precision, and measures what that costs.

    Args:
        source: the file in float32.
        target: the file to write.
        precision: ``float16`` or ``int8``.
        task: of the run.
        signature: of both files, with their outputs.
        splits: of the run.

    Raises:
        UserError: the task's metric becomes much worse, or a weight is too large for float16.
        RunError: the file does not answer with the same numbers in a process without TensorFlow.
    """
    model = onnx.load(source)
    if precision == "float16":
        onnx.save(precisions.in_float16(model), target)
    else:
        precisions.write_int8(source, target, _calibration(model, task, splits["train"]))
    lower_model = OnnxModel(target)
    here = {case: lower_model.answers(inputs) for case, inputs in signature.samples.items()}
    check_lower_precision(f"the ONNX model in {precision}", here, answers_of_onnx(target, signature.samples))
    test = splits["test"]
    before = file_metrics(FileInGraph(OnnxModel(source).answers, signature.outputs), task, test)
    after = file_metrics(FileInGraph(lower_model.answers, signature.outputs), task, test)
    cost = cost_of(before, after, num_measured(task, test), test.num_examples)
    cost.check(precision)
    return cost


def _calibration(model: onnx.ModelProto, task: Task, train: Source) -> list[Arrays]:
    """Samples for static quantization; none for a model of texts, or without convolutions."""
    if known_task(task) is not ImageClassification or not precisions.has_convolutions(model):
        return []
    return [{IMAGE: image[np.newaxis]} for image in calibration_images(train)]
