"""Texts as inputs: arguments, plain text files, tables, folders, standard input."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.encodings import ADVICE, what_is_wrong
from tfdl.data.files.pieces import PLAIN_ENDINGS, Piece, find_pieces
from tfdl.data.files.readers import READERS, TEXT, read_lines, read_paragraphs, read_whole, reader_of
from tfdl.data.files.rows import Reader
from tfdl.data.labels import shown
from tfdl.errors import UserError, nearest
from tfdl.inference.inputs.arguments import STANDARD_INPUT, lines_of_standard_input, paths_of
from tfdl.inference.inputs.options import InputOptions
from tfdl.inference.items import BadItem, Item, place

# Bytes of a text. A whole book has a few million; one text of a model has some thousand.
_MOST_BYTES = 2**20
_UNITS: dict[str, Reader] = {"line": read_lines, "paragraph": read_paragraphs, "file": read_whole}
_LIKE_PATHS = ("/", "./", "../", "~")
_WHAT = "text files, tables or folders"


def text_items(arguments: Sequence[str], role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    """The texts, in the order of the arguments. All files are found before the first text is read.

    An argument is a file, folder or pattern if it exists or looks like one, and otherwise a text.

    Args:
        arguments: what the user gave.
        role: the name of the input, such as ``text``.
        options: how files are read.

    Raises:
        UserError: no such file, no such column, or several columns that it may be.
    """
    literal = [argument for argument in arguments if argument != STANDARD_INPUT and not is_path(argument)]
    names = literal_names(literal)
    _check_kept(literal, options)
    sources = [_source(argument, role, options, names) for argument in arguments]
    return (item for source in sources for item in source)


def literal_names(texts: Sequence[str], first: int = 1) -> dict[str, str]:
    """Names of texts that the user typed: ``text 1`` and so on.

    Args:
        texts: in their order.
        first: the number of the first one.
    """
    return {text: f"text {number}" for number, text in enumerate(dict.fromkeys(texts), first)}


def _check_kept(literal: Sequence[str], options: InputOptions) -> None:
    if literal and options.kept:
        raise UserError(
            f"--keep-column {options.kept[0]!r} has no meaning for the text {literal[0]!r}; give files alone"
        )


def checked_text(name: str, text: str, role: str, encoding: str, kept: dict[str, str]) -> Item | BadItem:
    """A text as an input, or what is wrong with it.

    Args:
        name: where it comes from.
        text: the text.
        role: the name of the input.
        encoding: of its file.
        kept: columns that are copied to the output.
    """
    for column, value in kept.items():
        wrong = what_is_wrong(value, encoding)
        if wrong:
            return BadItem(name, f"column {column!r} is {wrong}", ADVICE)
    if not text.strip():
        return BadItem(name, "an empty text, expected at least a word")
    wrong = what_is_wrong(text, encoding)
    if wrong:
        return BadItem(name, wrong, ADVICE)
    num_bytes = len(text.encode())
    if num_bytes > _MOST_BYTES:
        return BadItem(name, f"a text of {num_bytes:,} bytes, expected at most {_MOST_BYTES:,}; cut it into several")
    return Item(name, {role: text}, kept)


def _source(argument: str, role: str, options: InputOptions, names: Mapping[str, str]) -> Iterator[Item | BadItem]:
    if argument == STANDARD_INPUT:
        is_json = options.column is not None or bool(options.kept)
        return _typed_objects(role, options) if is_json else _typed(role, options)
    if not is_path(argument):
        return iter([checked_text(names[argument], argument, role, options.encoding, {})])
    pieces = [piece for path in paths_of(argument, _WHAT) for piece in _pieces(path, options)]
    columns = [_column(piece, role, options) for piece in pieces]
    return (item for piece, column in zip(pieces, columns, strict=True) for item in _rows(piece, column, role, options))


def is_path(argument: str) -> bool:
    """Whether an argument is meant as a path. A text may contain slashes and dots, but no ending of a file.

    Args:
        argument: what the user gave.
    """
    # os.path.exists, since Path.exists raises an error for a name that is too long for a file.
    if os.path.exists(os.path.expanduser(argument)) or argument.startswith(_LIKE_PATHS):
        return True
    return " " not in argument.strip() and argument.lower().endswith((*PLAIN_ENDINGS, *READERS, ".json"))


def _pieces(path: Path, options: InputOptions) -> list[Piece]:
    """The files of rows that a path stands for."""
    config = DatasetConfig(str(path), encoding=options.encoding, delimiter=options.delimiter)
    pieces = find_pieces(config, (TEXT,)).files
    unit = options.unit
    if path.is_file() and unit is None:
        unit = "line"
    if unit is None:
        return pieces
    is_plain = [reader_of(piece.path) is None and piece.read in _UNITS.values() for piece in pieces]
    return [
        replace(piece, read=_UNITS[unit]) if plain else piece for piece, plain in zip(pieces, is_plain, strict=True)
    ]


def _column(piece: Piece, role: str, options: InputOptions) -> str:
    """The column with the input."""
    names = piece.columns.names
    missing = [name for name in options.kept if name not in names and piece.columns.is_complete]
    if missing:
        raise UserError(
            f"--keep-column {missing[0]!r}, but {piece.path} has the columns {shown(list(names))}."
            f"{nearest(missing[0], names)}"
        )
    trained = options.trained_columns.get(role)
    chosen = options.column or (trained if trained in names else None)
    config = DatasetConfig(str(piece.path), **({f"{role}_column": chosen} if chosen else {}))  # type: ignore[arg-type]
    return choose_columns([piece], (role,), config).by_role[role]


def _rows(piece: Piece, column: str, role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    is_plain = reader_of(piece.path) is None and piece.read in _UNITS.values()
    for row in piece.rows():
        if isinstance(row, BadRow):
            yield BadItem.of_row(row)
            continue
        number, columns = row
        name = place(piece.path, number)
        if column not in columns:
            yield BadItem(name, f"no {column!r} in it")
            continue
        if is_plain and number is not None and not columns[column].strip():
            continue  # lines between texts
        kept = {key: columns.get(key, "") for key in options.kept}
        yield checked_text(name, columns[column], role, options.encoding, kept)


def _typed_objects(role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    """A JSON object on each line, read by column."""
    column = options.column or options.trained_columns.get(role) or role
    for number, line in lines_of_standard_input(options.encoding):
        if not line.strip():
            continue
        name = f"standard input line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            wrong = what_is_wrong(line, options.encoding)
            yield BadItem(name, wrong or f"not JSON: {error}", ADVICE if wrong else "")
            continue
        if not isinstance(value, dict) or not isinstance(value.get(column), str):
            yield BadItem(name, f"no text {column!r} in it, expected a JSON object with one")
            continue
        kept = {key: _as_text(value.get(key, "")) for key in options.kept}
        yield checked_text(name, value[column], role, options.encoding, kept)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _typed(role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    for number, text in lines_of_standard_input(options.encoding):
        if text.strip():
            yield checked_text(f"standard input line {number}", text, role, options.encoding, {})
