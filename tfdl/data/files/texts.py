"""The user's texts as rows of roles, in splits that do not depend on the order of the rows."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.pieces import LABEL, Piece, find_pieces
from tfdl.data.hash_split import hash_split
from tfdl.data.texts import Row, TextDataset
from tfdl.errors import UserError, nearest

SPLITS = ("train", "validation", "test")


def open_local_texts(config: DatasetConfig, roles: tuple[str, ...]) -> TextDataset:
    """Reads the files once, to check and count their rows; after that they are read as they are needed.

    Files and folders that are called after a split (``train.csv``, ``valid/``) are that split. All other rows are dealt
    out by the hash of their text, 80, 10 and 10 of a hundred: however they are ordered, and whatever is added. A split
    that has no file of its own is held out of the training files in the same way, or is the validation split.

    Raises:
        UserError: no such files, no column for a role, or rows that cannot be used (unless they are to be skipped).
    """
    if config.train_split or config.validation_split or config.test_split:
        raise UserError(
            f"dataset.train_split and the like have no meaning for files such as {config.name!r}, which are split by"
            " their names or by hash; leave them out"
        )
    pieces = find_pieces(config.name, roles, config.columns)
    deal = _Deal({piece.split for piece in pieces})
    columns = _columns_of(pieces, roles, config)
    bad = BadRows(config.skip_bad_rows)
    index = {split: _Index() for split in SPLITS}
    for piece in pieces:
        for row in _rows_of(piece, columns):
            if isinstance(row, BadRow):
                bad.note(row)
            else:
                index[deal(piece, row)].add(row)
    bad.check()
    total = sum(part.count for part in index.values())
    if not index["test"].count:
        index["test"], deal.test = index["validation"], "validation"
    for split in SPLITS:
        if not index[split].count:
            raise UserError(
                f"dataset {config.name!r} has {total} {'text' if total == 1 else 'texts'}, none of them for {split};"
                f" expected more, or a file that is called {split}"
            )
    names = _class_names(set().union(*(part.labels for part in index.values())))
    numbers = {name: number for number, name in enumerate(names)}
    splits = {split: LocalTexts(pieces, split, deal, columns, numbers, index[split]) for split in SPLITS}
    return TextDataset(config.name, splits, names, (bad.report,) if bad.count else ())


class LocalTexts:
    """One split of the user's rows; holds where they are."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        split: str,
        deal: "_Deal",
        columns: Mapping[str, str],
        numbers: Mapping[str, int],
        index: "_Index",
    ):
        self._pieces, self._deal, self._columns, self._numbers = pieces, deal, columns, numbers
        self._split = deal.test if split == "test" else split
        self.num_examples, self.fingerprint = index.count, index.digest.hexdigest()

    def __iter__(self) -> Iterator[Row]:
        for piece in self._pieces:
            if piece.split is not None and self._deal.of_file(piece.split) not in (None, self._split):
                continue
            for row in _rows_of(piece, self._columns):
                if not isinstance(row, BadRow) and self._deal(piece, row) == self._split:
                    yield {role: self._numbers[text] if role == LABEL else text for role, text in row.items()}


class _Deal:
    """Which split a row is in.

    Args:
        named: the splits that files are called after, and none where some are called after no split.
    """

    def __init__(self, named: set[str | None]):
        self.test = "test"
        self._named = named

    def of_file(self, split: str) -> str | None:
        """The split of all of a file's rows; none where some are held out."""
        whole = split != "train" or "validation" in self._named
        return split if whole else None

    def __call__(self, piece: Piece, row: Mapping[str, str]) -> str:
        if piece.split is not None and self.of_file(piece.split):
            return piece.split
        split = hash_split("\0".join(row.values()))
        # Of training files, what is held out validates; the test has files of its own, or none.
        return "train" if piece.split is not None and split == "test" else split


class _Index:
    """What one pass finds out about a split."""

    def __init__(self) -> None:
        self.count, self.labels = 0, set[str]()
        self.digest = hashlib.sha256()

    def add(self, row: Mapping[str, str]) -> None:
        self.count += 1
        self.digest.update("\0".join([*row.values(), ""]).encode("utf-8", "surrogatepass"))
        if LABEL in row:
            self.labels.add(row[LABEL])


def _rows_of(piece: Piece, columns: Mapping[str, str]) -> Iterator[dict[str, str] | BadRow]:
    """Role -> text; a row that lacks one, or has nothing in it, is a bad one."""
    for found in piece.rows():
        if isinstance(found, BadRow):
            yield found
            continue
        line, row = found
        missing = [column for column in columns.values() if column not in row]
        empty = [column for column in columns.values() if column in row and not row[column].strip()]
        if missing or empty:
            reason = f"no {missing[0]!r} in it" if missing else f"{empty[0]!r} is empty"
            yield BadRow(piece.path, line, reason)
        else:
            yield {role: row[column] for role, column in columns.items()}


def _columns_of(pieces: Sequence[Piece], roles: tuple[str, ...], config: DatasetConfig) -> dict[str, str]:
    """Role -> column: the one that the user chose, the one of that name, or the only one that is left."""
    bad = BadRows(skip=True)
    first = next(bad.sifted(row for piece in pieces for row in piece.rows()), None)
    if first is None:
        why = f" that can be read; the first: {bad.first[0]}" if bad.first else ""
        raise UserError(f"dataset {config.name!r} has no rows{why}")
    known = list(first[1])
    chosen = {role: name for role, name in config.columns.items() if role in roles and pieces[0].target is None}
    for role, name in chosen.items():
        if name not in known:
            has = f"{pieces[0].path} has the columns {', '.join(known)}"
            raise UserError(f"--{role}-column {name!r}, but {has}.{nearest(name, known)}")
    found = chosen | {role: role for role in roles if role not in chosen and role in known}
    left = [name for name in known if name not in found.values()]
    for role in roles:
        if role not in found:
            if len(left) != 1:
                raise UserError(
                    f"which column of {pieces[0].path} is the {role}? It has {', '.join(known)}; choose with"
                    f" --{role}-column NAME"
                )
            found[role] = left.pop()
    return {role: found[role] for role in roles}


def _class_names(labels: set[str]) -> tuple[str, ...]:
    """In the order of the numbers that they are, or else of the alphabet."""
    numeric = all(label.strip().lstrip("+-").isdigit() for label in labels)
    return tuple(sorted(labels, key=(lambda label: (int(label), label)) if numeric else str))
