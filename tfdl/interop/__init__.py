"""Models of other libraries, and adapters: read into a run, and written from one."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "ExportedAdapter": "tfdl.interop.adapter",
    "HuggingFaceExport": "tfdl.interop.exporting",
    "Imported": "tfdl.interop.importing",
    "export_adapter": "tfdl.interop.adapter",
    "export_huggingface": "tfdl.interop.exporting",
    "import_adapter": "tfdl.interop.adapter",
    "import_model": "tfdl.interop.importing",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.interop.adapter import ExportedAdapter as ExportedAdapter
    from tfdl.interop.adapter import export_adapter as export_adapter
    from tfdl.interop.adapter import import_adapter as import_adapter
    from tfdl.interop.exporting import HuggingFaceExport as HuggingFaceExport
    from tfdl.interop.exporting import export_huggingface as export_huggingface
    from tfdl.interop.importing import Imported as Imported
    from tfdl.interop.importing import import_model as import_model


__getattr__ = lazy_names(__name__, _PUBLIC)
