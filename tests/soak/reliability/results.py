"""Results of a soak program: a Markdown table for docs/reliability.md, and JSON with everything that was noted."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that all programs have."""
    parser.add_argument(
        "--seed", type=int, default=0, help="of all random moments and places; the same one repeats them"
    )
    parser.add_argument("--json", type=Path, help="a file that gets all that was noted")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as a Markdown table.

    Args:
        rows: column -> value; a number is shown as it is.
    """
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row[column]) for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(rows: Sequence[Mapping[str, Any]], notes: Any, options: argparse.Namespace) -> None:
    """Prints a table, and writes what was noted.

    Args:
        rows: of the table.
        notes: for the JSON file.
        options: has ``json`` and ``seed``.
    """
    print(table(rows), flush=True)
    if options.json is not None:
        content = {"options": {name: str(value) for name, value in vars(options).items()}, "rows": rows, "notes": notes}
        options.json.write_text(json.dumps(content, indent=1, default=str) + "\n")
