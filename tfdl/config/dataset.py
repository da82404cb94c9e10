"""Which samples a run sees, and the data sets that are declared by name."""

import codecs
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tfdl.config.augmentations import AugmentationConfig, choose_augmentations
from tfdl.config.fields import check_types, from_mapping, require, require_at_least
from tfdl.config.tokenizers import DEFAULT_TOKENIZER
from tfdl.errors import UserError
from tfdl.registry import Registry

_COLUMN = "_column"
# Codecs that read escapes of Python's source code.
_SOURCE_CODE = {"unicode-escape", "raw-unicode-escape"}


@dataclass(frozen=True)
class DatasetConfig:
    """A data set by name or path, its splits, and how its samples are read."""

    task: ClassVar[str] = ""
    """The task that a declared data set is made for."""
    about: ClassVar[str] = ""
    """A declared data set in a few words, for listings."""
    tokenizer: ClassVar[str] = DEFAULT_TOKENIZER
    """The tokenizer that suits its texts."""

    name: str = "digits"
    """A TFDS set, a declared set (tfdl's own need no network), or the path of the user's own files."""
    data_dir: str | None = None
    """Folder of prepared data; by default TFDS_DATA_DIR, or else ~/tensorflow_datasets."""
    train_split: str | None = None
    """A TFDS split such as ``train[:80%]``; by default tfdl chooses (see docs/datasets.md)."""
    validation_split: str | None = None
    """A TFDS split; by default the data set's own, or the last tenth of its training split."""
    test_split: str | None = None
    """A TFDS split; by default the data set's own, or its validation split."""
    image_size: tuple[int, int] | None = None
    """Height and width, in pixels, that images are resized to; by default images keep their size."""
    augmentation: tuple[AugmentationConfig, ...] = ()
    """Random changes of training images: a list of names or mappings (``tfdl.config.augmentations``), or one text with
    commas between names."""
    image_column: str | None = None
    """Column (of files of rows) or feature (of a TFDS data set) of the image, or of its file's path; by default the
    only one that has images."""
    text_column: str | None = None
    """Column (of files) or feature (of a TFDS data set, with dots between nested names) of the text; by default the
    only one that has texts."""
    label_column: str | None = None
    """Column or feature of the class."""
    source_column: str | None = None
    """Column or feature of the text to translate."""
    target_column: str | None = None
    """Column or feature of its translation."""
    encoding: str = "utf-8"
    """Encoding of the user's texts and tables, by any name that Python knows, such as ``cp1252`` or ``utf-16``."""
    delimiter: str | None = None
    """What separates the columns of the user's tables: one character, or ``tab``; by default a comma in ``.csv`` and a
    tab in ``.tsv``."""
    sequence_length: int | None = None
    """Maximum number of tokens in a sample; by default the model's own number. Language modeling cuts a corpus into
    windows of this many tokens."""
    stratified: bool = False
    """Whether each class of the user's files is split by itself, so that a rare class has samples in every split; by
    default each sample is assigned without regard to the others."""
    exact_labels: bool = False
    """Whether labels are compared as they are written; by default ``7`` and ``007``, or ``bad`` and ``bad`` with a
    space after it, are one class."""
    skip_bad_rows: bool = False
    """Whether rows that cannot be used are skipped and counted; by default they are an error."""
    memory_limit_mb: int = 1024
    """Largest decoded split, in MB, that is kept in memory on each rank; a larger split is read from disk."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "augmentation", choose_augmentations(self.augmentation))
        if self.delimiter in ("tab", "\\t"):
            object.__setattr__(self, "delimiter", "\t")
        check_types(self, "dataset.")
        require(bool(self.name.strip()), "dataset.name", self.name, "the name of a data set, such as digits")
        require(_is_encoding(self.encoding), "dataset.encoding", self.encoding, "an encoding such as utf-8 or cp1252")
        if codecs.lookup(self.encoding).name == DatasetConfig.encoding:
            object.__setattr__(self, "encoding", DatasetConfig.encoding)  # another spelling of the default
        if self.delimiter is not None:
            is_delimiter = len(self.delimiter) == 1 and self.delimiter not in '"\r\n'
            require(is_delimiter, "dataset.delimiter", self.delimiter, "one character such as ';', or tab")
        require_at_least(self, "dataset.", 0, "memory_limit_mb")
        require_at_least(self, "dataset.", 1, "sequence_length")
        if self.image_size is not None:
            require(min(self.image_size) > 0, "dataset.image_size", self.image_size, "a positive height and width")

    @property
    def columns(self) -> dict[str, str]:
        """Role -> column, for each ``ROLE_column`` that the user set."""
        fields = [field.name for field in dataclasses.fields(self) if field.name.endswith(_COLUMN)]
        chosen = {name.removesuffix(_COLUMN): getattr(self, name) for name in fields}
        return {role: column for role, column in chosen.items() if column is not None}

    @property
    def base_name(self) -> str:
        """The name without configuration and version: ``emnist`` of ``emnist/balanced:3.1.0``."""
        return self.name.split("/")[0].split(":")[0]


def _is_encoding(name: str) -> bool:
    """Whether Python knows it as an encoding of texts that can mark bytes which it does not have."""
    try:
        encoded = "a".encode(name)  # refuses codecs of other things, such as base64
        decoder = codecs.getincrementaldecoder(name)
        # Some codecs, such as idna, accept no errors but "strict".
        decoded = decoder("backslashreplace").decode(encoded + b"\xff", final=True)
    except (LookupError, ValueError):  # ValueError: a name with a zero byte; UnicodeError: the codec "undefined"
        return False
    # Escapes would change texts with backslashes.
    return decoded.startswith("a") and codecs.lookup(name).name not in _SOURCE_CODE


DATASETS: Registry[type[DatasetConfig]] = Registry("data set")
"""Every declared data set's configuration by name."""


