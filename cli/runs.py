"""``tfdl runs``."""

import json
from collections.abc import Sequence
from typing import Any

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import debug_option
from tfdl.cli.pipes import reader_may_leave

EPILOG = """\b
Examples:
  tfdl runs                                                 # those under runs/, the newest first
  tfdl runs /scratch/sweep --sort -test.accuracy            # the best first
  tfdl runs --sort wall_seconds                             # the quickest first
  tfdl runs --state stopped --state unfinished              # what may be continued
  tfdl runs --task translation --sort -test.bleu
  tfdl runs --json | jq -r '.[] | select(.state == "failed") | .path'
"""

NEWEST_FIRST = "-started"


def _states(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from tfdl.reporting.listed_run import STATES

    return [state for state in STATES if state.startswith(incomplete)]


def _orders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from tfdl.reporting.sorting import sortable_names

    minus = "-" if incomplete.startswith("-") else ""
    return [minus + name for name in sortable_names() if name.startswith(incomplete.removeprefix("-"))]


@click.command(epilog=EPILOG)
@click.argument("folder", default="runs", type=click.Path(), metavar="[FOLDER]")
@click.option(
    "--sort",
    "order",
    default=NEWEST_FIRST,
    show_default=True,
    metavar="NAME",
    shell_complete=_orders,
    help="Column, key of --json, or metric such as test.accuracy: smallest first; -NAME: largest first.",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="NAME",
    shell_complete=_states,
    help="List runs in this state: finished, imported, stopped, failed, unfinished or damaged; repeatable.",
)
@click.option("--task", metavar="NAME", help="List runs of this task.")
@click.option("--model", metavar="NAME", help="List runs of this family or preset.")
@click.option("--json", "as_json", is_flag=True, help="Print a list with one JSON object for each run.")
@debug_option
def command(
    folder: str, order: str, states: tuple[str, ...], task: str | None, model: str | None, as_json: bool
) -> None:
    """List the runs in FOLDER and below it, with their state and their results.

    A run is finished, imported, stopped (by a signal, with a checkpoint), failed, unfinished or damaged. An unfinished
    run recorded no end: it is running, or it was killed. The results are the task's main metric; --json has all of
    them. TensorFlow is not imported and no plugin is needed.
    """
    from tfdl.reporting import list_runs, sort_runs
    from tfdl.reporting.sorting import field_of

    if not is_printing_rank():
        return
    _check_states(states)
    found = list_runs(folder)
    runs = [
        run
        for run in sort_runs(found, order)
        if (not states or run.state in states) and task in (None, run.task) and model in (None, run.model)
    ]
    with reader_may_leave():
        if as_json:
            click.echo(json.dumps([run.to_json() for run in runs], allow_nan=False))
        elif runs:
            _show(runs, "" if order == NEWEST_FIRST else field_of(order, found))
        else:
            click.echo(_nothing(folder, len(found)))


def _check_states(states: Sequence[str]) -> None:
    from tfdl.errors import UserError, nearest
    from tfdl.reporting.listed_run import STATES

    for state in states:
        if state not in STATES:
            raise UserError(f"--state {state!r}, expected one of {', '.join(STATES)}.{nearest(state, STATES)}")


def _nothing(folder: str, num_found: int) -> str:
    """What is printed in place of an empty table."""
    from tfdl.cli.cells import printable

    shown = printable(folder)
    if num_found:
        plural = "" if num_found == 1 else "s"
        return f"none of the {num_found} run{plural} in {shown} is of this kind; leave out --state, --task or --model"
    return f"no runs in {shown}; make one: tfdl train"


def _show(runs: Sequence[Any], sorted_by: str) -> None:
    """Prints the table.

    Args:
        runs: the runs.
        sorted_by: the field of the order that the user asked for; empty for the usual order.
    """
    from tfdl.cli.run_table import run_page

    split, _, metric = sorted_by.partition(".")
    if metric and all(run.metric in (metric, None) for run in runs):
        sorted_by = split  # this column has the metric already
    click.echo(run_page(runs, sorted_by), nl=False)
