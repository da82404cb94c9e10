"""Which samples a run sees."""

from dataclasses import dataclass
from typing import Any

from tfdl.config.fields import check_types, require, require_at_least
from tfdl.errors import nearest

AUGMENTATIONS = ("affine", "crop", "flip", "randaugment", "erase", "mixup", "cutmix")
"""Random changes of images, in the order in which they are applied."""


@dataclass(frozen=True)
class DatasetConfig:
    """A TFDS data set by name, its splits, and how images are brought to one size."""

    name: str = "digits"
    """A TFDS set, one of tfdl's own, which need no network, or the path of the user's own files."""
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
    augmentation: tuple[str, ...] = ()
    """Random changes of training images, any of: affine (turned, zoomed and shifted a little), crop (of the image with
    a border), flip (left and right), randaugment, erase (a rectangle), mixup, cutmix. Also as one text, with commas."""
    text_column: str | None = None
    """The column (of files) or feature (of a TFDS set, with dots between nested names) that holds the text; none takes
    the one that there is."""
    label_column: str | None = None
    """As above: the class."""
    source_column: str | None = None
    """As above: what is to be translated."""
    target_column: str | None = None
    """As above: its translation."""
    sequence_length: int | None = None
    """Most tokens in a sample; none takes the model's own. Language modeling cuts a corpus into windows of so many."""
    skip_bad_rows: bool = False
    """Whether rows of files that cannot be used are left out and counted, and are no error."""
    memory_limit_mb: int = 1024
    """A split that decodes to at most this size is kept in memory, on each rank; a larger one is read from disk."""

    def __post_init__(self) -> None:
        check_types(self, "dataset.")
        for name in self.augmentation:
            expected = f"names of {', '.join(AUGMENTATIONS)}, or none.{nearest(name, AUGMENTATIONS)}"
            require(name in AUGMENTATIONS, "dataset.augmentation", name, expected)
        require(bool(self.name.strip()), "dataset.name", self.name, "the name of a data set, such as digits")
        require_at_least(self, "dataset.", 0, "memory_limit_mb")
        require_at_least(self, "dataset.", 1, "sequence_length")
        if self.image_size is not None:
            require(min(self.image_size) > 0, "dataset.image_size", self.image_size, "a positive height and width")

    @property
    def columns(self) -> dict[str, str]:
        """Role -> column, where the user chose one."""
        chosen = {
            "text": self.text_column,
            "label": self.label_column,
            "source": self.source_column,
            "target": self.target_column,
        }
        return {role: column for role, column in chosen.items() if column is not None}


RECIPES: dict[str, dict[str, Any]] = {"digits": {"image_size": (24, 24), "augmentation": ("affine",)}}
"""What is known to work for a data set; holds where the user says nothing else."""
TOKENIZERS: dict[str, str] = {"python_topics": "character", "dates": "character", "docstrings": "bpe"}
"""The tokenizer that suits a data set."""
DEFAULT_TOKENIZER = "bpe"
"""That of all others."""
