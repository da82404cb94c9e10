"""Which of the user's files hold rows of texts, and what a row of each is."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.paths import existing, files_below, split_of_name
from tfdl.data.files.readers import READERS, TEXT, GoodRow, Reader, read_lines, read_paragraphs, read_whole
from tfdl.errors import UserError

LABEL, SOURCE, TARGET = "label", "source", "target"
_PLAIN = (".txt", ".text", ".md", ".tokens")


@dataclass(frozen=True)
class Piece:
    """One file of rows, or two parallel ones.

    Args:
        path: the file; of two, the source's.
        split: which split it was made for, by its name or its folder's; none leaves that to each row.
        read: the format.
        label: the class that all of its rows have, by its folder.
        target: the parallel file.
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
                yield row[0], {**row[1], LABEL: self.label}


def find_pieces(name: str, roles: tuple[str, ...], columns: dict[str, str]) -> list[Piece]:
    """The files that a path stands for, in the order of their names.

    - Two paths with a comma between: parallel texts. A folder, too, where the source's and the target's column are the
      endings of its files (``train.en`` and ``train.de``).
    - A table (``.csv``, ``.tsv``) or JSON lines (``.jsonl``, ``.ndjson``), or a folder of them.
    - Plain texts. With a label: a folder of folders, each a class. Without: a folder of files, each of them one text,
      or a file, whose texts stand between blank lines.

    Raises:
        UserError: nothing is there that holds such rows.
    """
    if "," in name:
        return [_pair(*name.split(","))]
    path = existing(name)
    if path.is_file():
        return [_file(path, roles)]
    if SOURCE in roles and set(columns) >= {SOURCE, TARGET}:
        pairs = _pairs_in(path, columns[SOURCE], columns[TARGET])
        if pairs:
            return pairs
    tables = files_below(path, READERS)
    if tables:
        return [Piece(file, _split_of(file, path), READERS[file.suffix.lower()]) for file in tables]
    texts = files_below(path, _PLAIN)
    if not texts or SOURCE in roles:
        raise UserError(f"dataset {name!r} has no file of rows, expected {_expected(roles)}")
    by_folder = LABEL in roles
    return [Piece(file, _split_of(file, path), read_whole, file.parent.name if by_folder else None) for file in texts]


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


def _split_of(file: Path, folder: Path) -> str | None:
    """By the nearest name on the way from the folder to the file."""
    for name in reversed(file.relative_to(folder).parts):
        split = split_of_name(name)
        if split is not None:
            return split
    return None


def _pair(*paths: str) -> Piece:
    if len(paths) != 2:
        raise UserError(f"dataset {','.join(paths)!r} names {len(paths)} files, expected two: SOURCE,TARGET")
    source, target = map(existing, paths)
    return Piece(source, None, read_lines, target=target)


def _pairs_in(folder: Path, source: str, target: str) -> list[Piece]:
    pairs = []
    for path in files_below(folder, (f".{source.lower()}",)):
        other = path.with_suffix(f".{target}")
        if not other.exists():
            raise UserError(f"{path} has no parallel file, expected {other.name} beside it")
        pairs.append(Piece(path, _split_of(path, folder), read_lines, target=other))
    return pairs


def _parallel(source: Path, target: Path) -> Iterator[GoodRow | BadRow]:
    sides = itertools.zip_longest(read_lines(source), read_lines(target))
    for line, (left, right) in enumerate(sides, 1):
        if left is None or right is None:
            shorter, longer = (source, target) if left is None else (target, source)
            raise UserError(f"{shorter} has {line - 1} lines and {longer} has more, expected as many in both")
        if isinstance(left, BadRow):
            yield left
        elif isinstance(right, BadRow):
            yield right
        else:
            yield line, {SOURCE: left[1][TEXT], TARGET: right[1][TEXT]}
