"""What is reported of a LiteRT export."""

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfdl.export.litert.cost import Cost


@dataclass(frozen=True)
class ExportedLiteRT:
    """A LiteRT file that was written."""

    path: Path
    """The folder."""
    precision: str
    """Of the weights."""
    inputs: dict[str, tf.TensorSpec]
    """What ``serving_default`` takes; a size that may differ from call to call is None."""
    outputs: dict[str, tf.TensorSpec]
    """What it returns."""
    largest_difference: float
    """The largest difference between the answers in float32, in a process without TensorFlow, and the model's. It is
    relative to the answer where that is larger than 1."""
    compared: int
    """The number of samples that were compared."""
    num_bytes: int
    """The size of the file."""
    num_bytes_before: int
    """Its size in float32."""
    cost: Cost | None
    """What the precision costs; None for float32."""
    notes: tuple[str, ...]
    """What a user of the file must know."""


def report_lines(exported: ExportedLiteRT) -> tuple[str, ...]:
    """What ``tfdl export`` prints.

    Args:
        exported: what was written.
    """
    lines = [f"LiteRT {exported.path}, {exported.precision}"]
    for direction, tensors in (("takes", exported.inputs), ("returns", exported.outputs)):
        lines += [f"  {direction:8} {name}: {spec.dtype.name} {_shape(spec)}" for name, spec in tensors.items()]
    lines += [f"note: {note}" for note in exported.notes]
    lines.append(
        f"parity: largest difference {exported.largest_difference:.3g} over {exported.compared} samples in float32,"
        " with ai-edge-litert without TensorFlow"
    )
    if exported.cost is None:
        lines.append(f"size: {exported.num_bytes:,} bytes")
    else:
        lines.append(f"size: {exported.num_bytes_before:,} -> {exported.num_bytes:,} bytes")
        lines.append(exported.cost.line)
    return tuple(lines)


def _shape(spec: tf.TensorSpec) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in spec.shape) + ")"
