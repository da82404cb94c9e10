"""The declarations of export formats: what a trained run can be written as."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tfdl.errors import UserError
from tfdl.registry import Registry

DEFAULT_FORMAT = "saved_model"
FULL_PRECISION = "float32"
"""The precision of all trained weights."""


@dataclass(frozen=True)
class ExportRequest:
    """What an export was asked for."""

    run: Path
    """The run directory."""
    directory: Path
    """Where to write. A format decides what it makes there, and keeps what is not its own."""
    checkpoint: str = "last"
    """The weights to use: ``last``, ``best`` or a folder's name."""
    overwrite: bool = False
    """Whether to replace an earlier export."""
    precision: str = FULL_PRECISION
    """One of the format's precisions."""


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    path: Path
    """The file or folder."""
    lines: tuple[str, ...]
    """What ``tfdl export`` prints: the path, what the model takes and returns, and what was compared."""


@dataclass(frozen=True)
class ExportFormatSpec:
    """What the rest of tfdl must know about a format before its code is imported."""

    name: str
    """How ``--format`` names it."""
    implementation: str | Callable[[ExportRequest], ExportReport]
    """``"module:function"``, or the function itself. It raises ``UserError`` with the reason if the run's model cannot
    have this format, and ``RunError`` if what was written answers otherwise than the model. Then nothing is left."""
    summary: str
    """What is written, in a few words for ``--help``."""
    precisions: tuple[str, ...] = (FULL_PRECISION,)
    """What numbers the weights may become. The first is the default."""
    directory_check: str = ""
    """``"module:function"``, which gets the request before TensorFlow is imported, and raises ``UserError`` if the
    directory cannot be used. Without it, what writes the export finds out."""

    def check_directory(self, request: ExportRequest) -> None:
        """Checks where an export shall be written, without importing TensorFlow.

        Args:
            request: what to export, and where to.

        Raises:
            UserError: the directory cannot be used.
        """
        if self.directory_check:
            module, _, function = self.directory_check.partition(":")
            getattr(import_module(module), function)(request)

    def checked_precision(self, precision: str | None) -> str:
        """The precision that was asked for, or the default one.

        Args:
            precision: a name, or None.

        Raises:
            UserError: the format does not have it.
        """
        if precision is None:
            return self.precisions[0]
        if precision not in self.precisions:
            raise UserError(
                f"precision {precision!r}, but the format {self.name} has {', '.join(self.precisions)}; leave"
                " --precision out, or choose another --format"
            )
        return precision


EXPORT_FORMATS: Registry[ExportFormatSpec] = Registry("export format")
"""Every format by name."""


def register_export_format(spec: ExportFormatSpec) -> None:
    """Declares a format.

    Args:
        spec: its name, its implementation and its precisions.

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    EXPORT_FORMATS.register(spec.name, spec, spec.implementation)


register_export_format(
    ExportFormatSpec(
        name=DEFAULT_FORMAT,
        implementation="tfdl.export.saved_model:write_saved_model",
        summary="a SavedModel for TensorFlow and its servers",
        directory_check="tfdl.export.directory_checks:check_saved_model",
    )
)
register_export_format(
    ExportFormatSpec(
        name="keras",
        implementation="tfdl.export.keras.exporting:write_keras",
        summary="a .keras file of Keras's own layers",
        directory_check="tfdl.export.directory_checks:check_keras",
    )
)
register_export_format(
    ExportFormatSpec(
        name="onnx",
        implementation="tfdl.export.onnx.exporting:write_onnx",
        summary="an ONNX file for onnxruntime",
        directory_check="tfdl.export.directory_checks:check_onnx",
        precisions=(FULL_PRECISION, "float16", "int8"),
    )
)
register_export_format(
    ExportFormatSpec(
        name="litert",
        implementation="tfdl.export.litert.exporting:write_litert",
        summary="a TensorFlow Lite file for phones",
        directory_check="tfdl.export.directory_checks:check_litert",
        precisions=(FULL_PRECISION, "float16", "int8"),
    )
)
register_export_format(
    ExportFormatSpec(
        name="huggingface",
        implementation="tfdl.export.huggingface.exporting:write_huggingface",
        summary="a folder that Hugging Face's transformers loads",
        directory_check="tfdl.export.directory_checks:check_huggingface",
    )
)
register_export_format(
    ExportFormatSpec(
        name="lora",
        implementation="tfdl.export.adapter:write_adapter",
        summary="the updates of low rank alone",
        directory_check="tfdl.export.directory_checks:check_adapter",
    )
)
