"""Tables that are given to the classification of images: what to do with them instead."""

import mimetypes
import shlex
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.missing_header import advice_about_header
from tfdl.data.files.pieces import LABEL, Pieces, find_pieces
from tfdl.data.files.readers import READERS, TEXT, reader_of
from tfdl.data.files.tree import read_tree
from tfdl.data.labels import shown
from tfdl.data.records.endings import ENDINGS as RECORD_ENDINGS
from tfdl.data.records.endings import ending_of
from tfdl.errors import UserError


def refuse_tables(config: DatasetConfig) -> None:
    """Raises ``UserError`` if the data set has tables and no images; the message names columns and commands."""
    path = Path(config.name).expanduser()
    if path.is_dir():
        if not _has_tables_alone(path):
            return
    elif reader_of(path) is None or not path.exists():
        return
    try:
        message = _message(config)
    except UserError as error:  # such as another delimiter
        message = f"but has texts; give --task text-classification, language-modeling or translation; also, {error}"
    raise UserError(f"dataset {config.name!r} has no images{_what_images_are(path)}, {message}")


def _what_images_are(path: Path) -> str:
    """For files of records, which may have pixels that nobody would take for texts."""
    is_records = ending_of(path) in RECORD_ENDINGS or (path.is_dir() and read_tree(path, RECORD_ENDINGS).has_files)
    if not is_records:
        return ""
    return " (the contents of PNG, JPEG or other image files as bytes, or their paths; not lists or bytes of pixels)"


def _message(config: DatasetConfig) -> str:
    """What to do with the tables."""
    found = find_pieces(config, (TEXT, LABEL))
    names = list(dict.fromkeys(name for piece in found.files for name in piece.columns.names))
    if not names:
        return f"and {_no_rows(config, found)}"
    advice = next(filter(None, map(advice_about_header, found.files)), "")
    if advice:
        advice = f"; {advice}"
    return (
        f"but has the columns {shown(names)}; for texts: {_command(config, found)}; other tasks: language-modeling"
        f" (--text-column), translation (--source-column, --target-column){advice}"
    )


def _no_rows(config: DatasetConfig, found: Pieces) -> str:
    """That the files have no rows, and why the first one cannot be read."""
    try:
        choose_columns(found.files, (TEXT,), config)
    except UserError as error:
        return str(error).removeprefix(f"dataset {config.name!r} ")
    return "has no rows"


def _has_tables_alone(folder: Path) -> bool:
    tree = read_tree(folder, READERS)
    kinds = (mimetypes.guess_type(f"name{ending}")[0] or "" for ending in tree.others)
    return tree.has_files and not any(kind.startswith("image/") for kind in kinds)


def _command(config: DatasetConfig, found: Pieces) -> str:
    """The command that classifies the texts, with the columns that are known to be the text and the label."""
    columns = {TEXT: "COLUMN", LABEL: "COLUMN"}
    for role in columns:
        try:
            columns[role] = choose_columns(found.files, (role,), config).by_role[role]
        except UserError:
            continue  # the user is asked for it
    if columns[TEXT] == columns[LABEL]:
        columns[LABEL] = "COLUMN"
    words = ["tfdl", "train", "--task", "text-classification", "--dataset", config.name]
    for role, column in columns.items():
        words += [f"--{role}-column", column]
    return shlex.join(words)
