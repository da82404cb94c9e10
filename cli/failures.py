"""How an error leaves the command line: one line on standard error, and the exit code of the contract."""

import errno
import re
import sys
import time
import traceback

import click

from tfdl.errors import RunError, StoppedError, UserError

FAILURE, BAD_INPUT = 1, 2

# How long a rank leaves it to the chief, which may have started later, to say what both met; the launcher ends it then.
_PATIENCE_SECONDS = 5.0

# Of TensorFlow's errors: places in a graph and in files, and counts; and what stands before the words in a line.
_TELLS_NOTHING = re.compile(r"\[\[|File \"|\d+ (root error|successful operation|derived error)")
_BEFORE_THE_CAUSE = re.compile(r"^\(\d+\)\s+|\{\{function_node [^}]*\}\}\s*")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def exit_code_of(error: BaseException) -> int:
    """2 for the user's input, 75 for a stop with a checkpoint, 1 for everything else."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILURE
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, UserError | RunError):
        return error.exit_code
    if isinstance(error, click.UsageError):
        return BAD_INPUT
    return FAILURE


def tell_other_ranks(error: BaseException) -> bool:
    """Tells the job's watchdog why this rank ends; whether it has printed the line. (Nothing heavy is imported.)"""
    watchdog = sys.modules.get("tfdl.distributed.watchdog.current")
    if watchdog is None or isinstance(error, click.exceptions.Exit | click.ClickException | click.Abort):
        return False
    told: bool = watchdog.current_watchdog().report_error(error, _line(error), exit_code_of(error))
    return told


def report_failure(error: BaseException, debug: bool, is_told: bool = False, is_ended: bool = False) -> None:
    """Prints the line: on the chief what all ranks meet alike, and on each rank what it met alone.

    Bad input is nearly always the same on all ranks, so that the others wait for the chief's line. A rank whose exit
    came first would have the launcher end the chief before it could speak; and one that is still there after the wait
    has met something of its own (a host without the data, say) and tells it.

    Args:
        error: what ended the command.
        debug: whether its traceback is printed as well.
        is_told: the watchdog has printed the line.
        is_ended: the launcher had already asked this rank to end when it met the error, so that another has spoken.
    """
    if is_told:
        if debug:
            traceback.print_exception(error)
        return
    if isinstance(error, SystemExit | click.exceptions.Exit):
        return
    if not speaks() and _is_bad_input(error):
        if is_ended:
            return
        time.sleep(_PATIENCE_SECONDS)
        if not speaks_when_left_alone():
            return
    elif not (speaks() or _is_alone(error)):
        return
    if debug:
        traceback.print_exception(error)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return
    rank = "" if speaks() else f"rank {launched_rank()}: "
    click.echo(f"tfdl: {rank}{_line(error)}", err=True)


def _is_bad_input(error: BaseException) -> bool:
    """An error that each rank found for itself, before the ranks had agreed on anything."""
    return isinstance(error, UserError | click.ClickException) and not getattr(error, "agreed", False)


def _is_alone(error: BaseException) -> bool:
    """Whether this rank failed by itself. Bad input is the same on all; a broken collective is another's doing."""
    shared = isinstance(error, UserError | StoppedError | click.ClickException | click.Abort | KeyboardInterrupt)
    return not shared and not getattr(error, "agreed", False) and type(error).__name__ != "HorovodInternalError"


def _line(error: BaseException) -> str:
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, click.ClickException):
        message = error.format_message().rstrip(".")
        message = message if message.endswith("?") else f"{message}."
        context = error.ctx if isinstance(error, click.UsageError) else None
        return f"error: {message} See {context.command_path} --help." if context else f"error: {message}"
    if isinstance(error, UserError | RunError):
        return f"error: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        where = f" {str(error.filename)!r}" if error.filename else ""
        advice = "; make room, or choose another --output" if error.errno in _FULL else ""
        return f"error: cannot use{where}: {error.strerror}{advice}"
    if type(error).__name__ == "ResourceExhaustedError":
        return "error: out of memory; lower --batch-size or --image-size"
    return f"internal error: {type(error).__name__}: {_cause(str(error))}; run again with --debug for the traceback"


def _cause(text: str) -> str:
    """The line that tells most: the first, or in a graph's error the last, that is more than a place or a count."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    telling = [line for line in lines if not _TELLS_NOTHING.match(line)] or [*lines, ""]
    line = telling[-1] if lines and lines[0].startswith("Graph execution error") else telling[0]
    return _BEFORE_THE_CAUSE.sub("", line)


def launched_rank() -> int | None:
    """This process's rank in the launcher's environment, before anything heavy is imported; ``None`` without one."""
    from tfdl.distributed import launchers

    return launchers.launched_rank()


def speaks() -> bool:
    """Whether this is the chief: ranks above 0 leave the word to it."""
    return launched_rank() in (None, 0)


def speaks_when_left_alone() -> bool:
    """Of the ranks above 0 that no launcher has ended, those that tell what they met."""
    from tfdl.distributed import launchers

    return launchers.speaks_when_left_alone()
