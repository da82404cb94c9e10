"""From a run to what others serve: a SavedModel that needs neither tfdl nor Horovod."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {"Exported": "tfdl.export.saved_model", "export_saved_model": "tfdl.export.saved_model"}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.export.saved_model import Exported as Exported
    from tfdl.export.saved_model import export_saved_model as export_saved_model


__getattr__ = lazy_names(__name__, _PUBLIC)
