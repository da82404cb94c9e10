"""Writes a SavedModel, and keeps it only if it gives the model's answers."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.config import ExportReport, ExportRequest
from tfdl.export.classify_method import set_classify_method
from tfdl.export.description import describe, write_description
from tfdl.export.differences import checked_difference
from tfdl.export.exact_numbers import exact_products
from tfdl.export.finite_weights import check_finite_weights
from tfdl.export.float32_run import load_float32
from tfdl.export.parity import Arrays, answers_of_saved_model, signature_of
from tfdl.export.rank_zero import check_rank_zero
from tfdl.export.report_words import shown_path, size_of, size_of_files
from tfdl.export.versions import new_version, version_folder
from tfdl.inference.generation.served_generation import generation_signatures
from tfdl.layers.cudnn import portable_kernels
from tfdl.runs import RunDirectory
from tfdl.tasks.served_signature import DEFAULT_SIGNATURE, ServedSignature

# The number of random samples of a signature that are compared. A signature may take fewer, and have special ones.
_COMPARED = 64

Tensors = dict[str, tuple[str, str]]
"""Name -> dtype and shape, such as ``("float32", "(any, 10)")``."""


@dataclass(frozen=True)
class ExportedSignature:
    """What a function of a SavedModel takes and returns."""

    inputs: Tensors
    outputs: Tensors


@dataclass(frozen=True)
class SavedModelExport:
    """A SavedModel that was written, and its largest difference from the model."""

    path: Path
    """The folder of this version."""
    signatures: dict[str, ExportedSignature]
    """By name; the first is ``serving_default``."""
    largest_difference: float
    """The largest difference between the SavedModel's answers in a clean process and the model's, over ``compared``
    samples. It is relative to the answer where that is larger than 1."""
    compared: int
    """The number of samples that were compared, over all signatures."""
    notes: tuple[str, ...] = ()
    """What the user should know, such as why texts are token numbers."""

    @property
    def inputs(self) -> Tensors:
        """What ``serving_default`` takes."""
        return self.signatures[DEFAULT_SIGNATURE].inputs

    @property
    def outputs(self) -> Tensors:
        """What ``serving_default`` returns."""
        return self.signatures[DEFAULT_SIGNATURE].outputs


@exact_products()
def export_saved_model(
    run: str | Path | RunDirectory, directory: str | Path, checkpoint: str = "last", *, overwrite: bool = False
) -> SavedModelExport:
    """Writes ``directory/<next number>`` with the signatures of the run's task.

    The folder is made only if the SavedModel, loaded by a process that has neither tfdl nor Horovod on its path, gives
    the same answers: for ``serving_default`` those of the model itself, for the others those of their graph. It is
    written in float32, whatever precision the run had; only a subclassed Keras model that computes in float64 stays so.
    After mixed precision its answers are then more exact, and the same on every machine.

    Args:
        run: a run directory.
        directory: the folder of all versions; made if it does not exist.
        checkpoint: the weights to use: ``last``, ``best`` or a folder's name.
        overwrite: whether to replace the newest version, in place of adding one.

    Raises:
        UserError: there is no such run or checkpoint, a weight is NaN or infinite, the directory cannot be used, or
            this rank is not rank 0.
        RunError: the SavedModel's answers differ from the model's.
    """
    check_rank_zero("export_saved_model")
    version_folder(Path(directory), overwrite)  # before the work, which would be lost
    loaded = load_float32(run, checkpoint, may_be_float64=True)
    check_finite_weights(loaded.model)
    signatures = loaded.task.signatures() | generation_signatures(loaded.model, loaded.task)
    samples = _samples(signatures)
    module, functions = _servable(loaded.model, loaded.task, signatures)
    # The model itself answers the first signature, without a graph. That would take long for the others, which loop.
    answering = {**functions, DEFAULT_SIGNATURE: partial(signatures[DEFAULT_SIGNATURE].answer, loaded.model)}
    expected = {case: _arrays(answering[signature_of(case)], inputs) for case, inputs in samples.items()}
    with new_version(Path(directory), overwrite) as version:
        tf.saved_model.save(module, str(version.unfinished), signatures=functions)
        set_classify_method(version.unfinished)
        write_description(version.unfinished, describe(loaded))
        answers = answers_of_saved_model(version.unfinished, samples)
        difference = checked_difference("the SavedModel", expected, answers).largest
    written = {name: _exported(signature, functions[name]) for name, signature in signatures.items()}
    return SavedModelExport(
        path=version.path,
        signatures=written,
        largest_difference=difference,
        compared=sum(map(_num_rows, samples.values())),
        notes=loaded.task.serving_notes,
    )


def write_saved_model(request: ExportRequest) -> ExportReport:
    """``export_saved_model`` as a format of ``tfdl export``.

    Args:
        request: what to export, and where to.
    """
    exported = export_saved_model(request.run, request.directory, request.checkpoint, overwrite=request.overwrite)
    size = size_of(size_of_files(exported.path))
    lines = [f"SavedModel {shown_path(exported.path)} ({size})"]
    for name, signature in exported.signatures.items():
        lines.append(f"  {name}")
        for direction, tensors in (("takes", signature.inputs), ("returns", signature.outputs)):
            for tensor, (dtype, shape) in tensors.items():
                lines.append(f"    {direction:8} {tensor}: {dtype} {shape}")
    lines.append(
        f"parity: largest difference {exported.largest_difference:.3g} over {exported.compared:,} samples of"
        f" {len(exported.signatures)} signatures, loaded without tfdl and Horovod"
    )
    lines += [f"note: {note}" for note in exported.notes]
    lines += ["Next:", f"  tfdl serve {shlex.quote(shown_path(exported.path.parent))}"]
    return ExportReport(exported.path, tuple(lines))


def _samples(signatures: Mapping[str, ServedSignature]) -> dict[str, Arrays]:
    """The inputs to compare, by cases of ``answers_of_saved_model``."""
    samples = {}
    for name, signature in signatures.items():
        samples[name] = signature.sample(_COMPARED)
        for number, inputs in enumerate(signature.special_samples(), 1):
            samples[f"{name}#{number}"] = inputs
    return samples


def _num_rows(inputs: Arrays) -> int:
    """The number of samples in a batch, beside which there may be scalar settings."""
    return next(len(values) for values in inputs.values() if values.ndim)


def _arrays(function: Callable[..., dict[str, Any]], inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a function answers in this process."""
    answers = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: np.asarray(value) for name, value in answers.items()}


def _servable(model: Any, task: Any, signatures: Mapping[str, ServedSignature]) -> tuple[tf.Module, dict[str, Any]]:
    """A module that tracks the weights and all lookup tables, and the graph of each signature by name."""
    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    module.tracked = task.tracked
    module.tables = [
        value
        for layer in model._flatten_layers()
        for value in vars(layer).values()
        if isinstance(value, tf.saved_model.experimental.TrackableResource)
    ]
    with portable_kernels():  # the graph may be loaded on a machine without a GPU
        graphs = {name: signature.graph(model) for name, signature in signatures.items()}
    return module, graphs


def _exported(signature: ServedSignature, graph: Any) -> ExportedSignature:
    return ExportedSignature(
        inputs={name: (spec.dtype.name, _shape(spec.shape)) for name, spec in signature.inputs.items()},
        outputs={name: (value.dtype.name, _shape(value.shape)) for name, value in graph.structured_outputs.items()},
    )


def _shape(shape: Any) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
