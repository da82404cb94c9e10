"""What ``tfdl datasets show PATH`` prints of the user's own files."""

import dataclasses
import json
import shlex
from typing import Any

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.tables import print_tables
from tfdl.errors import UserError

# Classes that a page lists, and characters of a value.
_MOST_CLASSES = 50
_MOST_CHARACTERS = 100
# Files whose columns the user can choose.
_KINDS_WITH_COLUMNS = ("table", "JSON lines", "JSON", "Parquet", "TFRecord", "ArrayRecord")


def show_path(config: Any, samples: int | None, split: str, output: str | None, as_json: bool) -> None:
    """Describes the user's own files, and shows samples.

    Args:
        config: a ``DatasetConfig`` with their path.
        samples: how many samples to show.
        split: of the samples.
        output: the file to draw images to.
        as_json: whether to print JSON.
    """
    from tfdl.cli.dataset_pages import samples_page
    from tfdl.cli.dataset_samples import draw, for_json
    from tfdl.data.files.describing import describe_files
    from tfdl.data.files.description import check_split

    check_split(split)
    described = describe_files(config)
    description = described.description
    rows: list[dict[str, Any]] = []
    if samples or output:
        rows = described.samples(split, samples or 25)
    if output is not None:
        draw(rows, config.name, "label", output)
    if not is_printing_rank():
        return
    if as_json:
        values = dataclasses.asdict(description)
        if rows:
            values["samples"] = [for_json(row) for row in rows]
        click.echo(json.dumps(values))
        return
    _page(description)
    if samples:
        samples_page(rows, are_drawn=output is not None)
    if output is not None:
        click.echo(f"\n{len(rows)} images of {split!r} are in {output}")


def prepare_path(config: Any, as_json: bool) -> None:
    """Converts and checks the user's images in files of records now, so that no run does it.

    Args:
        config: a ``DatasetConfig``: their path, the columns that the user chose, the folder of prepared data sets.
        as_json: whether to print JSON.

    Raises:
        UserError: no such file, or other files, which need no preparation.
    """
    from tfdl.data.files.paths import existing
    from tfdl.data.records.image_rows import find_rows_of_images

    name = config.name
    if "," not in name:  # parallel files need no preparation
        existing(name)
    found = find_rows_of_images(config)
    if found is None or found[1].is_path:
        raise UserError(f"{name!r} is a path: these files need no preparation; tfdl train --dataset {name}")
    from tfdl.cli.quiet import quick_start

    quick_start()
    from tfdl.data.records.image_records import CheckedRecords
    from tfdl.data.tfds.catalog import data_root

    records = CheckedRecords(*found, config)
    if not is_printing_rank():
        return
    root = data_root(config.data_dir)
    if as_json:
        values = {"name": name, "path": str(root), "images": len(records), "bad_rows": records.bad.count}
        click.echo(json.dumps(values))
        return
    click.echo(f"{name} is prepared in {root}: {len(records):,} images")
    for note in records.bad.notes:
        click.echo(note)
    columns = "".join(f" --{role}-column {shlex.quote(column)}" for role, column in config.columns.items())
    path = shlex.quote(name)
    click.echo(f"Next:\n  tfdl datasets show {path}{columns}\n  tfdl train --dataset {path}{columns}")


def _page(description: Any) -> None:
    """Prints a ``FilesDescription``."""
    from tfdl.cli.dataset_pages import roles_text, size

    noun = "file" if description.num_files == 1 else "files"
    click.echo(f"{description.name}\n")
    tasks = [f"{task}  ({roles_text(columns)})" for task, columns in description.tasks.items()]
    splits = [f"{split}  {count:,}" for split, count in description.splits.items()]
    width = max((len(_cut(name)) for name in description.columns), default=0)
    no_tasks = "none; the notes say why"
    if description.columns and description.kind in _KINDS_WITH_COLUMNS:
        no_tasks = "none with its columns as they are; choose some, such as --text-column NAME --label-column NAME"
    rows = {
        "kind": f"{description.kind}, {description.num_files:,} {noun}, {size(description.num_bytes)}",
        "tasks": "\n".join(tasks) or no_tasks,
        "splits": "\n".join(splits),
        "sizes": description.sizes,
        "columns": "\n".join(f"{_cut(name):{width}}  {facts}" for name, facts in description.columns.items()),
        "notes": "\n".join(description.notes),
    }
    for key, value in rows.items():
        for number, line in enumerate(value.splitlines()):
            label = key if number == 0 else ""
            click.echo(f"{label:7}  {line}")
    for number, row in enumerate(description.first_rows, 1):
        values = ", ".join(f"{_cut(column)}: {_cut(value)}" for column, value in row.items())
        click.echo(f"row {number}{'':4}{values}")
    if description.classes:
        _print_classes(description)


def _print_classes(description: Any) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    splits = list(description.splits)
    columns = [Column(split, justify="right") for split in splits]
    table = Table("class", *columns, box=None, pad_edge=False)
    names = list(description.classes)
    for name in names[:_MOST_CLASSES]:
        table.add_row(escape(_cut(name)), *(f"{description.classes[name][split]:,}" for split in splits))
    print_tables(table)
    if len(names) > _MOST_CLASSES:
        click.echo(f"... ({len(names):,} classes)")


def _cut(value: str) -> str:
    """A value in one short line, without characters that a terminal cannot show."""
    words = " ".join(value.split())
    characters = (character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in words)
    line = "".join(characters)
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"
