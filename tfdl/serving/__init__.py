"""Answering HTTP requests with trained models, by TensorFlow Serving's REST API."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "ServeOptions": "tfdl.serving.options",
    "find_sources": "tfdl.serving.sources",
    "make_app": "tfdl.serving.app",
    "open_state": "tfdl.serving.server",
    "run": "tfdl.serving.server",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.serving.app import make_app as make_app
    from tfdl.serving.options import ServeOptions as ServeOptions
    from tfdl.serving.server import open_state as open_state
    from tfdl.serving.server import run as run
    from tfdl.serving.sources import find_sources as find_sources


__getattr__ = lazy_names(__name__, _PUBLIC)
