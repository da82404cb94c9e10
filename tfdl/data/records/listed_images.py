"""Image files that rows of the user's files name. No TensorFlow is imported."""

import os
from collections.abc import Iterator
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.image_endings import ENDINGS
from tfdl.data.files.layout import Layout, PlacedFile, files_without_classes
from tfdl.data.files.pieces import Piece, Pieces
from tfdl.data.files.readers import READERS
from tfdl.data.files.tree import read_tree
from tfdl.data.labels import stands_for_no_label
from tfdl.data.records.image_columns import ImageColumn
from tfdl.data.records.image_rows import label_column


def listed_images(found: Pieces, column: ImageColumn, config: DatasetConfig, bad: BadRows) -> Layout:
    """The image file of each row, with its class.

    Paths begin at the folder of the file of rows, or at the data set's folder.

    Args:
        found: the files of rows.
        column: of the paths.
        config: the data set.
        bad: gets the rows that name no file.

    Raises:
        UserError: no column of labels, or several that it may be.
    """
    label, notes = label_column(found.files, column, config)
    root = Path(config.name).expanduser()
    layout = Layout(other_notes=list(notes))
    for piece in found.files:
        layout.files += bad.sifted(_listed(piece, column.name, label, root))
    layout.files.sort(key=lambda file: os.fsencode(file.path))
    if root.is_dir():
        layout.other_notes += files_without_classes(read_tree(root, READERS)).other_notes
        listed = {os.path.realpath(file.path) for file in layout.files}
        unlisted = [path for path in read_tree(root, ENDINGS).all_files() if os.path.realpath(path) not in listed]
        layout.left_out.add(len(unlisted), "of images", "in no row")
    return layout


def _listed(piece: Piece, image: str, label: str, root: Path) -> Iterator[PlacedFile | BadRow]:
    """The image file of each row. Paths begin at the folder of the file of rows, or at the data set's folder."""
    folders = [piece.path.parent, root] if root.is_dir() else [piece.path.parent]
    for row in piece.rows():
        if isinstance(row, BadRow):
            yield row
            continue
        number, columns = row
        missing = next((name for name in (image, label) if not columns.get(name, "").strip()), None)
        if missing is not None:
            yield BadRow(piece.path, number, f"no {missing!r} in it")
            continue
        if stands_for_no_label(columns[label]):
            reason = f"{label!r} is {columns[label].strip()!r}, which stands for no value"
            yield BadRow(piece.path, number, reason)
            continue
        paths = [folder / columns[image].strip() for folder in folders]
        path = next((path for path in paths if os.path.isfile(path)), None)
        if path is None:
            yield BadRow(piece.path, number, f"no such file: {paths[0]}")
        else:
            yield PlacedFile(path, columns[label], piece.split)
