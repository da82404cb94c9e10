"""What the user's files contain, for ``tfdl datasets show``. No TensorFlow is imported."""

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from tfdl.config import TASKS, DatasetConfig
from tfdl.data.files.bad_rows import BadRow
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.missing_header import is_number
from tfdl.data.files.pieces import LABEL, SOURCE, TARGET, Piece, find_pieces
from tfdl.data.files.readers import NUM_SAMPLED, TEXT, read_json_lines
from tfdl.data.files.split_assignment import SPLITS
from tfdl.data.files.tables import read_table
from tfdl.data.files.texts import open_local_texts
from tfdl.data.texts import TextDataset
from tfdl.errors import UserError

# Tasks of texts, in the order in which the rows are counted for them.
_ROLES_OF_TEXTS = ((TEXT, LABEL), (SOURCE, TARGET), (TEXT,))
_FIRST_ROWS = 3


@dataclass
class FilesDescription:
    """What is known of a path."""

    name: str
    kind: str
    """Such as ``images in class folders``."""
    num_files: int
    num_bytes: int
    tasks: dict[str, dict[str, str]] = field(default_factory=dict)
    """Task that can use the files without options -> role -> column."""
    splits: dict[str, int] = field(default_factory=dict)
    """Samples in each split, as training would have them."""
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Class -> split -> number of samples."""
    sizes: str = ""
    """Of images: height and width, or the smallest and the largest of each."""
    columns: dict[str, str] = field(default_factory=dict)
    """Column -> what its values are."""
    first_rows: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was left out, and what would keep a run from starting."""


def describe_texts(config: DatasetConfig) -> FilesDescription:
    """What a table, JSON lines, plain texts or parallel files contain.

    Args:
        config: the path, and how files are read.

    Raises:
        UserError: no such files, or files that cannot be read.
    """
    fitting = _Fitting(config)
    paths = [path for piece in fitting.pieces for path in (piece.path, piece.target) if path is not None]
    description = FilesDescription(
        name=config.name,
        kind=_kind(fitting.pieces[0]),
        num_files=len(paths),
        num_bytes=sum(path.stat().st_size for path in paths),
        tasks=fitting.tasks,
    )
    _add_columns(description, fitting.pieces)
    _count(description, fitting)
    return description


def text_samples(config: DatasetConfig, split: str, count: int) -> list[dict[str, Any]]:
    """The first rows of a split.

    Args:
        config: the path, and how files are read.
        split: ``train``, ``validation`` or ``test``.
        count: most rows.

    Raises:
        UserError: no such split, or no task that the rows fit.
    """
    check_split(split)
    dataset = _Fitting(config).opened()
    samples: list[dict[str, Any]] = []
    for row in itertools.islice(dataset.splits[split], count):
        sample: dict[str, Any] = dict(row)
        if LABEL in row:
            sample[LABEL] = dataset.class_names[int(row[LABEL])]
        samples.append(sample)
    return samples


class _Fitting:
    """The tasks that files fit without options.

    Args:
        config: the path, and how files are read.

    Raises:
        UserError: no such files, or files that cannot be read.
    """

    def __init__(self, config: DatasetConfig):
        self.pieces: list[Piece] = []
        self.tasks: dict[str, dict[str, str]] = {}
        """Task -> role -> column."""
        self._config = replace(config, skip_bad_rows=True)
        self._problems: list[UserError] = []
        for roles in _ROLES_OF_TEXTS:
            try:
                found = find_pieces(config, roles)
                self.pieces = self.pieces or found.files
                columns = dict(choose_columns(found.files, roles, config).by_role)
            except UserError as error:
                self._problems.append(error)
                continue
            for task in TASKS:
                if TASKS[task].roles == roles:
                    self.tasks[task] = columns
        if not self.pieces:
            raise self._problems[0]

    def opened(self) -> TextDataset:
        """The rows, as the first of the tasks would read them; bad rows are left out.

        Raises:
            UserError: there is no such task, or it cannot be trained.
        """
        if not self.tasks:
            raise self._problems[0]
        roles = tuple(next(iter(self.tasks.values())))
        return open_local_texts(self._config, roles)


def check_split(split: str) -> None:
    """Raises ``UserError`` for a split that the user's files do not have."""
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r} of your own files, expected one of {', '.join(SPLITS)}")


def _kind(piece: Piece) -> str:
    if piece.target is not None:
        return "parallel texts"
    if piece.label is not None:
        return "plain texts in class folders"
    if piece.read is read_table:
        return "table"
    return "JSON lines" if piece.read is read_json_lines else "plain texts"


def _count(description: FilesDescription, fitting: _Fitting) -> None:
    """Adds the samples of each split and class, as a run would have them."""
    try:
        dataset = fitting.opened()
    except UserError as error:
        description.notes.append(str(error))
        return
    description.notes += dataset.notes
    for split, rows in dataset.splits.items():
        description.splits[split] = rows.num_examples
        if dataset.class_names:
            counts = Counter(int(row[LABEL]) for row in rows)
            for number, name in enumerate(dataset.class_names):
                description.classes.setdefault(name, {})[split] = counts[number]


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
        f"{distinct:,} different {'value' if distinct == 1 else 'values'} in {num_rows:,} rows",
    ]
    if given and not is_numeric:
        lengths = sorted(map(len, given))
        shortest = "" if lengths[0] == lengths[-1] else f"{lengths[0]:,} to "
        facts.append(f"{shortest}{lengths[-1]:,} characters")
    if len(given) < num_rows:
        facts.append(f"{num_rows - len(given):,} missing")
    return ", ".join(facts)
