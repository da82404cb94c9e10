"""Models of other libraries, and adapters: read into a run. ``tfdl.export`` writes them."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Imported": "tfdl.interop.importing",
    "import_adapter": "tfdl.interop.adapter",
    "import_model": "tfdl.interop.importing",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.interop.adapter import import_adapter as import_adapter
    from tfdl.interop.importing import Imported as Imported
    from tfdl.interop.importing import import_model as import_model


__getattr__ = lazy_names(__name__, _PUBLIC)
