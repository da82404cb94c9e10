"""From a run to what others serve: a SavedModel or a LiteRT file that needs neither tfdl nor Horovod."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Exported": "tfdl.export.saved_model",
    "ExportedLiteRT": "tfdl.export.litert.report",
    "export_litert": "tfdl.export.litert.exporting",
    "export_saved_model": "tfdl.export.saved_model",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.export.litert.exporting import export_litert as export_litert
    from tfdl.export.litert.report import ExportedLiteRT as ExportedLiteRT
    from tfdl.export.saved_model import Exported as Exported
    from tfdl.export.saved_model import export_saved_model as export_saved_model


__getattr__ = lazy_names(__name__, _PUBLIC)
