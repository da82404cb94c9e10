"""``--keep-column``: columns that are copied to the output."""

from collections.abc import Sequence
from pathlib import Path

from tfdl.data.files.bad_rows import printable
from tfdl.data.files.rows import ColumnNames
from tfdl.data.labels import shown
from tfdl.errors import UserError, nearest


def check_kept(path: Path, columns: ColumnNames, kept: Sequence[str]) -> None:
    """Checks that a file has the columns that are copied to the output, as far as its columns are known.

    Args:
        path: of the file.
        columns: that it has.
        kept: that are copied.

    Raises:
        UserError: it lacks one of them.
    """
    for name in kept:
        if columns.is_complete and name not in columns.names:
            raise UserError(
                f"--keep-column {name!r}, but {printable(path)} has the columns {shown(list(columns.names))}."
                f"{nearest(name, columns.names)}"
            )


def refuse_kept(what: str, kept: Sequence[str]) -> None:
    """Refuses to copy columns of an input that has none.

    Args:
        what: the input.
        kept: the columns that were asked for.

    Raises:
        UserError: there are any.
    """
    if kept:
        raise UserError(f"--keep-column {kept[0]!r} has no meaning for {what}, which has no columns; leave it out")
