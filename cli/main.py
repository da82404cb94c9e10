"""The ``tfdl`` command group: imports a command's module when it is used, and turns errors into exit codes."""

import io
import keyword
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import import_module
from threading import Event
from typing import Any

import click

from tfdl import __version__
from tfdl.cli.failures import exit_code_of, launched_rank, report_failure, report_to_watchdog
from tfdl.cli.notices import print_notices
from tfdl.cli.pipes import drop_unreadable_output
from tfdl.cli.signals import EndingSignals, delayed_termination
from tfdl.errors import nearest

# Name -> the line that `tfdl --help` prints. A command's module is imported only when the command is used.
COMMANDS = {
    "train": "Train a model and write a run directory.",
    "runs": "List runs with their state and their results.",
    "report": "Write a page about a run, or about several runs side by side.",
    "evaluate": "Measure a trained run on one of its splits.",
    "predict": "Answer new inputs with a trained run.",
    "import": "Make a run of a pretrained Hugging Face model.",
    "generate": "Write texts with a trained language model.",
    "export": "Write a run as a SavedModel and prove that it gives the same answers.",
    "serve": "Answer HTTP requests with trained models.",
    "datasets": "List data sets, describe one, or prepare one.",
    "models": "List the models, or describe one.",
    "doctor": "Report what is installed, what is wrong and how to fix it.",
    "install-horovod": "Build Horovod against the installed TensorFlow.",
    "completion": "Print the script that completes tfdl commands in your shell.",
}
# Training saves a checkpoint when it is asked to end, and a server answers the requests that it has.
HANDLE_SIGNALS = ("train", "serve")


class LazyGroup(click.Group):
    """A group that imports no command for its help, which makes ``tfdl --help`` fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module_name = name.replace("-", "_")
        if keyword.iskeyword(module_name):
            module_name += "_"  # no module can be called `import`
        module = import_module(f"tfdl.cli.{module_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"unknown command {args[0]!r}, expected one of {', '.join(COMMANDS)}.{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


EPILOG = """\b
Examples:
  tfdl train --model cnn
  horovodrun -np 4 tfdl train
  tfdl evaluate runs/cnn
  tfdl predict runs/cnn scan.png
  tfdl generate runs/transformer --prompt "ROMEO:"
  tfdl export runs/cnn exported/cnn
  tfdl serve exported/cnn
"""


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tfdl")
def group() -> None:
    """Train Keras 3 models on TensorFlow, on one device or data-parallel under Horovod."""


def main(args: list[str] | None = None, prog_name: str | None = "tfdl") -> None:
    """Runs one command. Every error ends as one line and an exit code (see docs/architecture.md).

    Args:
        args: the arguments; by default those of the process.
        prog_name: the program's name in help texts.
    """
    _escape_what_cannot_be_printed()
    print_notices()
    arguments = sys.argv[1:] if args is None else args
    termination_requested = Event()
    ending = EndingSignals()
    code: Any
    try:
        with _signals(arguments, termination_requested, ending):
            code = group.main(arguments, prog_name=prog_name, standalone_mode=False)
    except BaseException as error:  # no error may end in a traceback without --debug
        cause = ending.error or error
        debug = "--debug" in arguments
        is_printed = report_to_watchdog(cause)
        with suppress(OSError):  # nobody may be there to read it, such as a terminal that was closed
            report_failure(cause, debug, is_printed, is_terminated=termination_requested.is_set())
        code = exit_code_of(cause)
        if ending.error is not None:
            drop_unreadable_output()
    sys.exit(code if isinstance(code, int) else 0)


def _signals(
    arguments: list[str], termination_requested: Event, ending: EndingSignals
) -> AbstractContextManager[object]:
    """How the command takes the signals that ask it to end."""
    if launched_rank() is not None:
        return delayed_termination(termination_requested)
    if arguments and arguments[0] in HANDLE_SIGNALS:
        return nullcontext()
    return ending


def _escape_what_cannot_be_printed() -> None:
    """A path may hold bytes that are no text in any encoding; printing it must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
