"""What ``tfdl datasets`` prints."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tfdl.cli.tables import print_tables

# The most characters of a text, and the most names of classes or configurations, that are printed.
_MOST_CHARACTERS = 600
_MOST_NAMES = 20


def listing(root: Path, everything: bool) -> dict[str, Any]:
    """Returns the lists of data sets, for JSON and for the page.

    Args:
        root: the folder of prepared data sets.
        everything: whether to list every name of TFDS, which imports TFDS.
    """
    from tfdl.data.tfds.known_sets import TFDS_SETS, declared_sets
    from tfdl.data.tfds.prepared import prepared_sets

    prepared = prepared_sets(root)
    lists: dict[str, Any] = {
        "data_dir": str(root),
        "prepared": {
            dataset.name: {"path": str(dataset.path), "splits": dataset.splits, "bytes": dataset.bytes_on_disk}
            for dataset in prepared
        },
        "embedded": [_entry(known, prepared) for known in declared_sets()],
        "tfds": [_entry(known, prepared) for known in TFDS_SETS],
    }
    if everything:
        import tensorflow_datasets as tfds

        lists["all"] = tfds.list_builders(with_community_datasets=False)
    return lists


def _entry(known: Any, prepared: Sequence[Any]) -> dict[str, Any]:
    """A known data set, with the names of its prepared versions."""
    return {
        "name": known.name,
        "task": known.task,
        "about": known.about,
        "download_bytes": known.download_bytes,
        "by_hand": known.by_hand,
        "needs_beam": known.beam,
        "prepared": [dataset.name for dataset in prepared if dataset.name.startswith(f"{known.name}/")],
    }


def list_page(lists: dict[str, Any]) -> None:
    """Prints the lists as tables.

    Args:
        lists: from ``listing``.
    """
    if "all" in lists:
        names = lists["all"]
        click.echo(_columns(names) if sys.stdout.isatty() else "\n".join(names))
        return
    prepared = lists["prepared"]
    click.echo("tfdl's own, made on this machine from installed packages:")
    print_tables(_table(lists["embedded"], prepared))
    click.echo("\nWell known in TFDS:")
    print_tables(_table(lists["tfds"], prepared))
    names_in_tables = {name for entry in (*lists["embedded"], *lists["tfds"]) for name in entry["prepared"]}
    others = [name for name in prepared if name not in names_in_tables]
    if others:
        click.echo(f"\nAlso prepared in {lists['data_dir']}:")
        for name in others:
            click.echo(f"  {name}  {size(prepared[name]['bytes'])}")
    click.echo(
        f"\nPrepared sets are in {lists['data_dir']}. More about one: tfdl datasets show NAME. Every name: --all"
    )


def _table(entries: list[dict[str, Any]], prepared: dict[str, Any]) -> Any:
    from rich.table import Column, Table

    table = Table("name", "task", "what it is", Column("download", justify="right"), "here", box=None, pad_edge=False)
    for entry in entries:
        sizes = [prepared[name]["bytes"] for name in entry["prepared"]]
        here = f"yes, {size(sum(sizes))}" if sizes else ""
        table.add_row(entry["name"], entry["task"], entry["about"], _download(entry), here)
    return table


def _download(entry: dict[str, Any]) -> str:
    """How much is downloaded, or what the preparation needs besides."""
    if entry["by_hand"]:
        return "by hand"
    if entry["needs_beam"]:
        return "apache-beam"
    if entry["download_bytes"]:
        return size(entry["download_bytes"])
    return ""


def show_page(description: Any, name: str) -> None:
    """Prints a data set's page.

    Args:
        description: a ``DatasetDescription``.
        name: the name that the user gave.
    """
    click.echo(f"{description.name}\n")
    click.echo("\n\n".join(map(_paragraph, description.about.split("\n\n"))))
    click.echo()
    rows = _rows(description, name)
    width = max(map(len, rows))
    for key, value in rows.items():
        for number, line in enumerate(value.splitlines()):
            label = key if number == 0 else ""
            click.echo(f"{label:{width}}  {line}")
    if description.citation:
        click.echo(f"\n{description.citation}")


def _paragraph(text: str) -> str:
    """Fills a paragraph to 100 characters a line, unless it is code, a list or a table."""
    is_preformatted = "```" in text or any(line.startswith((" ", "-", "*", "|")) for line in text.splitlines())
    return text if is_preformatted else textwrap.fill(text, 100)


def _rows(description: Any, name: str) -> dict[str, str]:
    """The facts of a page by their labels; facts that are not known are left out."""
    tasks = [f"{task}  ({roles_text(keys)})" for task, keys in description.tasks.items()]
    splits = [f"{split}  {count:,}" for split, count in description.splits.items()]
    features = [f"{key}  {kind}" for key, kind in description.features.items()]
    rows = {
        "tasks": "\n".join(tasks) or "none with its features as they are; choose columns: tfdl train --help",
        "splits": "\n".join(splits) or "known when it is prepared",
        "features": "\n".join(features),
        **{f"classes of {key}": _names(names) for key, names in description.classes.items()},
        "configurations": _names(description.configurations),
        "here": _location(description, name),
        "download": size(description.download_bytes) if description.download_bytes else "",
        "by hand": textwrap.fill(description.files_by_hand or "", 90),
        "licence": textwrap.fill(description.license or "unknown; see its homepage", 90),
        "homepage": description.homepage or "",
        **{f"its {key}": str(value) for key, value in description.metadata.items()},
    }
    return {key: value for key, value in rows.items() if value}


def roles_text(keys: dict[str, str]) -> str:
    """Returns the features of a task's roles: ``image, label``, or ``source: de, target: en``.

    Args:
        keys: role -> feature.
    """
    return ", ".join(role if role == key else f"{role}: {key}" for role, key in keys.items())


def _location(description: Any, name: str) -> str:
    if description.is_prepared:
        return f"yes, {size(description.prepared_bytes)} in {description.path}"
    return f"no, it would be in {description.path}: tfdl datasets prepare {name}"


def samples_page(rows: list[dict[str, Any]], are_drawn: bool) -> None:
    """Prints samples, one below the other.

    Args:
        rows: a sample each: feature -> value.
        are_drawn: whether their images are drawn to a file.
    """
    import numpy as np

    for number, row in enumerate(rows):
        click.echo(f"\nsample {number}")
        for key, value in row.items():
            if isinstance(value, np.ndarray):
                shape = "x".join(map(str, value.shape))
                advice = "" if are_drawn else " (draw it: --output FILE.png)"
                shown = f"image of {shape}{advice}"
            else:
                shown = _text(str(value))
            click.echo(textwrap.indent(f"{key}: {shown}", "  "))


def _text(text: str) -> str:
    """A text, cut if it is long."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}… ({len(text):,} characters)"


def _names(names: Sequence[str]) -> str:
    """Names in lines, cut if there are many."""
    more = f", … ({len(names):,})" if len(names) > _MOST_NAMES else ""
    return textwrap.fill(", ".join(names[:_MOST_NAMES]) + more, 90)


def _columns(names: list[str]) -> str:
    """Names in as many columns as fit into the terminal."""
    width = max(map(len, names)) + 2
    num_columns = max(1, shutil.get_terminal_size((100, 24)).columns // width)
    num_rows = -(-len(names) // num_columns)  # rounded up
    lines = []
    for row in range(num_rows):
        cells = [f"{name:{width}}" for name in names[row::num_rows]]
        lines.append("".join(cells).rstrip())
    return "\n".join(lines)


def size(count: float) -> str:
    """Formats a number of bytes with three digits, such as ``11.1 MiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{count:.3g} {unit}"
    return f"{count / 1024:.3g} TiB"
