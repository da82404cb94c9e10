"""The user's texts as rows of roles, in splits that do not depend on the order of the rows."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.encodings import ADVICE, what_is_wrong
from tfdl.data.files.pieces import LABEL, Piece, find_pieces
from tfdl.data.files.quoting_notes import quoting_notes
from tfdl.data.files.split_assignment import SPLITS, SplitAssignment
from tfdl.data.files.tables import read_table
from tfdl.data.labels import Classes, classes_of, shown, unequal_classes_notes
from tfdl.data.texts import Row, TextDataset
from tfdl.errors import UserError

# How pandas writes that there is no value.
_MISSING = {"nan", "NaN"}


@dataclass(frozen=True)
class LocalDataset(TextDataset):
    """Rows of the user's texts."""

    class_counts: Mapping[str, Counter[int]] = field(default_factory=dict)
    """Split -> class number -> number of rows; empty without the role ``label``."""


def open_local_texts(config: DatasetConfig, roles: tuple[str, ...], trained_names: Sequence[str] = ()) -> LocalDataset:
    """Reads the files once, to check and count their rows. Afterwards rows are read as they are needed.

    Files and folders that are named after a split (``train.csv``, ``valid/``) belong to that split. All other rows are
    assigned by the hash of their text: 80% train, 10% validation, 10% test. So neither the order of rows nor added rows
    change the split of any other row. If no file is named after the validation split, it is held out of the training
    files by the same hash. If no row is in the test split, the validation split serves as the test split.

    Args:
        config: the path of the files, and which of their columns serve as which role.
        roles: ``("text",)``, ``("text", "label")`` or ``("source", "target")``.
        trained_names: the classes of a run that has begun before.

    Raises:
        UserError: no such files, no column for a role, or bad rows (unless ``skip_bad_rows`` is set).
    """
    _refuse_splits(config)
    found = find_pieces(config, roles)
    pieces = found.files
    refuse_delimiter(config, pieces)
    chosen = choose_columns(pieces, roles, config)
    columns = chosen.by_role
    assignment = SplitAssignment({piece.split for piece in pieces})
    summaries, bad = _scan(pieces, columns, assignment, config.skip_bad_rows)
    _check_any_rows(config, summaries, bad)
    bad.check()
    rows_of = {split: split for split in SPLITS}  # split -> the assigned split whose rows it reads
    if not summaries["test"].count:
        summaries["test"] = summaries["validation"]
        rows_of["test"] = "validation"
    _check_each_split(config, summaries, bad)
    classes = classes_of(set().union(*(summary.labels for summary in summaries.values())), trained_names)
    if LABEL in roles:
        _check_classes(config, classes)
    splits = {
        split: LocalTexts(pieces, rows_of[split], assignment, columns, classes.numbers, summaries[split])
        for split in SPLITS
    }
    counts = {split: classes.counts(summary.labels) for split, summary in summaries.items()}
    notes = [*bad.notes, *found.notes, *chosen.notes, *quoting_notes(pieces)]
    notes += [*classes.notes, *unequal_classes_notes(classes.names, counts)]
    if rows_of["test"] == "validation":
        notes.append("the validation split is also the test split")
    return LocalDataset(config.name, splits, classes.present_names, tuple(notes), counts if LABEL in roles else {})


def refuse_delimiter(config: DatasetConfig, pieces: Sequence[Piece]) -> None:
    """Refuses a delimiter for files that are no tables.

    Args:
        config: the data set.
        pieces: its files.

    Raises:
        UserError: there is a delimiter, and no table.
    """
    if config.delimiter is not None and not any(piece.read is read_table for piece in pieces):
        raise UserError(f"dataset.delimiter has no meaning for {config.name!r}, which is not a table; leave it out")


def _refuse_splits(config: DatasetConfig) -> None:
    if config.train_split or config.validation_split or config.test_split:
        raise UserError(
            f"dataset.train_split and the like have no meaning for files such as {config.name!r}, which are split by"
            " their names or by hash; leave them out"
        )


def _check_any_rows(config: DatasetConfig, summaries: Mapping[str, "_SplitSummary"], bad: BadRows) -> None:
    if not any(summary.count for summary in summaries.values()):
        why = f" that can be read; the first: {bad.first[0].with_advice}" if bad.first else ""
        raise UserError(f"dataset {config.name!r} has no rows{why}")


def _check_each_split(config: DatasetConfig, summaries: Mapping[str, "_SplitSummary"], bad: BadRows) -> None:
    num_rows = sum(summary.count for summary in set(summaries.values()))  # two splits may share one
    for split in SPLITS:
        if not summaries[split].count:
            noun = "text" if num_rows == 1 else "texts"
            left_out = f"; {bad.report}" if bad.count else ""
            raise UserError(
                f"dataset {config.name!r} has {num_rows} {noun}, none of them for {split}; expected more, or a file"
                f" that is called {split}{left_out}"
            )


