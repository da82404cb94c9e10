"""``tfdl doctor``."""

import contextlib

import click

from tfdl.cli.failures import FAILURE, speaks
from tfdl.cli.options import debug_option
from tfdl.errors import UserError

EPILOG = """\b
Examples:
  tfdl doctor
  tfdl doctor --hostfile hosts.txt                          # before a job on several hosts
  horovodrun -np 2 tfdl doctor                              # do the ranks find each other?
"""

_MARKS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "error": ("FAIL", "red")}


@click.command(epilog=EPILOG)
@click.option(
    "--hostfile", type=click.Path(), metavar="FILE", help="Hosts of a job to come, one `name slots=N` a line."
)
@click.option("--data-dir", metavar="DIR", help="Prepared data.  [default: $TFDS_DATA_DIR or ~/tensorflow_datasets]")
@debug_option
def command(hostfile: str | None, data_dir: str | None) -> int:
    """Say what is installed, what is wrong and what mends it.

    Exit code 0 when all that training needs is there, 1 when something is missing. On one rank a missing Horovod is a
    warning; when several ranks were launched, or a hostfile is given, it is an error.
    """
    from tfdl.cli.quiet import quiet_start

    with contextlib.suppress(ImportError, UserError):  # the diagnosis says so, with what mends it
        quiet_start()
    from tfdl.diagnosis import diagnose

    findings = diagnose(hostfile=hostfile, data_dir=data_dir)
    if speaks():
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            mark, colour = _MARKS[finding.level]
            click.echo(f"{click.style(mark, fg=colour)}  {finding.subject:{width}}  {finding.found}")
            if finding.mend:
                click.echo(f"{'':{width + 8}}-> {finding.mend}")
    return FAILURE if any(finding.level == "error" for finding in findings) else 0
