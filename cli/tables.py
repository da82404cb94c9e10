"""Tables of metrics and of a classifier's classes, and printing tables."""

from collections.abc import Mapping, Sequence
from typing import Any

# Wider than any table, in characters.
_UNLIMITED_WIDTH = 100_000


def class_table(classes: Mapping[str, Mapping[str, float]]) -> Any:
    """Returns a table with a line for each class: precision, recall, F1 and support.

    Args:
        classes: class name -> score name -> value.
    """
    from rich.markup import escape
    from rich.table import Column, Table

    score_names = next(iter(classes.values()))
    columns = [Column(name, justify="right") for name in score_names]
    table = Table("class", *columns, box=None, pad_edge=False)
    for class_name, scores in classes.items():
        cells = [f"{value:,}" if name == "support" else f"{value:.4f}" for name, value in scores.items()]
        table.add_row(escape(class_name), *cells)
    return table


def confusion_table(class_names: Sequence[str], counts: Sequence[Sequence[int]]) -> Any:
    """Returns a table with a line for each true class and a column for each predicted class; 0 is printed as a dot.

    Args:
        class_names: the names of the classes.
        counts: samples by true class and predicted class, ``(classes, classes)``.
    """
    from rich.markup import escape
    from rich.table import Column, Table

    columns = [Column(escape(name), justify="right") for name in class_names]
    table = Table("label \\ predicted", *columns, box=None, pad_edge=False)
    for row, (class_name, line) in enumerate(zip(class_names, counts, strict=True)):
        cells = [f"{count:,}" if count else "." for count in line]
        cells[row] = f"[bold]{cells[row]}[/bold]"
        table.add_row(escape(class_name), *cells)
    return table


def metrics_table(runs: Sequence[str], metrics: Sequence[Mapping[str, float]]) -> Any:
    """Returns a table with a line for each metric and a column for each run; a metric that a run lacks is empty.

    Args:
        runs: the runs.
        metrics: the metrics of each.
    """
    from rich.markup import escape
    from rich.table import Column, Table

    columns = [Column(escape(run), justify="right") for run in runs]
    table = Table("metric", *columns, box=None, pad_edge=False)
    names = dict.fromkeys(name for values in metrics for name in values)  # each once, in order
    for name in names:
        table.add_row(escape(name), *(f"{values[name]:.6g}" if name in values else "" for values in metrics))
    return table


def print_tables(*tables: Any) -> None:
    """Prints tables, one below the other.

    They are as wide as the terminal. Without a terminal they are as wide as their contents.

    Args:
        *tables: of ``rich``.
    """
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        unlimited = Console(width=_UNLIMITED_WIDTH)
        widths = [unlimited.measure(table).maximum for table in tables]
        console = Console(highlight=False, width=max(widths))
    for table in tables:
        console.print()
        console.print(table)
