"""Which column of the user's files is the text, the label, the source or the target."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.missing_header import advice_about_header
from tfdl.data.files.pieces import LABEL, SOURCE, TARGET, Piece
from tfdl.data.files.readers import NUM_SAMPLED, TEXT
from tfdl.data.files.rows import GoodRow
from tfdl.data.files.tables import read_table
from tfdl.data.labels import is_number, shown
from tfdl.errors import UserError, nearest

# A column with more different values than this, most of them different, has no classes.
_FEW_VALUES = 20
# Files whose first line is compared with the rows below it.
_MOST_FILES = 10


@dataclass(frozen=True)
class ChosenColumns:
    """The column of each role."""

    by_role: Mapping[str, str]
    notes: tuple[str, ...] = ()
    """Lines about columns that the user did not name."""


def choose_columns(pieces: Sequence[Piece], roles: tuple[str, ...], config: DatasetConfig) -> ChosenColumns:
    """The column that the user chose for a role, or the column of the role's name, or the only column left.

    Args:
        pieces: the files.
        roles: what a row consists of.
        config: the columns that the user chose.

    Raises:
        UserError: no such column, several that it may be, or several of that name.
    """
    choice = _Choice(pieces, config)
    if pieces[0].target is None:  # parallel files have no columns; the options are their endings
        for role in roles:
            choice.take_chosen(role, config.columns.get(role))
    for role in roles:
        choice.take_by_name(role)
    for role in roles:
        choice.take_only_one_left(role)
    choice.check()
    return ChosenColumns({role: choice.columns[role] for role in roles}, tuple(choice.notes))


class _Choice:
    """Columns that are chosen one after the other.

    Args:
        pieces: the files.
        config: the data set.
    """

    def __init__(self, pieces: Sequence[Piece], config: DatasetConfig):
        self.columns: dict[str, str] = {}
        self.notes: list[str] = []
        self._pieces = pieces
        self._where = str(pieces[0].path) if len(pieces) == 1 else config.name
        self._known: dict[str, None] = {}  # a set in the order of insertion
        for piece in pieces:
            self._known.update(dict.fromkeys((*piece.columns.names, *piece.columns.repeated)))
        if not self._known:
            if any(not isinstance(row, BadRow) for row in self._rows()):
                raise UserError(
                    f"dataset {config.name!r} has no column of texts, numbers or classes, expected one; lists and"
                    " nested values are not read, nor bytes that are no text"
                )
            raise UserError(f"dataset {config.name!r} has no rows{self._first_bad_row()}")

    def take_chosen(self, role: str, column: str | None) -> None:
        """Takes the column that the user chose, if any."""
        if column is None:
            return
        if column not in self._known and not self._occurs_later(column):
            message = f"--{role}-column {column!r}, but {self._where} has the columns {shown(list(self._known))}."
            message += nearest(column, self._known)
            advice = self._advice()
            if advice:
                message += f" {advice}"
            raise UserError(message)
        self.columns[role] = column

    def take_by_name(self, role: str) -> None:
        """Takes the column that is called as the role is; small and capital letters are one if there is only one."""
        if role in self.columns:
            return
        if role in self._known:
            self.columns[role] = role
            return
        alike = [column for column in self._left() if column.strip().lower() == role]
        if len(alike) == 1:
            self._guess(role, alike[0])

    def take_only_one_left(self, role: str) -> None:
        """Takes the only column that no other role has."""
        if role in self.columns:
            return
        left = self._left()
        in_all_files = [column for column in left if all(column in piece.columns.names for piece in self._pieces)]
        candidates = in_all_files or left
        if len(candidates) != 1:
            raise self._open_question(role, self._has())
        (column,) = candidates
        reason = self._why_not(role, column)
        if reason:
            raise self._open_question(role, f"The only column left, {column!r}, {reason}")
        if self._advice():
            raise self._open_question(role, self._has())
        self._guess(role, column)

    def check(self) -> None:
        """Refuses a name that several columns have, and one column for two roles."""
        roles_of: dict[str, str] = {}
        for role, column in self.columns.items():
            if column in roles_of:
                raise UserError(
                    f"--{roles_of[column]}-column and --{role}-column are both {column!r}, expected two columns"
                )
            roles_of[column] = role
            for piece in self._pieces:
                if column in piece.columns.repeated:
                    raise UserError(
                        f"{piece.path} has several columns that are called {column!r}, which is the {role}; expected"
                        " one: rename the others"
                    )

    def _occurs_later(self, column: str) -> bool:
        """Whether a row has the column that is not among the first rows of its file."""
        unfinished = [piece for piece in self._pieces if not piece.columns.is_complete]
        rows = itertools.chain.from_iterable(piece.rows() for piece in unfinished)
        return any(not isinstance(row, BadRow) and column in row[1] for row in rows)

    def _has(self) -> str:
        """The columns, for a message."""
        known = shown(list(self._known))
        if all(piece.columns.is_complete for piece in self._pieces):
            return f"It has {known}"
        return f"Its first {NUM_SAMPLED:,} rows have {known}"

    def _left(self) -> list[str]:
        taken = set(self.columns.values())
        return [column for column in self._known if column not in taken]

    def _guess(self, role: str, column: str) -> None:
        self.columns[role] = column
        self.notes.append(f"taken for the {role}: the column {column!r} (choose another with --{role}-column)")

    def _open_question(self, role: str, facts: str) -> UserError:
        advice = self._advice()
        if advice:
            return UserError(f"{advice}, or choose with --{role}-column NAME")
        has_table = any(piece.read is read_table for piece in self._pieces)
        hint = ", or add a line that names the columns, if line 1 is a row" if has_table and not self.columns else ""
        return UserError(
            f"which column of {self._where} is the {role}? {facts}; choose with --{role}-column NAME{hint}"
        )

    def _why_not(self, role: str, column: str) -> str:
        """Why the only column left is unlikely to be meant."""
        values = self._sample(column)
        distinct = len(set(values))
        if role == LABEL and distinct > max(_FEW_VALUES, len(values) / 2):
            return f"has {distinct:,} different values in {len(values):,} rows, so it has no classes"
        if role in (TEXT, SOURCE, TARGET) and column.strip().lower() == LABEL:
            return "is called as labels are"
        if role in (TEXT, SOURCE, TARGET) and values and all(map(is_number, values)):
            return "has numbers, not texts"
        return ""

    def _first_bad_row(self) -> str:
        """The first row that cannot be used, for a message; empty if there is none."""
        bad = next((row for row in self._rows() if isinstance(row, BadRow)), None)
        return f" that can be read; the first: {bad.with_advice}" if bad else ""

    def _rows(self) -> Iterator[GoodRow | BadRow]:
        return itertools.chain.from_iterable(piece.rows() for piece in self._pieces)

    def _sample(self, column: str) -> list[str]:
        sample = itertools.islice(self._rows(), NUM_SAMPLED)
        return [row[1][column] for row in sample if not isinstance(row, BadRow) and column in row[1]]

    def _advice(self) -> str:
        """What to do if a file's first line does not name its columns."""
        return next(filter(None, map(advice_about_header, self._pieces[:_MOST_FILES])), "")
