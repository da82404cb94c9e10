"""Options and arguments that several commands share."""

from collections.abc import Callable
from typing import Any

import click

from tfdl.errors import UserError

Command = Callable[..., Any]


def debug_option(command: Command) -> Command:
    """``--debug``: the group reads it from the command line, so no command receives it."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")(command)


def run_argument(command: Command) -> Command:
    """``RUN``: a run directory."""
    return click.argument("run", type=click.Path(), metavar="RUN")(command)


def checkpoint_option(command: Command) -> Command:
    """``--checkpoint``: the weights of the run to use."""
    return click.option(
        "--checkpoint",
        default="last",
        show_default=True,
        metavar="NAME",
        help="Weights to use: last, best, or a folder's name such as step-00000460.",
    )(command)


def json_option(command: Command) -> Command:
    """``--json``: the results for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")(command)


def check_length_penalty(has_beams: bool) -> None:
    """Raises ``UserError`` for ``--length-penalty`` without beams.

    Args:
        has_beams: whether beams are searched.
    """
    context = click.get_current_context()
    is_set = context.get_parameter_source("length_penalty") is not click.core.ParameterSource.DEFAULT
    if is_set and not has_beams:
        value = context.params["length_penalty"]
        raise UserError(f"--length-penalty {value} has no meaning without --beams N; leave it out")


def length_penalty_option(command: Command) -> Command:
    """``--length-penalty``: what beams are compared by."""
    return click.option(
        "--length-penalty",
        type=click.FloatRange(0),
        default=0.6,
        show_default=True,
        metavar="A",
        help="How much beam search prefers long texts: exponent of Wu et al. (2016).",
    )(command)
