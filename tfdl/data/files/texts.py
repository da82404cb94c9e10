"""The user's texts as a data set, in splits that do not depend on the order of the rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfdl.config import DatasetConfig
from tfdl.data.files.bad_rows import BadRows
from tfdl.data.files.columns import choose_columns
from tfdl.data.files.pieces import LABEL, Piece, find_pieces
from tfdl.data.files.quoting_notes import quoting_notes
from tfdl.data.files.split_assignment import SplitAssignment
from tfdl.data.files.stratification import StratifiedSplits
from tfdl.data.files.tables import read_table
from tfdl.data.files.text_splits import LocalTexts, SplitSummary, numbers_by_label, scan
from tfdl.data.hash_split import SPLITS
from tfdl.data.labels import Classes, classes_of, unequal_classes_notes
from tfdl.data.texts import VALIDATION_IS_TEST, TextDataset
from tfdl.errors import UserError


@dataclass(frozen=True)
class LocalDataset(TextDataset):
    """Rows of the user's texts."""

    class_counts: Mapping[str, Counter[int]] = field(default_factory=dict)
    """Split -> class number -> number of rows; empty without the role ``label``."""
    num_bad_rows: int = 0
    """Rows that were left out, since they cannot be used."""


def open_local_texts(config: DatasetConfig, roles: tuple[str, ...], trained_names: Sequence[str] = ()) -> LocalDataset:
    """Reads the files once, to check and count their rows. Afterwards rows are read as they are needed.

    Files and folders that are named after a split (``train.csv``, ``valid/``) belong to that split. All other rows are
    assigned by the hash of their text: 80% train, 10% validation, 10% test. So neither the order of rows nor added rows
    change the split of any other row. If no file is named after the validation split, it is held out of the training
    files by the same hash. If no row is in the test split, the validation split serves as the test split.

    If ``config.stratified`` is set, the files are read once more before, and each class is split by itself.

    Args:
        config: the path of the files, and which of their columns serve as which role.
        roles: ``("text",)``, ``("text", "label")`` or ``("source", "target")``.
        trained_names: the classes of a run that has begun before.

    Raises:
        UserError: no such files, no column for a role, bad rows (unless ``skip_bad_rows`` is set), or ``stratified``
            for rows without a class.
    """
    _refuse_splits(config)
    _refuse_stratified_without_classes(config, roles)
    found = find_pieces(config, roles)
    pieces = found.files
    refuse_delimiter(config, pieces)
    chosen = choose_columns(pieces, roles, config)
    columns = chosen.by_role
    assignment = SplitAssignment({piece.split for piece in pieces})
    if config.stratified:
        assignment = _stratified(pieces, columns, assignment, config.exact_labels, trained_names)
    summaries, bad = scan(pieces, columns, assignment, config.skip_bad_rows)
    _check_any_rows(config, summaries, bad)
    bad.check()
    rows_of = {split: split for split in SPLITS}  # split -> the assigned split whose rows it reads
    if not summaries["test"].count:
        summaries["test"] = summaries["validation"]
        rows_of["test"] = "validation"
    _check_each_split(config, summaries, bad, can_be_stratified=LABEL in roles and not config.stratified)
    labels = set().union(*(summary.labels for summary in summaries.values()))
    classes = classes_of(labels, trained_names, exact=config.exact_labels)
    if LABEL in roles:
        _check_classes(config, classes)
    splits = {
        split: LocalTexts(pieces, rows_of[split], assignment, columns, classes.numbers, summaries[split])
        for split in SPLITS
    }
    counts = {split: classes.counts(summary.labels) for split, summary in summaries.items()}
    notes = [*bad.notes, *found.notes, *chosen.notes, *quoting_notes(pieces)]
    by_content = frozenset() if config.stratified else assignment.splits_by_content
    notes += [*classes.notes, *unequal_classes_notes(classes.names, counts, by_content)]
    if rows_of["test"] == "validation":
        notes.append(VALIDATION_IS_TEST)
    shown_counts = counts if LABEL in roles else {}
    return LocalDataset(config.name, splits, classes.present_names, tuple(notes), shown_counts, bad.count)


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


def _refuse_stratified_without_classes(config: DatasetConfig, roles: tuple[str, ...]) -> None:
    if config.stratified and LABEL not in roles:
        raise UserError(
            f"dataset.stratified splits each class of {config.name!r} by itself, but a sample of {' and '.join(roles)}"
            " has no class; leave it out"
        )


def _stratified(
    pieces: Sequence[Piece],
    columns: Mapping[str, str],
    assignment: SplitAssignment,
    exact_labels: bool,
    trained_names: Sequence[str],
) -> SplitAssignment:
    """The assignment by which each class has its share of every split."""
    numbers, labels = numbers_by_label(pieces, columns, assignment)
    classes = classes_of(labels, trained_names, exact=exact_labels)
    return assignment.by(StratifiedSplits(numbers.merged(classes.name_of_label)).of_number)


def _check_any_rows(config: DatasetConfig, summaries: Mapping[str, SplitSummary], bad: BadRows) -> None:
    if not any(summary.count for summary in summaries.values()):
        why = f" that can be read; the first: {bad.first[0].with_advice}" if bad.first else ""
        raise UserError(f"dataset {config.name!r} has no rows{why}")


def _check_each_split(
    config: DatasetConfig, summaries: Mapping[str, SplitSummary], bad: BadRows, *, can_be_stratified: bool
) -> None:
    num_rows = sum(summary.count for summary in set(summaries.values()))  # two splits may share one
    for split in SPLITS:
        if not summaries[split].count:
            noun = "text" if num_rows == 1 else "texts"
            left_out = f"; {bad.report}" if bad.count else ""
            option = ", or --stratified" if can_be_stratified else ""
            rule = " (a blank line ends a text)" if config.name.endswith(".txt") else ""
            raise UserError(
                f"dataset {config.name!r} has {num_rows} {noun}{rule}, none of them for {split}; expected more, or a"
                f" file that is called {split}{option}{left_out}"
            )


def _check_classes(config: DatasetConfig, classes: Classes) -> None:
    if len(classes.present_names) < 2:
        raise UserError(
            f"dataset {config.name!r} has one label, {classes.present_names[0]!r}, expected at least two classes;"
            " choose another column with --label-column"
        )
