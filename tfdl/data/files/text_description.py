"""What the user's files of texts contain, for ``tfdl datasets show``. No TensorFlow is imported."""

import itertools
from dataclasses import replace
from typing import Any

from tfdl.config import TASKS, DatasetConfig
from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.description import FilesDescription
from tfdl.data.files.pieces import LABEL, SOURCE, TARGET, Piece, find_pieces
from tfdl.data.files.readers import NUM_SAMPLED, TEXT, read_json, read_json_lines
from tfdl.data.files.tables import read_table
from tfdl.data.files.texts import LocalDataset, open_local_texts, refuse_delimiter
from tfdl.data.labels import is_number
from tfdl.data.records.endings import kind_of
from tfdl.data.records.texts import read_record_texts
from tfdl.errors import UserError

# Tasks of texts, in the order in which the rows are counted for them.
_ROLES_OF_TEXTS = ((TEXT, LABEL), (SOURCE, TARGET), (TEXT,))
_FIRST_ROWS = 3


class DescribedTexts:
    """What a table, JSON lines, plain texts or parallel files contain. Their rows are counted in one pass.

    Args:
        config: the path, and how files are read.

    Raises:
        UserError: no such files, files that cannot be read, or a delimiter without a table.
    """

    def __init__(self, config: DatasetConfig):
        fitting = _Fitting(config)
        refuse_delimiter(config, fitting.pieces)
        self._dataset = fitting.opened()
        self._problems = fitting.problems
        paths = [path for piece in fitting.pieces for path in (piece.path, piece.target) if path is not None]
        self.description = FilesDescription(
            name=config.name,
            kind=_kind(fitting.pieces[0]),
            num_files=len(paths),
            num_bytes=sum(path.stat().st_size for path in paths),
            tasks=fitting.tasks,
            notes=list(dict.fromkeys(map(str, fitting.problems))),
        )
        _add_columns(self.description, fitting.pieces)
        if self._dataset is not None:
            _add_counts(self.description, self._dataset)

    def samples(self, split: str, count: int) -> list[dict[str, Any]]:
        """The first rows of a split.

        Args:
            split: ``train``, ``validation`` or ``test``.
            count: most rows.

        Raises:
            UserError: no task that the rows fit.
        """
        if self._dataset is None:
            raise self._problems[0]
        samples: list[dict[str, Any]] = []
        for row in itertools.islice(self._dataset.splits[split], count):
            sample: dict[str, Any] = dict(row)
            if LABEL in row:
                sample[LABEL] = self._dataset.class_names[int(row[LABEL])]
            samples.append(sample)
        return samples


class _Fitting:
    """The tasks that files fit, with the columns that the user chose.

    Args:
        config: the path, and how files are read.

    Raises:
        UserError: no such files, or files that cannot be read.
    """

    def __init__(self, config: DatasetConfig):
        self.pieces: list[Piece] = []
        self.tasks: dict[str, dict[str, str]] = {}
        """Task -> role -> column."""
        self.problems: list[UserError] = []
        """Why the files fit no task, or cannot be trained with."""
        self._config = replace(config, skip_bad_rows=True)
        unfit: list[tuple[tuple[str, ...], UserError]] = []
        for roles in _ROLES_OF_TEXTS:
            try:
                found = find_pieces(config, roles)
                # The same files, whose columns are known from the roles before.
                files = self.pieces if found.files == self.pieces else found.files
                self.pieces = self.pieces or files
                columns = dict(choose_columns(files, roles, config).by_role)
            except UserError as error:
                unfit.append((roles, error))
                continue
            for task in TASKS:
                if TASKS[task].roles == roles:
                    self.tasks[task] = columns
        if not self.pieces:
            raise unfit[0][1]
        if not self.tasks:
            # The user chose columns of these roles.
            chosen = [error for roles, error in unfit if set(roles) & set(config.columns)]
            self.problems = [*chosen, *(error for _, error in unfit)][:1]

    def opened(self) -> LocalDataset | None:
        """The rows as the first task that they can be trained for reads them; bad rows are left out.

        Tasks that they cannot be trained for are removed.
        """
        while self.tasks:
            roles = tuple(next(iter(self.tasks.values())))
            try:
                return open_local_texts(self._config, roles)
            except UserError as error:
                self.problems.append(error)
                self.tasks = {task: columns for task, columns in self.tasks.items() if tuple(columns) != roles}
        return None


def _kind(piece: Piece) -> str:
    if piece.target is not None:
        return "parallel texts"
    if piece.label is not None:
        return "plain texts in class folders"
    if piece.read is read_table:
        return "table"
    if piece.read is read_record_texts:
        return kind_of(piece.path)
    if piece.read is read_json:
        return "JSON"
    return "JSON lines" if piece.read is read_json_lines else "plain texts"


def _add_counts(description: FilesDescription, dataset: LocalDataset) -> None:
    """Adds the samples of each split and class, as a run would have them."""
    description.notes += dataset.notes
    description.note_bad_rows(dataset.num_bad_rows)
    for split, rows in dataset.splits.items():
        description.splits[split] = rows.num_examples
        if dataset.class_counts:
            for number, name in enumerate(dataset.class_names):
                description.classes.setdefault(name, {})[split] = dataset.class_counts[split][number]


def _add_columns(description: FilesDescription, pieces: list[Piece]) -> None:
    """Adds the columns and the first rows."""
    all_rows = itertools.chain.from_iterable(piece.rows() for piece in pieces)
    sample = itertools.islice(all_rows, NUM_SAMPLED)
    rows = [row[1] for row in sample if not isinstance(row, BadRow)]
    description.first_rows = rows[:_FIRST_ROWS]
    names = dict.fromkeys(name for row in rows for name in row)
    for name in names:
        values = [row[name] for row in rows if name in row]
        description.columns[name] = _facts(values, len(rows))


def _facts(values: list[str], num_rows: int) -> str:
    """What the values of a column are: their type, their number, and how many are missing."""
    given = [value for value in values if value.strip()]
    distinct = len(set(given))
    is_numeric = bool(given) and all(map(is_number, given))
    facts = [
        "numbers" if is_numeric else "texts",
        f"{_counted(distinct, 'different value')} in {_counted(num_rows, 'row')}",
    ]
    if given and not is_numeric:
        lengths = sorted(map(len, given))
        shortest = "" if lengths[0] == lengths[-1] else f"{lengths[0]:,} to "
        facts.append(f"{shortest}{_counted(lengths[-1], 'character')}")
    if len(given) < num_rows:
        facts.append(f"{num_rows - len(given):,} missing")
    return ", ".join(facts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
