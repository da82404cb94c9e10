"""Finds the user's files of rows that have an image and its label each. No TensorFlow is imported."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.pieces import LABEL, Piece, Pieces, find_pieces
from tfdl.data.files.readers import READERS, TEXT, reader_of
from tfdl.data.files.tree import read_tree
from tfdl.data.records.endings import ENDINGS as RECORD_ENDINGS
from tfdl.data.records.endings import ending_of
from tfdl.data.records.image_columns import IMAGE, NUM_FILES, ImageColumn, find_image_column
from tfdl.errors import UserError


def find_rows_of_images(config: DatasetConfig) -> tuple[Pieces, ImageColumn] | None:
    """The user's files of rows and the column with the images; ``None`` if there is no such file or column.

    Args:
        config: the path, and the column that the user chose.

    Raises:
        UserError: the chosen column has no images, or there are several.
    """
    path = Path(config.name).expanduser()
    if path.is_dir():
        if not read_tree(path, READERS).has_files:
            return None
    elif reader_of(path) is None or not path.exists():
        return None
    pieces = find_pieces(config, (TEXT,))
    column = find_image_column(pieces.files, config)
    return None if column is None else (pieces, column)


def label_column(pieces: Sequence[Piece], column: ImageColumn, config: DatasetConfig) -> tuple[str, tuple[str, ...]]:
    """The column with the labels, and lines about how it was found.

    Of many files the first few are looked at, and all of them only if these do not decide it.

    Args:
        pieces: the files.
        column: of the images.
        config: the columns that the user chose.

    Raises:
        UserError: no such column, or several that it may be.
    """
    roles = (IMAGE, LABEL) if column.is_path else (LABEL,)
    config = replace(config, image_column=column.name if column.is_path else None)
    try:
        chosen = choose_columns(pieces[:NUM_FILES], roles, config)
    except UserError:
        chosen = choose_columns(pieces, roles, config)
    return chosen.by_role[LABEL], chosen.notes


def refuse_other_rows(pieces: Sequence[Piece], column: ImageColumn) -> None:
    """Refuses tables beside records: their rows have no images' contents.

    Args:
        pieces: the files.
        column: of the images.

    Raises:
        UserError: there are tables.
    """
    others = [piece.path for piece in pieces if ending_of(piece.path) not in RECORD_ENDINGS]
    if others:
        raise UserError(
            f"{others[0]} has no images in a column {column.name!r}, as the files of records beside it have; give the"
            " path of their file or folder alone"
        )
