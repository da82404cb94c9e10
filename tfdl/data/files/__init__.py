"""The user's own files as data sets: images in class folders, tables, JSON lines, plain and parallel texts."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {"open_image_folder": "tfdl.data.files.images", "open_local_texts": "tfdl.data.files.texts"}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.data.files.images import open_image_folder as open_image_folder
    from tfdl.data.files.texts import open_local_texts as open_local_texts


__getattr__ = lazy_names(__name__, _PUBLIC)
