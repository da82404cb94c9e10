"""``tfdl predict``."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import checkpoint_option, debug_option, run_argument
from tfdl.cli.parts import load_parts, plugin_option
from tfdl.cli.pipes import reader_may_leave
from tfdl.errors import UserError

EPILOG = """\b
Examples:
  tfdl predict runs/digits scan.png                            # one image
  tfdl predict runs/photos ./inbox "new/*.jpg" --top-k 3       # folders and patterns
  tfdl predict runs/topics "How do I read a file?"             # a text
  tfdl predict runs/topics mails.csv --text-column body --keep-column id --output answers.csv
  cat sentences.txt | tfdl predict runs/dates -                # each line of standard input
  tfdl predict runs/gpt "The capital of France is"             # probability and next tokens
  horovodrun -np 4 tfdl predict runs/photos ./archive --output answers.jsonl
"""


@click.command(epilog=EPILOG)
@run_argument
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option(
    "--text", "texts", multiple=True, metavar="TEXT", help="A text as input, whatever it looks like; repeatable."
)
@click.option("--top-k", type=click.IntRange(1), metavar="N",
              help="Number of most likely answers.  [default: 1; next tokens 5]")  # fmt: skip
@click.option("--output", type=click.Path(), metavar="FILE", help="Write to a file.  [default: standard output]")
@click.option("--format", "file_format", type=click.Choice(["jsonl", "csv"]),
              help="JSON lines, or CSV.  [default: by the ending of --output, or jsonl]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the file in --output.")
@click.option("--batch-size", type=click.IntRange(1), metavar="N",
              help="Samples that are computed together.  [default: the task's, such as 64]")  # fmt: skip
@click.option("--column", "--text-column", "--source-column", "--image-column", "column", metavar="NAME",
              help="Column of a table with the input.  [default: the run's, or the only one]")  # fmt: skip
@click.option("--keep-column", "kept", multiple=True, metavar="NAME", help="Copy a column to the output; repeatable.")
@click.option("--unit", type=click.Choice(["line", "paragraph", "file"]),
              help="What one text of a plain text file is.  [default: line; in folders file]")  # fmt: skip
@click.option("--encoding", default="utf-8", show_default=True, metavar="NAME", help="Encoding of texts and tables.")
@click.option("--delimiter", metavar="CHARACTER",
              help="What separates columns: a character, or tab.  [default: by the file's ending]")  # fmt: skip
@click.option("--skip-bad-rows", is_flag=True, help="Leave out inputs that cannot be used, and print how many.")
@checkpoint_option
@plugin_option
@debug_option
def command(run: str, inputs: tuple[str, ...], texts: tuple[str, ...], checkpoint: str, plugins: tuple[str, ...],
            **choices: Any) -> None:  # fmt: skip
    """Answer new inputs with a trained run.

    INPUT is an image, a text, a table, a file of records or arrays, a folder, a pattern in quotation marks, or - for
    standard input. Answers are printed in the order of the inputs: classes with probabilities, translations, or the
    probability of a text with the tokens that may follow it.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory

    RunDirectory.open(run).checkpoint(checkpoint)  # a wrong path is reported before TensorFlow is imported
    if not inputs and not texts:
        raise UserError(f"no input for {run!r}, expected files, folders, texts, or - for standard input")
    target = None if choices["output"] is None else Path(os.path.expanduser(choices["output"]))
    if target is not None and target.is_symlink():
        target = Path(os.path.realpath(target))  # the file that the link leads to is replaced
    if target is not None:
        _check_target(target, overwrite=choices["overwrite"])
    load_parts(plugins)
    quick_start()
    from tfdl import distributed

    world = distributed.init(elastic=False)
    with world.agreement():
        predictor, items, file_format = _opened(run, checkpoint, inputs, texts, world, **choices)
    _predict(predictor, items, target, file_format, world)


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise UserError(f"--output {str(target)!r} is a folder, expected a file such as {target}/predictions.jsonl")
    if target.exists() and not target.is_file():
        raise UserError(f"--output {str(target)!r} is no regular file, expected one; for a pipe, leave out --output")
    if target.exists() and not overwrite:
        raise UserError(f"--output {str(target)!r} exists; choose another file, or replace it with --overwrite")


