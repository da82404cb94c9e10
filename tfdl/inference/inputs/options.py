"""How inputs are read, if the user chose it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tfdl.data.files.encodings import DEFAULT

Unit = Literal["line", "paragraph", "file"]


@dataclass(frozen=True)
class InputOptions:
    """How files are read."""

    column: str | None = None
    """The column of the input; by default the run's own, or the only one that it can be."""
    kept: tuple[str, ...] = ()
    """Columns that are copied to the output."""
    unit: Unit | None = None
    """What one text of a plain text file is; by default a line, and the whole file in a folder."""
    encoding: str = DEFAULT
    delimiter: str | None = None
    """What separates the columns of a table; None for that of the file's ending."""
    trained_columns: Mapping[str, str] = field(default_factory=dict)
    """Input name -> the column that the run was trained with."""
