"""Kinds of files that are not read, and what to do with them instead."""

from pathlib import Path

from tfdl.errors import UserError

_SPREADSHEET = "a spreadsheet, which is not read; save it as CSV"
_ARCHIVE = "packed, and packed files are not read; unpack it and give the path of what was in it"
_ARRAYS = "a file of arrays, which is not read; load it in Python and pass it: tfdl.train(data=...)"
_TABLE = "a table of a kind that is not read; save it as Parquet, CSV or JSON lines"
_KINDS = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods"), _SPREADSHEET),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".npy", ".npz", ".mat", ".h5", ".hdf5", ".pkl", ".pickle", ".pt", ".pth"), _ARRAYS),
    **dict.fromkeys((".arrow", ".feather", ".orc", ".avro", ".sqlite", ".db", ".dta", ".sav", ".xml"), _TABLE),
}
"""Ending in lower case -> what the file is, and what to do."""


def refuse_unread_kind(path: Path) -> None:
    """Refuses a file that nobody could mean to be read as a plain text.

    Args:
        path: a file or folder of the user.

    Raises:
        UserError: it is a file of such a kind.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is not None and path.is_file():
        raise UserError(f"dataset {str(path)!r} is {kind}")