def _opened(run: str, checkpoint: str, inputs: tuple[str, ...], texts: tuple[str, ...], world: Any, *,
            top_k: int | None, batch_size: int | None, file_format: str | None, output: str | None, **choices: Any
            ) -> tuple[Any, Any, str]:  # fmt: skip
    """The predictor, its items, and the format of the output."""
    from tfdl.data.files.bad_rows import SKIP_ADVICE
    from tfdl.inference.inputs.arguments import STANDARD_INPUT, is_typed_by_hand
    from tfdl.inference.predictor import Predictor, compiled
    from tfdl.inference.writing import format_of
    from tfdl.runs import load_run

    if world.size > 1 and STANDARD_INPUT in inputs:
        raise UserError(f"- on {world.size} ranks, expected files: horovodrun passes standard input to no rank")
    loaded = load_run(run, checkpoint, merged=True)
    opened = _open_inputs(loaded, inputs, texts, choices)
    prediction = loaded.task.prediction(top_k)
    predictor = Predictor(
        prediction,
        compiled(loaded.model, prediction),
        opened.load,
        batch_size=batch_size,
        on_bad=_report_bad if choices["skip_bad_rows"] else None,
        way_out=SKIP_ADVICE,
        at_once=is_typed_by_hand(inputs),
        world=world,
    )
    target = None if output is None else Path(output)
    return predictor, opened.items, file_format or format_of(target)


def _open_inputs(loaded: Any, inputs: tuple[str, ...], texts: tuple[str, ...], choices: dict[str, Any]) -> Any:
    from tfdl.config import DatasetConfig
    from tfdl.inference import InputOptions, open_inputs

    # Checks the encoding, and reads "tab".
    checked = DatasetConfig("inputs", encoding=choices["encoding"], delimiter=choices["delimiter"])
    options = InputOptions(
        column=choices["column"],
        kept=choices["kept"],
        unit=choices["unit"],
        encoding=checked.encoding,
        delimiter=checked.delimiter,
        trained_columns=loaded.config.dataset.columns,
    )
    return open_inputs(loaded.task, inputs, options, texts)


def _predict(predictor: Any, items: Any, target: Path | None, file_format: Any, world: Any) -> None:
    """Writes the answers, on rank 0 only."""
    start = time.monotonic()
    with reader_may_leave():
        _write(predictor, items, target, file_format, is_chief=world.is_chief)
        notes = predictor.notes
        if is_printing_rank():
            _report(predictor, notes, target, time.monotonic() - start)


def _write(predictor: Any, items: Any, target: Path | None, file_format: Any, *, is_chief: bool) -> None:
    from tfdl.inference.writing import record_writer, whole_record

    with _opened_output(target, is_chief=is_chief) as file:
        write = record_writer(file, file_format)
        for item, record in predictor.answers(items):
            if is_chief:
                write(whole_record(item, record))
        _check_any(predictor)


def _report(predictor: Any, notes: Sequence[str], target: Path | None, seconds: float) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if target is not None:
        noun = "prediction" if predictor.num_answers == 1 else "predictions"
        click.echo(f"{target}: {predictor.num_answers:,} {noun} in {seconds:.1f} s")


def _report_bad(item: Any) -> None:
    if is_printing_rank():
        click.echo(f"left out: {item}", err=True)


def _check_any(predictor: Any) -> None:
    """Raises ``UserError`` if nothing was answered; a file is then not written."""
    if predictor.num_answers:
        return
    if predictor.num_bad:
        raise UserError(f"none of the {predictor.num_bad} inputs can be used, expected at least one that can")
    raise UserError("there is no input in what was given, expected at least one")


@contextmanager
def _opened_output(target: Path | None, *, is_chief: bool) -> Iterator[TextIO]:
    """Standard output, or a file that is complete or absent."""
    from tfdl.runs.atomic import new_file

    if target is None or not is_chief:
        yield sys.stdout
        sys.stdout.flush()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with new_file(target) as file:
        yield file
