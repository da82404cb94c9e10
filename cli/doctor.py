"""``tfdl doctor``: checks this machine, and under horovodrun the ranks of a job."""

import contextlib
import json
from typing import TYPE_CHECKING

import click

from tfdl.cli.failures import FAILURE, is_printing_rank, launched_rank
from tfdl.cli.options import debug_option
from tfdl.errors import UserError

if TYPE_CHECKING:
    from tfdl.diagnosis import Diagnosis, MessageTiming

EPILOG = """\b
Examples:
  tfdl doctor
  tfdl doctor --hostfile hosts.txt                          # before a job on several hosts
  horovodrun -np 2 tfdl doctor                              # do the ranks train one model, and how fast are they?
"""

_MARKS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "error": ("FAIL", "red")}


@click.command(epilog=EPILOG)
@click.option(
    "--hostfile", type=click.Path(), metavar="FILE", help="Hosts of a future job, one `name slots=N` per line."
)
@click.option(
    "--data-dir",
    metavar="DIR",
    help="Folder of prepared data sets.  [default: $TFDS_DATA_DIR or ~/tensorflow_datasets]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@debug_option
def command(hostfile: str | None, data_dir: str | None, as_json: bool) -> int:
    """Report what is installed, what is wrong and how to fix it.

    Under horovodrun it also times messages between the ranks and runs the sync proof. The ranks train a small model
    for a few steps and compare it bit for bit. Then one rank makes a step alone, and the comparison must find it.

    The exit code is 0 when everything that training needs is installed, and 1 when something is missing. A missing
    Horovod is a warning on one rank, and an error when several ranks were launched or a hostfile is given.
    """
    from tfdl.cli.quiet import quick_start

    # The diagnosis reports both errors, and how to fix them.
    with contextlib.suppress(ImportError, UserError):
        quick_start()
    from tfdl.diagnosis import diagnose

    diagnosis = diagnose(hostfile=hostfile, data_dir=data_dir)
    if is_printing_rank():
        if as_json:
            click.echo(json.dumps(diagnosis.to_mapping(), indent=2))
        else:
            _show(diagnosis)
    elif not diagnosis.met:
        _show_errors_of_rank(diagnosis)
    return 0 if diagnosis.is_fit else FAILURE


def _show_errors_of_rank(diagnosis: "Diagnosis") -> None:
    """Prints what keeps this rank from connecting: rank 0 cannot know it."""
    for finding in diagnosis.findings:
        if finding.level == "error":
            click.echo(f"tfdl: rank {launched_rank()}: {finding.subject}: {finding.found}", err=True)


def _show(diagnosis: "Diagnosis") -> None:
    width = max(len(finding.subject) for finding in diagnosis.findings)
    for finding in diagnosis.findings:
        mark, colour = _MARKS[finding.level]
        click.echo(f"{click.style(mark, fg=colour)}  {finding.subject:{width}}  {finding.found}")
        if finding.mend:
            click.echo(f"{'':{width + 8}}-> {finding.mend}")
    if diagnosis.timings:
        _show_timings(diagnosis.timings)


def _show_timings(timings: "list[MessageTiming]") -> None:
    from rich.console import Console
    from rich.table import Table

    click.echo("\nall-reduce over the ranks")
    table = Table()
    for name in ("message", "median", "fastest", "bandwidth"):
        table.add_column(name, justify="right")
    for timing in timings:
        table.add_row(
            _bytes(timing.size),
            f"{1000 * timing.median_seconds:.2f} ms",
            f"{1000 * timing.fastest_seconds:.2f} ms",
            f"{_bytes(timing.bytes_per_second)}/s",
        )
    Console(highlight=False).print(table)


def _bytes(number: float) -> str:
    """Formats a number of bytes with three digits, such as ``400 kB``."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:  # from 999.5 on it would be rounded to 1000
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
