"""What is reported of an export that is one file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tfdl.config import ExportReport
from tfdl.config.export_formats import FULL_PRECISION
from tfdl.export.cost import Cost
from tfdl.export.report_words import shown_path, size_of
from tfdl.export.tensors import TensorType


@dataclass(frozen=True)
class FileExport:
    """A model's file that was written, and its largest difference from the run's model."""

    title: ClassVar[str]
    """What it is, for the report."""
    asked_by: ClassVar[str]
    """Who gave the answers that were compared."""
    model_name: ClassVar[str]
    """Of its file."""
    loader: ClassVar[str]
    """What loads the model's file in Python."""

    path: Path
    """The folder, with the model's file in it."""
    inputs: Mapping[str, TensorType]
    """What the model takes, by name."""
    outputs: Mapping[str, TensorType]
    """What it returns."""
    files: tuple[str, ...]
    """The names of all files in the folder."""
    size: int
    """Bytes of the model's file."""
    float32_size: int
    """Bytes that it has in float32."""
    largest_difference: float
    """The largest difference between the file's answers in float32, in a clean process, and those of the run's model in
    float32. It is relative to the answer where that is larger than 1."""
    compared: int
    """The number of samples that were compared."""
    precision: str = FULL_PRECISION
    """Of the weights."""
    cost: Cost | None = None
    """What a lower precision costs; None for float32."""
    notes: tuple[str, ...] = ()
    """What a user of the file must know."""

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.path / self.model_name

    def report(self) -> ExportReport:
        """What ``tfdl export`` prints."""
        lines = [f"{self.title} {shown_path(self.path)} ({size_of(self.size)}): {', '.join(self.files)}"]
        lines += [f"  takes    {name}: {tensor}" for name, tensor in self.inputs.items()]
        lines += [f"  returns  {name}: {tensor}" for name, tensor in self.outputs.items()]
        in_float32 = "" if self.cost is None else " in float32"
        lines.append(
            f"parity: largest difference {self.largest_difference:.3g} over {self.compared} samples{in_float32},"
            f" {self.asked_by}"
        )
        if self.cost is not None:
            sizes = f"size {size_of(self.float32_size)} -> {size_of(self.size)}"
            lines.append(f"{self.precision}: {self.cost}; {sizes}")
        lines += [f"note: {note}" for note in self.notes]
        lines.append(f"load it with {self.loader}({shown_path(self.model)!r})")
        return ExportReport(self.path, tuple(lines))
