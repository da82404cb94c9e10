"""Which of the user's files hold rows of texts, and what a row of each is."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.layout import files_in_classes, files_without_classes
from tfdl.data.files.paths import existing
from tfdl.data.files.readers import READERS, TEXT, GoodRow, Reader, read_lines, read_paragraphs, read_whole
from tfdl.data.files.tree import read_tree
from tfdl.errors import UserError

LABEL = "label"
SOURCE = "source"
TARGET = "target"
_PLAIN = (".txt", ".text", ".md", ".tokens")


@dataclass(frozen=True)
class Piece:
    """One file of rows, or two parallel ones.

    Args:
        path: the file; of two parallel files, the source's.
        split: the split that the file or its folder is named after; ``None`` if each row is assigned by itself.
        read: the reader of its format.
        label: the class of all its rows, if its folder is named after a class.
        target: the target's file, of two parallel files.
    """

    path: Path
    split: str | None
    read: Reader
    label: str | None = None
    target: Path | None = None

    def rows(self) -> Iterator[GoodRow | BadRow]:
        """All rows, good and bad."""
        if self.target is not None:
            yield from _parallel(self.path, self.target)
            return
        for row in self.read(self.path):
            if isinstance(row, BadRow) or self.label is None:
                yield row
            else:
                line, columns = row
                yield line, {**columns, LABEL: self.label}


@dataclass(frozen=True)
class Pieces:
    """The files of a data set."""

    files: list[Piece]
    notes: tuple[str, ...] = ()
    """Lines about files that were left out."""


def find_pieces(name: str, roles: tuple[str, ...], columns: dict[str, str]) -> Pieces:
    """The files that a path stands for, sorted by name.

    - Two paths separated by a comma are parallel texts. So is a folder if the source's and the target's column are the
      endings of its files (``train.en`` and ``train.de``).
    - A table (``.csv``, ``.tsv``), JSON lines (``.jsonl``, ``.ndjson``), or a folder of them.
    - Plain texts. With labels: a folder with a folder for each class. Without labels: a folder in which each file is
      one text, or a single file whose texts are separated by blank lines.

    Args:
        name: the path, or two paths separated by a comma.
        roles: what a row consists of.
        columns: role -> column, as the user chose them; may be empty.

    Raises:
        UserError: no such file or folder, or no files of rows with these roles.
    """
    if "," in name:
        return Pieces([_pair(*name.split(","))])
    path = existing(name)
    if path.is_file():
        return Pieces([_file(path, roles)])
    if SOURCE in roles and set(columns) >= {SOURCE, TARGET}:
        pairs = _pairs_in(path, columns[SOURCE], columns[TARGET])
        if pairs:
            return Pieces(pairs)
    tables = files_without_classes(read_tree(path, READERS))
    if tables.files:
        pieces = [Piece(file.path, file.split, READERS[file.path.suffix.lower()]) for file in tables.files]
        return Pieces(pieces, tuple(tables.notes))
    tree = read_tree(path, _PLAIN)
    layout = files_in_classes(tree) if LABEL in roles else files_without_classes(tree)
    if not layout.files or SOURCE in roles:
        left_out = "".join(f"; {note}" for note in layout.notes)
        raise UserError(f"dataset {name!r} has no file of rows, expected {_expected(roles)}{left_out}")
    pieces = [Piece(file.path, file.split, read_whole, file.class_name) for file in layout.files]
    return Pieces(pieces, tuple(layout.notes))


def _file(path: Path, roles: tuple[str, ...]) -> Piece:
    read = READERS.get(path.suffix.lower())
    if read is None and roles != (TEXT,):
        raise UserError(f"dataset {str(path)!r} is one plain text, expected {_expected(roles)}")
    return Piece(path, None, read or read_paragraphs)


def _expected(roles: tuple[str, ...]) -> str:
    if SOURCE in roles:
        return (
            "a .csv, .tsv or .jsonl file, two parallel files (--dataset SOURCE,TARGET), or a folder of them"
            " (--source-column en --target-column de for *.en and *.de)"
        )
    if LABEL in roles:
        return "a .csv, .tsv or .jsonl file, or a folder with a folder of .txt files for each class"
    return "a text file, a folder of .txt files, or a .csv, .tsv or .jsonl file"


def _pair(*paths: str) -> Piece:
    if len(paths) != 2:
        raise UserError(f"dataset {','.join(paths)!r} names {len(paths)} files, expected two: SOURCE,TARGET")
    source, target = (existing(path) for path in paths)
    return Piece(source, None, read_lines, target=target)


def _pairs_in(folder: Path, source: str, target: str) -> list[Piece]:
    """Parallel files by their endings, such as ``en`` and ``de``."""
    pairs = []
    for file in files_without_classes(read_tree(folder, (f".{source.lower()}",))).files:
        target_path = file.path.with_suffix(f".{target}")
        if not target_path.exists():
            raise UserError(f"{file.path} has no parallel file, expected {target_path.name} beside it")
        pairs.append(Piece(file.path, file.split, read_lines, target=target_path))
    return pairs


def _parallel(source: Path, target: Path) -> Iterator[GoodRow | BadRow]:
    """Rows of a source line and its target line; bad if either of them is bad."""
    line_pairs = itertools.zip_longest(read_lines(source), read_lines(target))
    for number, (source_line, target_line) in enumerate(line_pairs, 1):
        if source_line is None:
            raise _unequal_lengths(source, target, number - 1)
        if target_line is None:
            raise _unequal_lengths(target, source, number - 1)
        if isinstance(source_line, BadRow):
            yield source_line
        elif isinstance(target_line, BadRow):
            yield target_line
        else:
            _, source_columns = source_line
            _, target_columns = target_line
            yield number, {SOURCE: source_columns[TEXT], TARGET: target_columns[TEXT]}


def _unequal_lengths(shorter: Path, longer: Path, num_lines: int) -> UserError:
    noun = "line" if num_lines == 1 else "lines"
    return UserError(f"{shorter} has {num_lines} {noun} and {longer} has more; expected as many lines in both")
