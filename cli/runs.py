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
  tfdl runs --columns run,test,optimizer.name,optimizer.learning_rate --sort -test --limit 5
  tfdl runs --json | jq -r '.[] | select(.state == "failed") | .path'
"""

NEWEST_FIRST = "-started"


def _states(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from tfdl.reporting.listed_run import STATES

    return [state for state in STATES if state.startswith(incomplete)]


def _orders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    from tfdl.reporting.listed_run import VALUE_NAMES

    minus = "-" if incomplete.startswith("-") else ""
    return [minus + name for name in VALUE_NAMES if name.startswith(incomplete.removeprefix("-"))]


@click.command(epilog=EPILOG)
@click.argument("folder", default="runs", type=click.Path(), metavar="[FOLDER]")
@click.option(
    "--sort",
    "order",
    default=NEWEST_FIRST,
    show_default=True,
    metavar="NAME",
    shell_complete=_orders,
    help="Column, key of --json or config.yaml, or metric such as test.accuracy: smallest first; -NAME: largest first.",
)
@click.option(
    "--columns",
    metavar="NAMES",
    help="Columns to print, comma-separated: of the table, keys of --json or config.yaml, or metrics.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print the first N runs only.")
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
    folder: str,
    order: str,
    columns: str | None,
    limit: int | None,
    states: tuple[str, ...],
    task: str | None,
    model: str | None,
    as_json: bool,
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
    chosen = [
        run
        for run in sort_runs(found, order)
        if (not states or run.state in states) and task in (None, run.task) and model in (None, run.model)
    ]
    names = _names_of(columns, found)
    runs = chosen[:limit]
    with reader_may_leave():
        if as_json:
            click.echo(json.dumps([run.to_json(names) for run in runs], allow_nan=False))
        elif runs:
            _show(runs, "" if order == NEWEST_FIRST else field_of(order, found), names)
            if len(runs) < len(chosen):
                click.echo(f"{len(runs):,} of {len(chosen):,} runs (--limit)")
        else:
            click.echo(_nothing(folder, len(found)) + _hint(found, task, model))


def _names_of(columns: str | None, found: Sequence[Any]) -> list[str]:
    """The values that the user asked for; none for the usual ones."""
    from tfdl.errors import UserError
    from tfdl.reporting.value_names import value_name

    if columns is None:
        return []
    names = [name.strip() for name in columns.split(",")]
    if "" in names:
        raise UserError(f"--columns {columns!r}, expected names separated by commas, such as run,test,wall_seconds")
    return list(dict.fromkeys(value_name(name, found, f"--columns {name!r}") for name in names))


def _hint(found: Sequence[Any], task: str | None, model: str | None) -> str:
    """A task or a model of the runs whose name is close to the one that was asked for."""
    from tfdl.errors import nearest

    for received, known in ((task, {run.task for run in found}), (model, {run.model for run in found})):
        names = sorted(name for name in known if name)
        advice = nearest(received, names) if received is not None and received not in names else ""
        if advice:
            return f".{advice}"
    return ""


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


def _show(runs: Sequence[Any], sorted_by: str, names: Sequence[str]) -> None:
    """Prints the table.

    Args:
        runs: the runs.
        sorted_by: the field of the order that the user asked for; empty for the usual order.
        names: of the columns that the user asked for; none for the usual ones.
    """
    from tfdl.cli.run_table import chosen_page, run_page

    if names:
        click.echo(chosen_page(runs, names), nl=False)
        return
    split, _, metric = sorted_by.partition(".")
    if split in ("validation", "test") and all(run.metric in (metric, None) for run in runs):
        sorted_by = split  # this column has the metric already
    click.echo(run_page(runs, sorted_by), nl=False)
