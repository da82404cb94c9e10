"""What ``tfdl datasets`` prints."""

import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from tfdl.cli.tables import print_tables

# Characters of a text, and names of classes, that are shown.
_TEXT, _NAMES = 600, 20


def listing(root: Path, everything: bool) -> dict[str, Any]:
    """The lists, for programs and for the page; TFDS is imported for the list of everything only."""
    from tfdl.data.tfds.known_sets import TFDS_SETS, declared_sets
    from tfdl.data.tfds.prepared import prepared_sets

    here = prepared_sets(root)
    found: dict[str, Any] = {
        "data_dir": str(root),
        "prepared": {
            one.name: {"path": str(one.path), "splits": one.splits, "bytes": one.bytes_on_disk} for one in here
        },
        "embedded": [_line(known, here) for known in declared_sets()],
        "tfds": [_line(known, here) for known in TFDS_SETS],
    }
    if everything:
        import tensorflow_datasets as tfds

        found["all"] = tfds.list_builders(with_community_datasets=False)
    return found


def _line(known: Any, here: list[Any]) -> dict[str, Any]:
    return {
        "name": known.name,
        "task": known.task,
        "about": known.about,
        "download_bytes": known.download_bytes,
        "by_hand": known.by_hand,
        "needs_beam": known.beam,
        "prepared": [one.name for one in here if one.name.startswith(f"{known.name}/")],
    }


def list_page(found: dict[str, Any]) -> None:
    """Tables of the lists."""
    if "all" in found:
        click.echo(_columns(found["all"]) if sys.stdout.isatty() else "\n".join(found["all"]))
        return
    shown = {name for kind in ("embedded", "tfds") for line in found[kind] for name in line["prepared"]}
    others = [name for name in found["prepared"] if name not in shown]
    click.echo("tfdl's own, made on this machine from what is installed:")
    print_tables(_table(found["embedded"], found["prepared"]))
    click.echo("\nWell known in TFDS:")
    print_tables(_table(found["tfds"], found["prepared"]))
    if others:
        click.echo(f"\nAlso prepared in {found['data_dir']}:")
        for name in others:
            click.echo(f"  {name}  {size(found['prepared'][name]['bytes'])}")
    click.echo(f"\nPrepared sets are in {found['data_dir']}. More of one: tfdl datasets show NAME. Every name: --all")


def _table(lines: list[dict[str, Any]], prepared: dict[str, Any]) -> Any:
    from rich.table import Column, Table

    table = Table("name", "task", "what it is", Column("download", justify="right"), "here", box=None, pad_edge=False)
    for line in lines:
        sizes = [prepared[name]["bytes"] for name in line["prepared"]]
        fetched = size(line["download_bytes"]) if line["download_bytes"] else ""
        fetched = "by hand" if line["by_hand"] else "apache-beam" if line["needs_beam"] else fetched
        table.add_row(line["name"], line["task"], line["about"], fetched, f"yes, {size(sum(sizes))}" if sizes else "")
    return table


def show_page(description: Any, name: str) -> None:
    """A data set's page; ``name`` is what the user called it."""
    click.echo(f"{description.name}\n")
    click.echo("\n\n".join(map(_paragraph, description.about.split("\n\n"))))
    click.echo()
    rows = _rows(description, name)
    width = max(map(len, rows))
    for key, value in rows.items():
        for number, line in enumerate(value.splitlines()):
            click.echo(f"{key if number == 0 else '':{width}}  {line}")
    if description.citation:
        click.echo(f"\n{description.citation}")


def _paragraph(text: str) -> str:
    """Filled, unless it is code or a list."""
    as_it_is = "```" in text or any(line.startswith((" ", "-", "*", "|")) for line in text.splitlines())
    return text if as_it_is else textwrap.fill(text, 100)


def _rows(description: Any, name: str) -> dict[str, str]:
    tasks = [
        f"{task}  ({', '.join(role if role == key else f'{role}: {key}' for role, key in keys.items())})"
        for task, keys in description.tasks.items()
    ]
    splits = [f"{split}  {count:,}" for split, count in description.splits.items()]
    rows = {
        "tasks": "\n".join(tasks) or "none as it is; columns can be chosen: tfdl train --help",
        "splits": "\n".join(splits) or "known when it is prepared",
        "features": "\n".join(f"{key}  {kind}" for key, kind in description.features.items()),
        **{f"classes of {key}": _names(names) for key, names in description.classes.items()},
        "configurations": _names(description.configurations),
        "here": _place(description, name),
        "download": size(description.download_bytes) if description.download_bytes else "",
        "by hand": textwrap.fill(description.files_by_hand or "", 90),
        "licence": textwrap.fill(description.license or "not on record; see its homepage", 90),
        "homepage": description.homepage or "",
        **{f"its {key}": str(value) for key, value in description.metadata.items()},
    }
    return {key: value for key, value in rows.items() if value}


def _place(description: Any, name: str) -> str:
    if description.is_prepared:
        return f"yes, {size(description.prepared_bytes)} in {description.path}"
    return f"no, it would be in {description.path}: tfdl datasets prepare {name}"


def samples_page(rows: list[dict[str, Any]], are_drawn: bool) -> None:
    """Samples one under the other."""
    import numpy as np

    for number, row in enumerate(rows):
        click.echo(f"\nsample {number}")
        for key, value in row.items():
            if isinstance(value, np.ndarray):
                advice = "" if are_drawn else " (draw it: --output FILE.png)"
                shown = f"image of {'x'.join(map(str, value.shape))}{advice}"
            else:
                shown = _text(str(value))
            click.echo(textwrap.indent(f"{key}: {shown}", "  "))


def _text(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}… ({len(text):,} characters)"


def _names(names: Any) -> str:
    more = f", … ({len(names):,})" if len(names) > _NAMES else ""
    return textwrap.fill(", ".join(names[:_NAMES]) + more, 90)


def _columns(names: list[str]) -> str:
    """Names in as many columns as the terminal has room for."""
    width = max(map(len, names)) + 2
    columns = max(1, shutil.get_terminal_size((100, 24)).columns // width)
    rows = -(-len(names) // columns)
    lines = ["".join(f"{name:{width}}" for name in names[row::rows]).rstrip() for row in range(rows)]
    return "\n".join(lines)


def size(count: float) -> str:
    """``11.1 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.3g} TiB"
