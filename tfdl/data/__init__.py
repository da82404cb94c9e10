"""Data sets by name; the order of their samples depends on seed, epoch and global batch size alone."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "ArraySource": "tfdl.data.sources",
    "ImageDataset": "tfdl.data.images",
    "Position": "tfdl.data.order",
    "RecordSource": "tfdl.data.sources",
    "ShuffledSource": "tfdl.data.sources",
    "Source": "tfdl.data.sources",
    "evaluation_batches": "tfdl.data.pipeline",
    "open_builder": "tfdl.data.tfds.catalog",
    "open_images": "tfdl.data.opening",
    "open_sources": "tfdl.data.opening",
    "open_texts": "tfdl.data.opening",
    "training_batches": "tfdl.data.pipeline",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.data.images import ImageDataset as ImageDataset
    from tfdl.data.opening import open_images as open_images
    from tfdl.data.opening import open_sources as open_sources
    from tfdl.data.opening import open_texts as open_texts
    from tfdl.data.order import Position as Position
    from tfdl.data.pipeline import evaluation_batches as evaluation_batches
    from tfdl.data.pipeline import training_batches as training_batches
    from tfdl.data.sources import ArraySource as ArraySource
    from tfdl.data.sources import RecordSource as RecordSource
    from tfdl.data.sources import ShuffledSource as ShuffledSource
    from tfdl.data.sources import Source as Source
    from tfdl.data.tfds.catalog import open_builder as open_builder


__getattr__ = lazy_names(__name__, _PUBLIC)
