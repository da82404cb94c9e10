"""What the rows of a file of records are converted to: an image and its label each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.records.endings import PARQUET, ending_of
from tfdl.data.records.examples import example_of
from tfdl.data.records.files import open_records
from tfdl.data.records.parquet import ParquetFile
from tfdl.data.records.values import as_text

IMAGE = "image"
LABEL = "label"
ERROR = "tfdl.error"
"""The feature of a converted row that could not be read: why."""


@dataclass(frozen=True)
class Columns:
    """The columns of the user's files that are used."""

    image: str
    label: str


def examples_of(source: Path, columns: Columns) -> Iterator[bytes]:
    """One Example for each row, also for a row that cannot be used: it lacks what the row lacks.

    Args:
        source: a file of records.
        columns: of image and label.

    Raises:
        UserError: the file is damaged.
    """
    file = open_records(source)
    class_names = file.class_names_of(columns.label)
    for row in file.rows({columns.image: None, columns.label: None}):
        if isinstance(row, BadRow):
            yield example_of({ERROR: row.reason.encode()})
            continue
        values: dict[str, bytes] = {}
        image = row[1].get(columns.image)
        if isinstance(image, bytes):
            values[IMAGE] = image
        label = row[1].get(columns.label)
        text = None if label is None else as_text(label, class_names)
        if text is not None:
            values[LABEL] = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        yield example_of(values)


def size_of(source: Path, columns: Columns) -> int:
    """Bytes of a file's images and labels, as far as they are known before it is read.

    Args:
        source: a file of records.
        columns: of image and label.
    """
    if ending_of(source) in PARQUET:
        return ParquetFile(source).num_bytes({columns.image: None, columns.label: None})
    return source.stat().st_size
