"""The table of ``tfdl runs``, in the columns that fit into the terminal."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tfdl.cli.cells import count, duration, metric, moment, printable

# Between two columns.
_GAP = 2
# What a run's name may take of the terminal before it is folded.
_MOST_OF_WIDTH = 0.45
_SHORTEST_NAME = 20
# Characters of a reason that are worth a column.
_SHORTEST_REASON = 30
# Reasons that are printed below a table that has no room for them.
_MOST_REASONS = 20
# A whole number from here on has a limited width.
_LONG_NUMBER = 10**15
# Wider than any table, in characters.
_UNLIMITED_WIDTH = 100_000


@dataclass(frozen=True)
class Column:
    """A column: its title, the name of its value in a ``ListedRun``, and how the value is shown."""

    title: str
    name: str
    show: Callable[[Any], str] = printable
    is_number: bool = False


_COLUMNS = (
    Column("run", "run"),
    Column("state", "state"),
    Column("model", "model"),
    Column("task", "task"),
    Column("dataset", "dataset"),
    Column("epochs", "epochs", count, is_number=True),
    Column("steps", "steps", count, is_number=True),
    Column("metric", "metric"),
    Column("validation", "validation", metric, is_number=True),
    Column("test", "test", metric, is_number=True),
    Column("parameters", "parameters", count, is_number=True),
    Column("ranks", "world_size", count, is_number=True),
    Column("time", "wall_seconds", duration, is_number=True),
    Column("started", "started", moment),
    Column("changed", "changed", moment),
)
# A narrow terminal gets as many of them as fit, the first ones first, after the run, its state and what is sorted by.
_BY_IMPORTANCE = (
    "test", "metric", "validation", "steps", "wall_seconds", "started", "model", "dataset", "epochs", "parameters",
    "task", "world_size", "changed",
)  # fmt: skip


@dataclass
class _Filled:
    """A column with the texts of all runs."""

    column: Column
    texts: list[str]
    width: int
    """In characters of the terminal."""


def run_page(runs: Sequence[Any], sorted_by: str = "", width: int | None = None) -> str:
    """Returns the table, and below it what it has no room for.

    Rich's tables would take longer for a thousand runs than reading their files.

    Args:
        runs: ``ListedRun`` objects, at least one.
        sorted_by: the name of a value that is shown whatever the width; empty for none.
        width: of the page in characters; by default that of the terminal, and without a terminal no limit.
    """
    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNLIMITED_WIDTH
    filled = _filled_columns(runs, sorted_by, width)
    fitting = _fitting(filled, sorted_by, width)
    reasons = [printable(run.reason) for run in runs]
    room = width - _used(fitting) - _GAP
    has_reasons = any(reasons) and room >= _SHORTEST_REASON
    lines = _table(fitting, reasons, room) if has_reasons else _table(fitting)
    notes = [] if has_reasons else _reason_lines(runs, reasons)
    hidden = [each.column.title for each in filled if each not in fitting]
    if hidden:
        notes.append(f"Not shown: {', '.join(hidden)} (a wider terminal or --json has them)")
    if notes:
        lines += ["", *notes]
    return "\n".join(lines) + "\n"


def chosen_page(runs: Sequence[Any], names: Sequence[str]) -> str:
    """Returns a table with these columns, whatever the width of the terminal. A run without a value has a dash.

    Args:
        runs: ``ListedRun`` objects, at least one.
        names: of the columns, for ``ListedRun.value``.
    """
    from rich.cells import cell_len

    known = {column.name: column for column in _COLUMNS}
    filled = []
    for name in names:
        is_number = all(isinstance(run.value(name), int | float | None) for run in runs)
        column = known.get(name, Column(printable(name), name, _any_value, is_number))
        values = [run.value(name) for run in runs]
        texts = ["-" if value is None else column.show(value) for value in values]
        filled.append(_Filled(column, texts, max(map(cell_len, [column.title, *texts]))))
    return "\n".join(_table(filled)) + "\n"


def _filled_columns(runs: Sequence[Any], sorted_by: str, width: int) -> list[_Filled]:
    """The columns in which some run has a value."""
    from rich.cells import cell_len

    columns = list(_COLUMNS)
    if sorted_by not in ("", "reason", *(column.name for column in columns)):
        columns.append(Column(printable(sorted_by), sorted_by, _any_value, is_number=True))
    filled = []
    for column in columns:
        values = [run.value(column.name) for run in runs]
        texts = ["" if value is None else column.show(value) for value in values]
        natural_width = max(map(cell_len, [column.title, *texts]))
        if column.name == "run":
            natural_width = min(natural_width, max(_SHORTEST_NAME, int(width * _MOST_OF_WIDTH)))
        if any(texts):
            filled.append(_Filled(column, texts, natural_width))
    return filled


def _fitting(filled: Sequence[_Filled], sorted_by: str, width: int) -> list[_Filled]:
    """The columns that fit side by side, in the order of the table."""
    order = ["run", "state", sorted_by, *_BY_IMPORTANCE]
    fitting: list[_Filled] = []
    for each in sorted(filled, key=lambda each: order.index(each.column.name)):
        is_needed = each.column.name in order[:3]
        if is_needed or _used([*fitting, each]) <= width:
            fitting.append(each)
    return [each for each in filled if each in fitting]


def _used(columns: Sequence[_Filled]) -> int:
    """Characters that columns take side by side."""
    return sum(each.width + _GAP for each in columns) - _GAP


def _table(columns: Sequence[_Filled], reasons: Sequence[str] = (), room: int = 0) -> list[str]:
    """The lines of the table: titles, and at least one line for each run.

    Args:
        columns: that are shown.
        reasons: of the runs, for the last column; none for no such column.
        room: for a reason, in characters.
    """
    titles = [each.column.title for each in columns]
    title_line = _row(columns, titles)[0]
    lines = [f"{title_line}{' ' * _GAP}reason" if reasons else title_line]
    for number, texts in enumerate(zip(*(each.texts for each in columns), strict=True)):
        row = _row(columns, texts)
        if reasons:
            row[0] += " " * _GAP + _cut(reasons[number], room)
        lines += row
    return [line.rstrip() for line in lines]


def _row(columns: Sequence[_Filled], texts: Sequence[str]) -> list[str]:
    """The lines of one row. A name that is too long is folded rather than cut: it can be copied as a whole."""
    from rich.cells import chop_cells

    name, *more_of_name = chop_cells(texts[0], columns[0].width) or [""]
    cells = [_aligned(each, text) for each, text in zip(columns, [name, *texts[1:]], strict=True)]
    return [(" " * _GAP).join(cells), *more_of_name]


def _aligned(filled: _Filled, text: str) -> str:
    from rich.cells import cell_len

    spaces = " " * (filled.width - cell_len(text))
    return spaces + text if filled.column.is_number else text + spaces


def _cut(text: str, room: int) -> str:
    """A text that ends with an ellipsis if it is longer than the room, in characters."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…"


def _reason_lines(runs: Sequence[Any], reasons: Sequence[str]) -> list[str]:
    """A line for each run that has a reason; the first few of them."""
    lines = [f"{printable(run.run)}: {reason}" for run, reason in zip(runs, reasons, strict=True) if reason]
    num_more = len(lines) - _MOST_REASONS
    if num_more > 0:
        lines[_MOST_REASONS:] = [f"... and {num_more:,} more (--json has all of them)"]
    return lines


def _any_value(value: Any) -> str:
    if isinstance(value, float):
        # Four digits after the point would make a small learning rate 0.
        return metric(value) if abs(value) >= 0.01 else f"{value:g}"
    if isinstance(value, int) and abs(value) >= _LONG_NUMBER:
        return count(value)
    return printable(str(value))
