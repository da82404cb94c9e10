"""How an error ends a command: one line on standard error, and an exit code (see docs/architecture.md)."""

import sys
import time
import traceback

import click

from tfdl.cli.other_names import advice_for
from tfdl.cli.signals import SignalledError
from tfdl.errors import DISK_FULL, RunError, StoppedError, UserError, advice_of, named_cause

FAILURE = 1
BAD_INPUT = 2

# How long a rank with bad input waits for rank 0, which may have started later, to print the error that both have. The
# launcher ends the rank while it waits.
_PATIENCE_SECONDS = 5.0
_LONGEST_MESSAGE = 2000


def exit_code_of(error: BaseException) -> int:
    """Returns 2 for bad input, 75 for a stop with a saved checkpoint, 128 and its number for any other signal, 1 for
    every other failure."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILURE
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, UserError | RunError | SignalledError):
        return error.exit_code
    if isinstance(error, click.UsageError):
        return BAD_INPUT
    return FAILURE


def report_to_watchdog(error: BaseException) -> bool:
    """Reports to the job's watchdog why this rank ends, so that it can end the other ranks.

    Returns:
        Whether the watchdog has printed the error.
    """
    # A process that has not imported the watchdog has none: importing it here would take TensorFlow's time.
    watchdog = sys.modules.get("tfdl.distributed.watchdog.current")
    if watchdog is None or isinstance(error, click.exceptions.Exit | click.ClickException | click.Abort):
        return False
    is_printed: bool = watchdog.current_watchdog().report_error(error, _line_of(error), exit_code_of(error))
    return is_printed


def report_failure(error: BaseException, debug: bool, is_printed: bool = False, is_terminated: bool = False) -> None:
    """Prints an error in one line, on the ranks that have to print it.

    An error that all ranks have is printed by rank 0. An error of one rank alone is printed by that rank.

    Args:
        error: what ended the command.
        debug: print the traceback as well.
        is_printed: the watchdog has already printed the line.
        is_terminated: the launcher had already sent SIGTERM when this rank met the error.
    """
    if is_printed:
        if debug:
            traceback.print_exception(error)
        _print_advice(error)
        return
    if isinstance(error, SystemExit | click.exceptions.Exit):
        return
    if not _prints_line(error, is_terminated):
        return
    if debug:
        traceback.print_exception(error)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return
    rank = "" if is_printing_rank() else f"rank {launched_rank()}: "
    click.echo(f"tfdl: {rank}{_line_of(error)}", err=True)
    _print_advice(error)


def _print_advice(error: BaseException) -> None:
    """Prints what to do next, as the last line."""
    advice = advice_of(error)
    if advice and is_printing_rank():
        click.echo(f"tfdl: {advice}", err=True)


def _prints_line(error: BaseException, is_terminated: bool) -> bool:
    """Whether this rank prints the error. A rank above 0 with bad input first waits for rank 0.

    Bad input is nearly always the same on all ranks. If a rank above 0 exited at once, the launcher would end rank 0
    before it could print. A rank that still runs after the wait has an error of its own, such as a host without the
    data, and prints it.
    """
    if is_printing_rank():
        return True
    if not _is_bad_input(error):
        return _is_of_this_rank(error)
    if is_terminated:
        return False  # another rank has printed the error and exited
    time.sleep(_PATIENCE_SECONDS)
    from tfdl.distributed import launchers

    return launchers.speaks_when_left_alone()


def _is_bad_input(error: BaseException) -> bool:
    """Whether each rank found this error by itself, before the ranks agreed on anything."""
    return isinstance(error, UserError | click.ClickException) and not getattr(error, "agreed", False)


def _is_of_this_rank(error: BaseException) -> bool:
    """Whether only this rank has the error.

    All ranks have bad input, stops and agreed errors in common. A broken collective is caused by another rank.
    """
    if isinstance(error, UserError | StoppedError | click.ClickException | click.Abort | KeyboardInterrupt):
        return False
    return not getattr(error, "agreed", False) and type(error).__name__ != "HorovodInternalError"


def _line_of(error: BaseException) -> str:
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SignalledError | StoppedError):
        return str(error)  # what was asked for is no error
    if isinstance(error, click.ClickException):
        return _line_of_click(error)
    if isinstance(error, UserError | RunError):
        return f"error: {_shown(error)}"
    if isinstance(error, OSError) and error.errno is not None:
        path = f" {str(error.filename)!r}" if error.filename else " a file"
        advice = "; make room, or write to another disk" if error.errno in DISK_FULL else ""
        return f"error: cannot use{path}: {error.strerror}{advice}"
    if isinstance(error, MemoryError):
        return "error: out of memory"
    # By name, so that this module imports no TensorFlow.
    if type(error).__name__ == "ResourceExhaustedError":
        return "error: out of memory; lower --batch-size or --image-size"
    # A process that has not imported this has no plugins.
    plugins = sys.modules.get("tfdl.plugins")
    place = plugins.plugin_at(error) if plugins is not None else ""
    kind = f"error in {place}" if place else "internal error"
    return f"{kind}: {named_cause(error)}; run again with --debug for the traceback"


def _shown(error: UserError | RunError) -> str:
    """An error's message, which may quote a file: not longer than a screen, and without what steers a terminal."""
    message = str(error)
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]} ..."
    kept = "\n" if isinstance(error, RunError) else ""  # some have several lines
    return "".join(
        character if character.isprintable() or character in kept else character.encode("unicode_escape").decode()
        for character in message
    )


def _line_of_click(error: click.ClickException) -> str:
    """Click's message as one sentence, with the command whose help explains it."""
    message = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and context is not None:
        known = [option for parameter in context.command.params for option in parameter.opts]
        advice = advice_for(error.option_name, known)
        if advice:
            message = f"No such option {error.option_name!r}. {advice}".rstrip(".")
    if message.startswith("Got unexpected extra argument") and context is not None and context.info_name == "train":
        message += "; every value needs an option, as in --model cnn"
    if not message.endswith("?"):
        message += "."
    if context is None:
        return f"error: {message}"
    return f"error: {message} See {context.command_path} --help."


def launched_rank() -> int | None:
    """The launcher's number of this process, without importing anything heavy; ``None`` without a launcher."""
    from tfdl.distributed import launchers

    return launchers.launched_rank()


def is_printing_rank() -> bool:
    """Whether this process prints: rank 0 prints for all ranks, and so does a process without a launcher."""
    return launched_rank() in (None, 0)
