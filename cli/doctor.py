"""``tfdl doctor``."""

import contextlib
import json
from typing import TYPE_CHECKING

import click

from tfdl.cli.failures import FAILURE, launched_rank, speaks
from tfdl.cli.options import debug_option
from tfdl.errors import UserError

if TYPE_CHECKING:
    from tfdl.diagnosis import Diagnosis, MessageTiming

EPILOG = """\b
Examples:
  tfdl doctor
  tfdl doctor --hostfile hosts.txt                          # before a job on several hosts
  horovodrun -np 2 tfdl doctor                              # do the ranks train one model, and how fast do they talk?
"""

_MARKS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "error": ("FAIL", "red")}


@click.command(epilog=EPILOG)
@click.option(
    "--hostfile", type=click.Path(), metavar="FILE", help="Hosts of a job to come, one `name slots=N` a line."
)
@click.option("--data-dir", metavar="DIR", help="Prepared data.  [default: $TFDS_DATA_DIR or ~/tensorflow_datasets]")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@debug_option
def command(hostfile: str | None, data_dir: str | None, as_json: bool) -> int:
    """Say what is installed, what is wrong and what mends it.

    Under horovodrun it also times messages between the ranks, and runs the sync proof: the ranks train a small model
    for a few steps and compare it to the bit; then one of them makes a step alone, which the comparison must find.

    Exit code 0 when all that training needs is there, 1 when something is missing. On one rank a missing Horovod is a
    warning; when several ranks were launched, or a hostfile is given, it is an error.
    """
    from tfdl.cli.quiet import quick_start

    with contextlib.suppress(ImportError, UserError):  # the diagnosis says so, with what mends it
        quick_start()
    from tfdl.diagnosis import diagnose

    diagnosis = diagnose(hostfile=hostfile, data_dir=data_dir)
    if speaks():
        click.echo(json.dumps(diagnosis.to_mapping(), indent=2)) if as_json else _show(diagnosis)
    elif not diagnosis.met:  # rank 0 does not know why this one is not there
        for finding in diagnosis.findings:
            if finding.level == "error":
                click.echo(f"tfdl: rank {launched_rank()}: {finding.subject}: {finding.found}", err=True)
    return 0 if diagnosis.is_fit else FAILURE


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
    """``400 kB``; three digits of it are enough."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