def register_dataset(config: type[DatasetConfig], implementation: Any, *, is_listed: bool = True) -> None:
    """Declares a data set.

    Args:
        config: a frozen dataclass that derives from ``DatasetConfig``. The default of its field ``name`` is the data
            set's name. It may change the defaults of other fields, and add fields.
        implementation: ``"module:attribute"`` or the object itself: a TFDS builder class, or a function
            ``load(config)`` that returns the splits. They are a mapping of ``train`` (and ``validation`` and ``test``)
            to arrays, a ``keras.utils.PyDataset``, a ``tf.data.Dataset`` or a ``Source``; see ``tfdl.train``.
        is_listed: whether listings show it; False for what only Python code can use.

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    DATASETS.register(config.name, config, implementation, is_listed=is_listed)


def choose_dataset(value: Any, default: str) -> DatasetConfig:
    """A data set's configuration.

    Args:
        value: a configuration, a name, a path, or a mapping of fields with or without ``name``.
        default: the data set's name, if the value has none.

    Raises:
        UserError: an unknown field, or a value that cannot be used.
    """
    if isinstance(value, DatasetConfig):
        return _as_declared(value)
    fields = {"name": value} if isinstance(value, str) else value
    if not isinstance(fields, Mapping):
        raise UserError(f"dataset={value!r}, expected a name or a mapping with `name`")
    fields = {"name": default, **fields}
    name = str(fields["name"])
    config = DATASETS.get(name) or DatasetConfig
    return from_mapping(config, fields, "dataset.")


def _as_declared(config: DatasetConfig) -> DatasetConfig:
    """A ``DatasetConfig`` with the name of a declared data set, as that data set's own class."""
    declared = DATASETS.get(config.name)
    if declared is None or type(config) is not DatasetConfig:
        return config
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return declared(**values)


@dataclass(frozen=True)
class DigitsConfig(DatasetConfig):
    """Handwritten digits, enlarged to 24x24 pixels."""

    task: ClassVar[str] = "image-classification"
    about: ClassVar[str] = "1,797 handwritten digits, 8x8"

    name: str = "digits"
    image_size: tuple[int, int] | None = (24, 24)
    augmentation: tuple[AugmentationConfig, ...] = ("affine",)  # type: ignore[assignment]  # becomes a configuration


@dataclass(frozen=True)
class DocstringsConfig(DatasetConfig):
    """Docstrings, and the package of each."""

    task: ClassVar[str] = "text-classification"
    about: ClassVar[str] = "docstrings of ten packages of the standard library"

    name: str = "docstrings"


@dataclass(frozen=True)
class PythonTopicsConfig(DatasetConfig):
    """Python's own documentation, one text for each topic."""

    task: ClassVar[str] = "language-modeling"
    about: ClassVar[str] = "the Python Language Reference, a third of a million characters"
    tokenizer: ClassVar[str] = "character"

    name: str = "python_topics"


@dataclass(frozen=True)
class DatesConfig(DatasetConfig):
    """Dates as people write them, and the same dates in ISO 8601."""

    task: ClassVar[str] = "translation"
    about: ClassVar[str] = "22,000 dates in words, and the same as YYYY-MM-DD"
    tokenizer: ClassVar[str] = "character"

    name: str = "dates"


@dataclass(frozen=True)
class PythonDataConfig(DatasetConfig):
    """Data that Python code passes to ``tfdl.train``."""

    name: str = "python"


register_dataset(PythonDataConfig, "tfdl.data.objects.missing:load", is_listed=False)
register_dataset(DigitsConfig, "tfdl.data.embedded.digits:Digits")
register_dataset(PythonTopicsConfig, "tfdl.data.embedded.python_topics:PythonTopics")
register_dataset(DocstringsConfig, "tfdl.data.embedded.docstrings:Docstrings")
register_dataset(DatesConfig, "tfdl.data.embedded.dates:Dates")