def _check_classes(config: DatasetConfig, classes: Classes) -> None:
    if len(classes.present_names) < 2:
        raise UserError(
            f"dataset {config.name!r} has one label, {classes.present_names[0]!r}, expected at least two classes;"
            " choose another column with --label-column"
        )


class LocalTexts:
    """One split of the user's rows, read from the files each time.

    Args:
        pieces: the files.
        split: the rows that are assigned to this split are read.
        assignment: the split of each row.
        columns: role -> column.
        class_numbers: label -> its number.
        summary: what the first pass over the files found in this split.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        split: str,
        assignment: SplitAssignment,
        columns: Mapping[str, str],
        class_numbers: Mapping[str, int],
        summary: "_SplitSummary",
    ):
        self._pieces = pieces
        self._split = split
        self._assignment = assignment
        self._columns = columns
        self._class_numbers = class_numbers
        self.num_examples = summary.count
        digest = summary.digest.copy()
        digest.update(repr(sorted(class_numbers.items())).encode("utf-8", "surrogatepass"))
        self.fingerprint = digest.hexdigest()

    def __iter__(self) -> Iterator[Row]:
        for piece in self._pieces:
            if self._assignment.of_file(piece.split) not in (None, self._split):
                continue  # all rows of this file are in another split
            for row in _rows_of(piece, self._columns):
                if not isinstance(row, BadRow) and _split_of(row, piece, self._assignment) == self._split:
                    yield self._with_class_number(row)

    def _with_class_number(self, row: Mapping[str, str]) -> Row:
        return {role: self._class_numbers[text] if role == LABEL else text for role, text in row.items()}


class _SplitSummary:
    """What the first pass over the files finds in one split."""

    def __init__(self) -> None:
        self.count = 0
        self.labels: Counter[str] = Counter()
        self.digest = hashlib.sha256()

    def add(self, row: Mapping[str, str]) -> None:
        self.count += 1
        self.digest.update("\0".join([*row.values(), ""]).encode("utf-8", "surrogatepass"))
        if LABEL in row:
            self.labels[row[LABEL]] += 1


def _scan(
    pieces: Sequence[Piece], columns: Mapping[str, str], assignment: SplitAssignment, skip_bad_rows: bool
) -> tuple[dict[str, _SplitSummary], BadRows]:
    """One pass over all rows: a summary of each split, and the bad rows."""
    summaries = {split: _SplitSummary() for split in SPLITS}
    bad = BadRows(skip_bad_rows)
    for piece in pieces:
        for row in _rows_of(piece, columns):
            if isinstance(row, BadRow):
                bad.note(row)
            else:
                summaries[_split_of(row, piece, assignment)].add(row)
    return summaries, bad


def _split_of(row: Mapping[str, str], piece: Piece, assignment: SplitAssignment) -> str:
    """The split of one row of a file."""
    return assignment.of_file(piece.split) or assignment.of_sample(piece.split, "\0".join(row.values()))


def _rows_of(piece: Piece, columns: Mapping[str, str]) -> Iterator[dict[str, str] | BadRow]:
    """Role -> text for each row. A row with a missing or empty value is bad."""
    absent = [column for column in columns.values() if column not in piece.columns.names]
    if absent and piece.columns.is_complete:
        # One message, not one for each row.
        has = shown(piece.columns.names)
        num_rows = sum(1 for _ in piece.rows())
        if num_rows:
            yield BadRow(piece.path, None, f"no column {absent[0]!r} in any row; it has {has}", count=num_rows)
        return
    for row_or_bad in piece.rows():
        if isinstance(row_or_bad, BadRow):
            yield row_or_bad
            continue
        line, row = row_or_bad
        bad = _bad_value(piece, line, row, columns)
        yield bad or {role: row[column] for role, column in columns.items()}


def _bad_value(piece: Piece, line: int | None, row: Mapping[str, str], columns: Mapping[str, str]) -> BadRow | None:
    """The first value of a row that cannot be used."""
    for role, column in columns.items():
        if column not in row:
            return BadRow(piece.path, line, f"no {column!r} in it")
        value = row[column]
        bare = value.strip()
        if not bare:
            return BadRow(piece.path, line, f"{column!r} is empty")
        if role == LABEL and bare in _MISSING and piece.label is None:  # a folder may have that name
            return BadRow(piece.path, line, f"{column!r} is {bare!r}, which stands for no value")
        wrong = what_is_wrong(value, piece.options.encoding)
        if wrong:
            return BadRow(piece.path, line, f"{column!r} is {wrong}", ADVICE if wrong.startswith("not") else "")
    return None
