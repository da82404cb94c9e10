"""What ``tfdl evaluate`` found of each class, as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

_UNLIMITED = 100_000  # characters


def class_table(classes: Mapping[str, Mapping[str, float]]) -> Any:
    """A line for each class: precision, recall, F1 and support."""
    from rich.markup import escape
    from rich.table import Column, Table

    names = list(next(iter(classes.values())))
    table = Table("class", *(Column(name, justify="right") for name in names), box=None, pad_edge=False)
    for class_name, scores in classes.items():
        shown = [f"{value:,}" if name == "support" else f"{value:.4f}" for name, value in scores.items()]
        table.add_row(escape(class_name), *shown)
    return table


def confusion_table(class_names: Sequence[str], counts: Sequence[Sequence[int]]) -> Any:
    """A line for each true class, a column for each predicted one; a dot for none."""
    from rich.markup import escape
    from rich.table import Column, Table

    columns = [Column(escape(name), justify="right") for name in class_names]
    table = Table("label \\ predicted", *columns, box=None, pad_edge=False)
    for row, (class_name, line) in enumerate(zip(class_names, counts, strict=True)):
        cells = [f"{count:,}" if count else "." for count in line]
        cells[row] = f"[bold]{cells[row]}[/bold]"
        table.add_row(escape(class_name), *cells)
    return table


def print_tables(*tables: Any) -> None:
    """One under the other; as wide as the terminal, and on a pipe as wide as they need."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        room = Console(width=_UNLIMITED)
        console = Console(highlight=False, width=max(room.measure(table).maximum for table in tables))
    for table in tables:
        console.print()
        console.print(table)
