"""Models of other libraries: read into a run, and written from one."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Imported": "tfdl.interop.importing",
    "import_model": "tfdl.interop.importing",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.interop.importing import Imported as Imported
    from tfdl.interop.importing import import_model as import_model


__getattr__ = lazy_names(__name__, _PUBLIC)
