"""Whether an export may be written where it shall be, one check for each format. No TensorFlow is imported:
the user learns of a wrong directory at once. Whatever writes the export checks again."""

from functools import partial

from tfdl.config import ExportRequest
from tfdl.export.earlier_export import free_for_adapter, free_for_file, free_for_hugging_face
from tfdl.export.versions import version_folder
from tfdl.runs import RunDirectory


def check_saved_model(request: ExportRequest) -> None:
    """Raises ``UserError`` if the directory cannot hold versions.

    Args:
        request: what to export, and where to.
    """
    version_folder(request.directory, request.overwrite)


def check_huggingface(request: ExportRequest) -> None:
    """Raises ``UserError`` if the directory is not free.

    Args:
        request: what to export, and where to.
    """
    free_for_hugging_face(request.directory, overwrite=request.overwrite)


def check_adapter(request: ExportRequest) -> None:
    """Raises ``UserError`` if the directory is not free.

    Args:
        request: what to export, and where to.
    """
    free_for_adapter(request.directory, RunDirectory.open(request.run), overwrite=request.overwrite)


def _check_file(request: ExportRequest, format_name: str) -> None:
    free_for_file(request.directory, format_name, overwrite=request.overwrite)


check_keras = partial(_check_file, format_name="keras")
check_onnx = partial(_check_file, format_name="onnx")
check_litert = partial(_check_file, format_name="litert")
