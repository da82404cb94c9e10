"""Images as inputs: files, folders, tables of paths, files of records, standard input."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, place_of_row, printable
from tfdl.data.files.image_check import why_unreadable
from tfdl.data.files.image_rules import image_rules
from tfdl.data.files.pieces import Piece
from tfdl.data.files.readers import reader_of
from tfdl.data.files.tree import read_tree
from tfdl.data.records.files import open_records
from tfdl.data.records.image_columns import IMAGE, ImageColumn
from tfdl.data.records.image_rows import find_rows_of_images
from tfdl.data.records.values import as_text
from tfdl.errors import UserError
from tfdl.inference.inputs.arguments import STANDARD_INPUT, lines_of_standard_input, paths_of
from tfdl.inference.inputs.kept_columns import check_kept
from tfdl.inference.inputs.options import InputOptions
from tfdl.inference.items import BadItem, Item

_WHAT = "images, folders or tables"


def image_items(arguments: Sequence[str], rules: int, options: InputOptions) -> Iterator[Item | BadItem]:
    """The images, in the order of the arguments. All files are found before the first image is read.

    Args:
        arguments: what the user gave.
        rules: the number of the run's rules for image files.
        options: how tables are read.

    Raises:
        UserError: no such file, a folder without images, or a table without a column of images.
    """
    sources = [_source(argument, rules, options) for argument in arguments]
    return (item for source in sources for item in source)


def image_loader(rules: int, channels: int) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """A function that reads an image of an item: from the path or the content of a file to pixels.

    Args:
        rules: the number of the run's rules for image files.
        channels: of the images that the model takes.
    """
    read = image_rules(rules).read

    def load(values: Mapping[str, Any]) -> Mapping[str, Any]:
        value = values[IMAGE]
        if isinstance(value, np.ndarray):
            return values
        data = value.read_bytes() if isinstance(value, Path) else value
        if not data:
            raise ValueError("an empty file, expected an image")
        try:
            # With colours, to see whether there are any.
            pixels = read(data, 3)
        except Exception as error:
            # Damaged files fail in many ways: Pillow raises errors of ten types.
            raise ValueError(f"not an image that can be read ({why_unreadable(error)})") from error
        if channels == 3:
            return {IMAGE: pixels}
        if not np.array_equal(pixels[..., :1], pixels[..., 1:2]) or not np.array_equal(pixels[..., 0], pixels[..., 2]):
            raise ValueError("an image with colours, expected one in shades of grey, as the run was trained on")
        return {IMAGE: pixels[..., :1]}

    return load


def _source(argument: str, rules: int, options: InputOptions) -> Iterator[Item | BadItem]:
    if argument == STANDARD_INPUT:
        return _listed_by_standard_input(options.encoding)
    sources = [_of_path(path, rules, options) for path in paths_of(argument, _WHAT)]
    return (item for source in sources for item in source)


def _of_path(path: Path, rules: int, options: InputOptions) -> Iterator[Item | BadItem]:
    if path.is_dir():
        endings = image_rules(rules).endings
        tree = read_tree(path, endings)
        if tree.has_files:
            _refuse_columns(f"{printable(path)} is a folder of images", options)
            return (Item(printable(file), {IMAGE: file}) for file in tree.all_files())
    elif reader_of(path) is None:
        _refuse_columns(f"{printable(path)} is an image", options)
        return iter([Item(printable(path), {IMAGE: path})])
    found = find_rows_of_images(
        DatasetConfig(str(path), image_column=options.column, encoding=options.encoding, delimiter=options.delimiter)
    )
    if found is None:
        raise UserError(f"{printable(path)} has no images, expected {_WHAT} with images of JPEG, PNG, ...")
    pieces, column = found
    for piece in pieces.files:
        check_kept(piece.path, piece.columns, options.kept)
    return (item for piece in pieces.files for item in _rows(piece, column, options))


def _refuse_columns(what: str, options: InputOptions) -> None:
    if options.column or options.kept:
        raise UserError(f"{what}, which has no columns; leave them out")


def _rows(piece: Piece, column: ImageColumn, options: InputOptions) -> Iterator[Item | BadItem]:
    """The image of each row. Paths begin at the folder of the file of rows."""
    rows = piece.rows() if column.is_path else _content_rows(piece, column, options)
    for row in rows:
        if isinstance(row, BadRow):
            yield BadItem.of_row(row)
            continue
        number, columns = row
        name = place_of_row(piece.path, number)
        value: Any = columns.get(column.name)
        if not value or (isinstance(value, str) and not value.strip()):
            yield BadItem(name, f"no {column.name!r} in it")
            continue
        kept = {key: str(columns.get(key, "")) for key in options.kept}
        if column.is_path:
            value = piece.path.parent / str(value).strip()
            if not os.path.isfile(value):
                yield BadItem(name, f"no such file: {printable(value)}")
                continue
        yield Item(name, {IMAGE: value}, kept)


def _content_rows(piece: Piece, column: ImageColumn, options: InputOptions) -> Iterator[Any]:
    """Rows with the contents of image files, and the columns that are kept, as texts."""
    wanted = dict.fromkeys((column.name, *options.kept))
    file = open_records(piece.path)
    for row in file.rows(wanted):
        if isinstance(row, BadRow):
            yield row
            continue
        number, values = row
        texts = {name: as_text(values[name], file.class_names_of(name)) for name in options.kept if name in values}
        yield number, {column.name: values.get(column.name), **texts}


def _listed_by_standard_input(encoding: str) -> Iterator[Item | BadItem]:
    """The image of each path, a line each."""
    for number, line in lines_of_standard_input(encoding):
        if not line.strip():
            continue
        path = Path(os.path.expanduser(line))
        if os.path.isfile(path):
            yield Item(printable(path), {IMAGE: path})
        else:
            yield BadItem(f"standard input line {number}", f"no such file: {line}")
