"""Texts as inputs: arguments, plain text files, tables, folders, standard input."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, place_of_row
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.encodings import ADVICE, what_is_wrong
from tfdl.data.files.pieces import PLAIN_ENDINGS, Piece, find_pieces
from tfdl.data.files.readers import READERS, TEXT, read_lines, read_paragraphs, read_whole, reader_of
from tfdl.data.files.rows import Reader
from tfdl.inference.inputs.arguments import STANDARD_INPUT, lines_of_standard_input, paths_of
from tfdl.inference.inputs.json_lines import json_values, kept_values
from tfdl.inference.inputs.kept_columns import check_kept, refuse_kept
from tfdl.inference.inputs.options import InputOptions
from tfdl.inference.items import BadItem, Item

# Bytes of a text. A whole book has a few million; one text of a model has some thousand.
_MOST_BYTES = 2**20
_UNITS: dict[str, Reader] = {"line": read_lines, "paragraph": read_paragraphs, "file": read_whole}
_LIKE_PATHS = ("/", "./", "../", "~")
_WHAT = "text files, tables or folders"


def text_items(
    arguments: Sequence[str], literal: Sequence[str], role: str, options: InputOptions
) -> Iterator[Item | BadItem]:
    """The texts, in the order of the arguments. All files are found before the first text is read.

    An argument is a file, folder or pattern if it exists or looks like one, and otherwise a text.

    Args:
        arguments: what the user gave.
        literal: texts before these, whatever they look like.
        role: the name of the input, such as ``text``.
        options: how files are read.

    Raises:
        UserError: no such file, no such column, or several columns that it may be.
    """
    numbers = itertools.count(1)

    def typed(text: str) -> Iterator[Item | BadItem]:
        refuse_kept(f"the text {text!r}", options.kept)
        return iter([checked_text(f"text {next(numbers)}", text, role, options.encoding, {})])

    sources = [typed(text) for text in literal]
    for argument in arguments:
        is_text = argument != STANDARD_INPUT and not _is_path(argument)
        sources.append(typed(argument) if is_text else _source(argument, role, options))
    return itertools.chain.from_iterable(sources)


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


def _source(argument: str, role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    if argument == STANDARD_INPUT:
        is_json = options.column is not None or bool(options.kept)
        return _json_lines(role, options) if is_json else _lines(role, options)
    pieces = [piece for path in paths_of(argument, _WHAT) for piece in _pieces(path, options)]
    columns = [_column(piece, role, options) for piece in pieces]
    return (item for piece, column in zip(pieces, columns, strict=True) for item in _rows(piece, column, role, options))


def _is_path(argument: str) -> bool:
    """Whether an argument is meant as a path. A text may contain slashes and dots, but no ending of a file."""
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
    check_kept(piece.path, piece.columns, options.kept)
    trained = options.trained_columns.get(role)
    chosen = options.column or (trained if trained in piece.columns.names else None)
    config = DatasetConfig(str(piece.path), **({f"{role}_column": chosen} if chosen else {}))  # type: ignore[arg-type]
    return choose_columns([piece], (role,), config).by_role[role]


def _rows(piece: Piece, column: str, role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    is_plain = reader_of(piece.path) is None and piece.read in _UNITS.values()
    for row in piece.rows():
        if isinstance(row, BadRow):
            yield BadItem.of_row(row)
            continue
        number, columns = row
        name = place_of_row(piece.path, number)
        if column not in columns:
            yield BadItem(name, f"no {column!r} in it")
            continue
        if is_plain and number is not None and not columns[column].strip():
            continue  # lines between texts
        kept = {key: columns.get(key, "") for key in options.kept}
        yield checked_text(name, columns[column], role, options.encoding, kept)


def _json_lines(role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    """A JSON object on each line of standard input, read by column."""
    column = options.column or options.trained_columns.get(role) or role
    lines = lines_of_standard_input(options.encoding)
    for name, value in json_values("standard input", lines, options.encoding):
        if isinstance(value, BadItem):
            yield value
        elif isinstance(value, dict) and isinstance(value.get(column), str):
            yield checked_text(name, value[column], role, options.encoding, kept_values(value, options.kept))
        else:
            yield BadItem(name, f"no text {column!r} in it, expected a JSON object with one")


def _lines(role: str, options: InputOptions) -> Iterator[Item | BadItem]:
    for number, text in lines_of_standard_input(options.encoding):
        if text.strip():
            yield checked_text(f"standard input line {number}", text, role, options.encoding, {})
