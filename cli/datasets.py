"""``tfdl datasets``: the command group, and its three commands."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import debug_option, json_option
from tfdl.cli.parts import load_parts, plugin_option
from tfdl.cli.settings import chosen_settings, setting
from tfdl.errors import UserError, nearest

EPILOG = """\b
Examples:
  tfdl datasets                                             # tfdl's own, well-known ones of TFDS, prepared ones
  tfdl datasets --all                                       # every name that TFDS has
  tfdl datasets show fashion_mnist
  tfdl datasets show digits --output digits.png             # a picture of 25 samples
  tfdl datasets show dates --samples 3 --split test
  tfdl datasets show ag_news_subset --json | jq .tasks
  tfdl datasets show ./photos                               # your own files: classes, splits, columns
  tfdl datasets show reviews.csv --text-column review --label-column stars
  tfdl datasets prepare cifar10 --data-dir /scratch/data
  tfdl datasets prepare fashion_mnist --from ~/downloads    # no network; hashes are checked
"""

data_dir_option = click.option(
    "--data-dir",
    metavar="DIR",
    help="Folder of prepared data sets.  [default: $TFDS_DATA_DIR or ~/tensorflow_datasets]",
)


def _known_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from tfdl.data.tfds.known_sets import TFDS_SETS, declared_sets

    return [known.name for known in (*declared_sets(), *TFDS_SETS) if known.name.startswith(incomplete)]


class DatasetGroup(click.Group):
    """``tfdl datasets`` is ``tfdl datasets list``, and ``tfdl datasets NAME`` is ``tfdl datasets show NAME``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._with_command(ctx, args))

    def _with_command(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, with the command that they leave out."""
        if not args:
            return ["list"]
        first, *others = args
        if first in self.commands or first in ctx.help_option_names:
            return args
        if first.startswith("-"):
            return ["list", *args]
        # A name and options. A second word is no name of a data set, so the first one is a misspelt command.
        if others and not others[0].startswith("-"):
            known = ", ".join(self.commands)
            ctx.fail(f"unknown command {first!r}, expected one of {known}.{nearest(first, self.commands)}")
        return ["show", *args]


@click.group(cls=DatasetGroup, epilog=EPILOG)
def command() -> None:
    """List data sets, describe one, or prepare one.

    `tfdl datasets` lists, and `tfdl datasets NAME` describes.
    """


@command.command("list", short_help="List tfdl's own, well-known and prepared data sets.")
@click.option("--all", "everything", is_flag=True, help="List every name that TFDS has.")
@data_dir_option
@plugin_option
@json_option
@debug_option
def list_command(everything: bool, data_dir: str | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """List tfdl's own data sets, well-known ones of TFDS, and those that are prepared on this machine."""
    from tfdl.cli.dataset_pages import list_page, listing
    from tfdl.data.tfds.catalog import data_root

    load_parts(plugins)
    if not is_printing_rank():
        return
    sets = listing(data_root(data_dir), everything)
    if as_json:
        click.echo(json.dumps(sets))
    else:
        list_page(sets)


@command.command("show", short_help="Describe a data set, and show samples.")
@click.argument("name", shell_complete=_known_names)
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Show the first N samples.")
@click.option("--split", default="train", show_default=True, metavar="SPLIT", help="Split of the samples.")
@click.option("--output", type=click.Path(), metavar="FILE.png",
              help="Draw the images of the samples (of 25 without --samples).")  # fmt: skip
@setting("--image-column", "image_column", metavar="NAME", help="Column of the image, of your own records or tables.")
@setting("--text-column", "text_column", metavar="NAME", help="Column of the text, of your own tables.")
@setting("--label-column", "label_column", metavar="NAME", help="Column of the class.")
@setting("--source-column", "source_column", metavar="NAME", help="Column of the text to translate.")
@setting("--target-column", "target_column", metavar="NAME", help="Column of its translation.")
@click.option("--encoding", default="utf-8", show_default=True, metavar="NAME", help="Encoding of your own files.")
@click.option("--delimiter", metavar="CHARACTER", help="What separates columns of your own tables.")
@click.option("--stratified", is_flag=True, help="Split each class of your own files by itself.")
@click.option("--exact-labels", is_flag=True, help="Compare labels of your own files as they are written.")
@data_dir_option
@plugin_option
@json_option
@debug_option
@click.pass_context
def show_command(
    ctx: click.Context,
    name: str,
    samples: int | None,
    split: str,
    output: str | None,
    encoding: str,
    delimiter: str | None,
    stratified: bool,
    exact_labels: bool,
    data_dir: str | None,
    plugins: tuple[str, ...],
    as_json: bool,
    **_: Any,
) -> None:
    """Describe a data set or your own files, and show a few samples.

    NAME is a name, or the path of your own files. Nothing is downloaded. Of data sets by name, only prepared ones and
    tfdl's own have samples to show.
    """
    from tfdl.cli.dataset_files import show_path
    from tfdl.cli.dataset_pages import samples_page, show_page
    from tfdl.cli.dataset_samples import draw, for_json, prepared_samples
    from tfdl.cli.quiet import held_back_stderr
    from tfdl.config import DatasetConfig
    from tfdl.data.files.paths import FILE_OPTIONS, hidden_files_note, is_local, refuse_columns, refuse_options
    from tfdl.data.tfds.description import describe_dataset

    _quiet_tfds()
    load_parts(plugins)
    if output is not None and not output.endswith(".png"):
        raise UserError(f"--output {output!r}, expected a name that ends in .png")
    config = DatasetConfig(
        name,
        encoding=encoding,
        delimiter=delimiter,
        stratified=stratified,
        exact_labels=exact_labels,
        **chosen_settings(ctx),
    )
    if is_local(name):
        show_path(config, samples, split, output, as_json)
        return
    reason = "is not a path of your own files"
    refuse_options(config, FILE_OPTIONS, reason)
    refuse_columns(config, reason)
    _check_has_builder(name)
    with held_back_stderr():  # a few builders import TensorFlow
        description, builder = describe_dataset(name, data_dir)
    rows: list[dict[str, Any]] = []
    if samples or output:
        description, rows = prepared_samples(name, data_dir, builder, split, samples or 25)
    if output is not None:
        first_class_key = next(iter(description.classes), "")
        label_key = description.tasks.get("image-classification", {}).get("label", first_class_key)
        draw(rows, description.name, label_key, output)
    if not is_printing_rank():
        return
    if as_json:
        values = {**dataclasses.asdict(description), "path": str(description.path)}
        if rows:
            values["samples"] = [for_json(row) for row in rows]
        click.echo(json.dumps(values))
        return
    show_page(description, name)
    for note in hidden_files_note(name):
        click.echo(f"\n{note}")
    if samples:
        samples_page(rows, are_drawn=output is not None)
    if output is not None:
        click.echo(f"\n{len(rows)} images of {split!r} are in {output}")


@command.command("prepare", short_help="Prepare a data set now, also from your own copies of its files.")
@click.argument("name", shell_complete=_known_names)
@click.option("--from", "folder", type=click.Path(), metavar="FOLDER",
              help="Use the files in this folder instead of downloading; their hashes are checked.")  # fmt: skip
@click.option("--image-column", metavar="NAME", help="Column of the image, of your own records.")
@click.option("--label-column", metavar="NAME", help="Column of the class, of your own records.")
@data_dir_option
@plugin_option
@json_option
@debug_option
def prepare_command(
    name: str,
    folder: str | None,
    image_column: str | None,
    label_column: str | None,
    data_dir: str | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Prepare a data set now, from the network or from files that you have.

    NAME may be the path of your own images in Parquet or TFRecord files, which are converted and checked; other files
    of your own need no preparation.

    FOLDER must contain the files that TFDS would download, unchanged, under any name. For data sets that must be
    downloaded by hand, it is the folder that TFDS calls manual_dir.
    """
    from tfdl.cli.dataset_files import prepare_path
    from tfdl.config import DatasetConfig
    from tfdl.data.files.paths import is_local, refuse_columns
    from tfdl.data.tfds.catalog import data_root, find_builder, prepare_dataset

    _quiet_tfds()
    load_parts(plugins)
    config = DatasetConfig(name, data_dir=data_dir, image_column=image_column, label_column=label_column)
    if is_local(name):
        if folder is not None:
            raise UserError(f"--from {folder!r} has no meaning for {name!r}, which is a path; leave it out")
        prepare_path(config, as_json)
        return
    refuse_columns(config, "is prepared with all of its columns")
    _check_has_builder(name)
    builder = find_builder(name, data_root(data_dir))
    was_prepared = builder.is_prepared()
    if not was_prepared:
        from tfdl.cli.quiet import quick_start

        quick_start()
    files = None if folder is None else Path(folder)
    builder = prepare_dataset(name, data_dir, files, show_progress=is_printing_rank() and sys.stderr.isatty())
    if not is_printing_rank():
        return
    full_name = builder.info.full_name
    splits = {split: info.num_examples for split, info in builder.info.splits.items()}
    if as_json:
        values = {"name": full_name, "path": str(builder.data_path), "splits": splits, "was_prepared": was_prepared}
        click.echo(json.dumps(values))
        return
    counts = ", ".join(f"{split} {count:,}" for split, count in splits.items())
    verb = "was" if was_prepared else "is"
    click.echo(f"{full_name} {verb} prepared in {builder.data_path}: {counts}")
    click.echo(f"Next:\n  tfdl datasets show {name}\n  tfdl train --dataset {name}")


def _quiet_tfds() -> None:
    """Hides TFDS's notices about packages that it could use; errors are still printed."""
    import logging

    logging.getLogger("absl").setLevel(logging.ERROR)


def _check_has_builder(name: str) -> None:
    """Refuses a plugin's data set that a ``load`` function returns: only a TFDS builder has a page and is prepared."""
    from tfdl.config import DATASETS

    base_name = name.split("/")[0].split(":")[0]
    if base_name not in DATASETS.names or isinstance(DATASETS.load(base_name), type):
        return
    plugin = DATASETS.part(base_name).provider
    raise UserError(
        f"data set {base_name!r} of the plugin {plugin!r} is loaded by a function in each run, so it is not described"
        f" or prepared; train with it: tfdl train --plugin {plugin} --dataset {base_name}"
    )
