"""Which of the user's files hold rows of texts, and what a row of each is."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.encodings import ADVICE, what_is_wrong
from tfdl.data.files.layout import files_in_classes, files_without_classes
from tfdl.data.files.paths import existing
from tfdl.data.files.readers import (
    READERS,
    TEXT,
    columns_of_file,
    read_lines,
    read_paragraphs,
    read_whole,
    reader_of,
)
from tfdl.data.files.rows import ColumnNames, GoodRow, Reader, ReadOptions
from tfdl.data.files.tables import read_table
from tfdl.data.files.tree import read_tree
from tfdl.data.records.endings import ending_of
from tfdl.errors import UserError

LABEL = "label"
SOURCE = "source"
TARGET = "target"
PLAIN_ENDINGS = (".txt", ".text", ".md", ".tokens")
"""Endings of plain texts in a folder."""


@dataclass(frozen=True)
class Piece:
    """One file of rows, or two parallel ones.

    Args:
        path: the file; of two parallel files, the source's.
        split: the split that the file or its folder is named after; ``None`` if each row is assigned by itself.
        read: the reader of its format.
        options: how it is read.
        label: the class of all its rows, if its folder is named after a class.
        target: the target's file, of two parallel files.
    """

    path: Path
    split: str | None
    read: Reader
    options: ReadOptions = field(default_factory=ReadOptions)
    label: str | None = None
    target: Path | None = None

    def rows(self) -> Iterator[GoodRow | BadRow]:
        """All rows, good and bad."""
        if self.target is not None:
            yield from _parallel(self.path, self.target, self.options)
            return
        for row in self.read(self.path, self.options):
            if isinstance(row, BadRow) or self.label is None:
                yield row
            else:
                line, columns = row
                yield line, {**columns, LABEL: self.label}

    @cached_property
    def columns(self) -> ColumnNames:
        """Its columns."""
        if self.target is not None:
            return ColumnNames((SOURCE, TARGET))
        if reader_of(self.path) is None and self.read is not read_table:
            return ColumnNames((TEXT,) if self.label is None else (TEXT, LABEL))
        return columns_of_file(self.path, self.read, self.options)


@dataclass(frozen=True)
class Pieces:
    """The files of a data set."""

    files: list[Piece]
    notes: tuple[str, ...] = ()
    """Lines about files that were left out."""


def find_pieces(config: DatasetConfig, roles: tuple[str, ...]) -> Pieces:
    """The files that a path stands for, sorted by name.

    - Two paths separated by a comma are parallel texts, if there is no file of that name. So is a folder if the
      source's and the target's column are the endings of its files (``train.en`` and ``train.de``).
    - A table (``.csv``, ``.tsv``), JSON lines (``.jsonl``, ``.ndjson``), records (``.parquet``, ``.tfrecord``,
      ``.array_record``), or a folder of them.
    - Plain texts. With labels: a folder with a folder for each class. Without labels: a folder in which each file is
      one text, or a single file whose texts are separated by blank lines.

    Args:
        config: the path, or two paths separated by a comma; the columns that the user chose, and how files are read.
        roles: what a row consists of.

    Raises:
        UserError: no such file or folder, or no files of rows with these roles.
    """
    name = config.name
    columns = config.columns
    options = ReadOptions(config.encoding, config.delimiter)
    if "," in name and SOURCE in roles and not os.path.exists(Path(name).expanduser()):
        return Pieces([_pair(name, options)])
    path = existing(name)
    if path.is_file():
        return Pieces([_file(path, roles, options)])
    if SOURCE in roles and set(columns) >= {SOURCE, TARGET}:
        pairs = _pairs_in(path, columns[SOURCE], columns[TARGET], options)
        if pairs:
            return Pieces(pairs)
    tables = files_without_classes(read_tree(path, READERS))
    if tables.files:
        pieces = [Piece(file.path, file.split, READERS[ending_of(file.path)], options) for file in tables.files]
        return Pieces(pieces, tuple(tables.notes))
    tree = read_tree(path, PLAIN_ENDINGS)
    layout = files_in_classes(tree) if LABEL in roles else files_without_classes(tree, is_text_each=True)
    if not layout.files or SOURCE in roles:
        left_out = "".join(f"; {note}" for note in layout.notes)
        raise UserError(f"dataset {name!r} has no file of rows, expected {_expected(roles)}{left_out}")
    pieces = [Piece(file.path, file.split, read_whole, options, file.class_name) for file in layout.files]
    return Pieces(pieces, tuple(layout.notes))


def _file(path: Path, roles: tuple[str, ...], options: ReadOptions) -> Piece:
    read = reader_of(path)
    if read is None and options.delimiter is not None:
        read = read_table
    if read is None and roles != (TEXT,):
        raise UserError(
            f"dataset {str(path)!r} is one plain text, expected {_expected(roles)}; for a table, give --delimiter"
        )
    return Piece(path, None, read or read_paragraphs, options)


def _expected(roles: tuple[str, ...]) -> str:
    if SOURCE in roles:
        return (
            "a .csv, .tsv or .jsonl file, two parallel files (--dataset SOURCE,TARGET), or a folder of them"
            " (--source-column en --target-column de for *.en and *.de)"
        )
    if LABEL in roles:
        return "a .csv, .tsv or .jsonl file, or a folder with a folder of .txt files for each class"
    return "a text file, a folder of .txt files, or a .csv, .tsv or .jsonl file"


def _pair(name: str, options: ReadOptions) -> Piece:
    """Two files whose names are separated by a comma; the names may have commas too."""
    parts = name.split(",")
    pairs = [(",".join(parts[:count]), ",".join(parts[count:])) for count in range(1, len(parts))]
    there = [pair for pair in pairs if all(os.path.exists(Path(path).expanduser()) for path in pair)]
    if len(pairs) > 1 and len(there) != 1:
        raise UserError(f"dataset {name!r} names {len(parts)} files, expected two: SOURCE,TARGET")
    source, target = (existing(path) for path in (there or pairs)[0])
    return Piece(source, None, read_lines, options, target=target)


def _pairs_in(folder: Path, source: str, target: str, options: ReadOptions) -> list[Piece]:
    """Parallel files by their endings, such as ``en`` and ``de``."""
    pairs = []
    for file in files_without_classes(read_tree(folder, (f".{source.lower()}",))).files:
        if not target or not target.isprintable() or "/" in target:
            raise UserError(
                f"--target-column {target!r} is no ending of files, expected one such as 'de', for the file that is"
                f" parallel to {file.path}"
            )
        target_path = file.path.parent / f"{file.path.stem}.{target}"
        if not target_path.exists():
            raise UserError(f"{file.path} has no parallel file, expected {target_path.name} beside it")
        pairs.append(Piece(file.path, file.split, read_lines, options, target=target_path))
    return pairs


def _parallel(source: Path, target: Path, options: ReadOptions) -> Iterator[GoodRow | BadRow]:
    """Rows of a source line and its target line; bad if the target's line is."""
    line_pairs = itertools.zip_longest(_plain_lines(source, options), _plain_lines(target, options))
    for number, (source_line, target_line) in enumerate(line_pairs, 1):
        if source_line is None:
            raise _unequal_lengths(source, target, number - 1)
        if target_line is None:
            raise _unequal_lengths(target, source, number - 1)
        wrong = what_is_wrong(target_line, options.encoding)
        if wrong:
            yield BadRow(target, number, wrong, ADVICE)
        else:
            yield number, {SOURCE: source_line, TARGET: target_line}


def _plain_lines(path: Path, options: ReadOptions) -> Iterator[str]:
    for row in read_lines(path, options):
        assert not isinstance(row, BadRow), "each line is a row"
        yield row[1][TEXT]


def _unequal_lengths(shorter: Path, longer: Path, num_lines: int) -> UserError:
    noun = "line" if num_lines == 1 else "lines"
    return UserError(f"{shorter} has {num_lines} {noun} and {longer} has more; expected as many lines in both")
