"""Models of other libraries: read into a run, and written from one."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "HuggingFaceExport": "tfdl.interop.exporting",
    "Imported": "tfdl.interop.importing",
    "export_huggingface": "tfdl.interop.exporting",
    "import_model": "tfdl.interop.importing",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.interop.exporting import HuggingFaceExport as HuggingFaceExport
    from tfdl.interop.exporting import export_huggingface as export_huggingface
    from tfdl.interop.importing import Imported as Imported
    from tfdl.interop.importing import import_model as import_model


__getattr__ = lazy_names(__name__, _PUBLIC)
