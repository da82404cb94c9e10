"""Which samples a run sees."""

from dataclasses import dataclass
from typing import Any, Literal

from tfdl.config.fields import check_types, require, require_at_least


@dataclass(frozen=True)
class DatasetConfig:
    """A TFDS data set by name, its splits, and how images are brought to one size."""

    name: str = "digits"
    """Any TFDS image classification set, or one of tfdl's own (``digits``), which needs no network."""
    data_dir: str | None = None
    """Where prepared data lives; none means TFDS_DATA_DIR, or else ~/tensorflow_datasets."""
    train_split: str | None = None
    """A TFDS split such as ``train[:80%]``; none chooses (see docs/architecture.md)."""
    validation_split: str | None = None
    """As above; none takes the set's own, or the last tenth of its training split."""
    test_split: str | None = None
    """As above; none takes the set's own, or its validation split."""
    image_size: tuple[int, int] | None = None
    """Height and width, in pixels, that images are resized to; none keeps the set's own size."""
    augmentation: Literal["none", "affine"] = "none"
    """Random change of training images: ``affine`` rotates, zooms and shifts a little."""
    memory_limit_mb: int = 1024
    """A split that decodes to at most this size is kept in memory, on each rank; a larger one is read from disk."""

    def __post_init__(self) -> None:
        check_types(self, "dataset.")
        require(bool(self.name.strip()), "dataset.name", self.name, "the name of a data set, such as digits")
        require_at_least(self, "dataset.", 0, "memory_limit_mb")
        if self.image_size is not None:
            require(min(self.image_size) > 0, "dataset.image_size", self.image_size, "a positive height and width")


RECIPES: dict[str, dict[str, Any]] = {"digits": {"image_size": (24, 24), "augmentation": "affine"}}
"""What is known to work for a data set; holds where the user says nothing else."""
