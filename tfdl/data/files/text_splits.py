"""One split of the user's texts: rows of roles, and the first pass over them."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tfdl.data.files.bad_rows import BadRow, BadRows
from tfdl.data.files.encodings import ADVICE, what_is_wrong
from tfdl.data.files.pieces import LABEL, Piece
from tfdl.data.files.split_assignment import SplitAssignment
from tfdl.data.files.stratification import ClassNumbers
from tfdl.data.hash_split import SPLITS, add_text, content_number
from tfdl.data.labels import shown, stands_for_no_label
from tfdl.data.texts import Row


class SplitSummary:
    """What the first pass over the files finds in one split."""

    def __init__(self) -> None:
        self.count = 0
        """Of rows."""
        self.labels: Counter[str] = Counter()
        """The number of rows of each label, as it is written."""
        self.digest = hashlib.sha256()

    def add(self, row: Mapping[str, str]) -> None:
        """Counts a row."""
        self.count += 1
        for value in row.values():
            add_text(self.digest, value)
            self.digest.update(b"\0")
        if LABEL in row:
            self.labels[row[LABEL]] += 1


def scan(
    pieces: Sequence[Piece], columns: Mapping[str, str], assignment: SplitAssignment, skip_bad_rows: bool
) -> tuple[dict[str, SplitSummary], BadRows]:
    """One pass over all rows.

    Args:
        pieces: the files.
        columns: role -> column.
        assignment: the split of each row.
        skip_bad_rows: whether bad rows are left out.

    Returns:
        A summary of each split, and the bad rows.
    """
    summaries = {split: SplitSummary() for split in SPLITS}
    bad = BadRows(skip_bad_rows)
    for piece in pieces:
        for row in _rows_of(piece, columns):
            if isinstance(row, BadRow):
                bad.note(row)
            else:
                summaries[_split_of(row, piece, assignment)].add(row)
    return summaries, bad


def numbers_by_label(
    pieces: Sequence[Piece], columns: Mapping[str, str], assignment: SplitAssignment
) -> tuple[ClassNumbers, set[str]]:
    """One pass over all rows with labels, before their splits are known.

    Args:
        pieces: the files.
        columns: role -> column.
        assignment: tells which rows are assigned to splits one by one.

    Returns:
        The numbers of these rows by label, and the labels of all rows, as they are written.
    """
    numbers = ClassNumbers()
    labels: set[str] = set()
    for piece in pieces:
        is_counted = assignment.of_file(piece.split) is None
        for row in _rows_of(piece, columns):
            if isinstance(row, BadRow):
                continue
            labels.add(row[LABEL])
            if is_counted:
                numbers.add(row[LABEL], content_number(_content(row)), is_for_training=piece.split == "train")
    return numbers, labels


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
        summary: SplitSummary,
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


def _split_of(row: Mapping[str, str], piece: Piece, assignment: SplitAssignment) -> str:
    """The split of one row of a file."""
    return assignment.of_file(piece.split) or assignment.of_sample(piece.split, _content(row))


def _content(row: Mapping[str, str]) -> str:
    """What decides the split of a row."""
    return "\0".join(row.values())


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
        if role == LABEL and stands_for_no_label(value) and piece.label is None:  # a folder may have that name
            return BadRow(piece.path, line, f"{column!r} is {bare!r}, which stands for no value")
        wrong = what_is_wrong(value, piece.options.encoding)
        if wrong:
            return BadRow(piece.path, line, f"{column!r} is {wrong}", ADVICE if wrong.startswith("not") else "")
    return None
