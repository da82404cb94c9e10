"""Errors that end a command with one line, and their exit codes."""

import difflib
import errno
import re
import textwrap
from collections.abc import Iterable
from typing import ClassVar

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The numbers of errors that mean: no space on the device, quota exceeded, file too large."""

_LONGEST_LINE = 300
# Letters of the beginning of a name that make it a suggestion.
_SHORTEST_BEGINNING = 3
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")

# AutoGraph's message: places with four spaces and code with eight, then the error with four.
_IN_USER_CODE = re.compile(r"in user code:$.*?^ {4}(?!File \")(?P<name>\w+):?(?P<message>.*)", re.DOTALL | re.MULTILINE)
# Keras's message: what was called, then the error.
_IN_KERAS = re.compile(
    r"Exception encountered when calling [^\n]*\n|Could not automatically infer .*?Error encountered:", re.DOTALL
)
# Lines of TensorFlow's errors without a cause: places in a graph or a file, and counts of errors.
_NO_CAUSE = re.compile(r"\[\[|File \"|\d+ (root error|successful operation|derived error)")
# What TensorFlow prints before the message in a line.
_MESSAGE_PREFIX = re.compile(r"^\(\d+\)\s+|\{\{function_node [^}]*\}\}\s*")


class UserError(ValueError):
    """The user's input cannot be used. The message says what was received, what was expected and how to fix it.

    Exit code 2.
    """

    exit_code: ClassVar[int] = 2
    agreed: bool = False
    """Whether every rank ends with this error; then one rank reports it."""


class RunError(RuntimeError):
    """The input was correct, but the work failed (a full disk, a lost rank). Exit code 1."""

    exit_code: ClassVar[int] = 1
    agreed: bool = False
    """As for ``UserError``."""


class StoppedError(RunError):
    """A signal asked the run to stop, and a checkpoint was saved. Exit code 75."""

    exit_code: ClassVar[int] = 75
    agreed = True


class StoppedBetweenStepsError(StoppedError):
    """A signal asked this rank to stop while no steps were running. Everything is saved already. Exit code 75."""

    agreed = False


def exit_code(error: BaseException) -> int:
    """The exit code of a run that ends with this error; 1 for an error that is not tfdl's."""
    if isinstance(error, UserError | RunError):
        return error.exit_code
    return RunError.exit_code


def mark_agreed(error: BaseException) -> None:
    """Records that every rank ends with this error, which may also be an error of Python or TensorFlow."""
    error.agreed = True  # type: ignore[attr-defined]


def is_agreed(error: BaseException) -> bool:
    """Whether every rank ends with this error."""
    return bool(getattr(error, "agreed", False))


def advise(error: BaseException, advice: str) -> None:
    """Adds what the user can do next to an error; it is shown after the error, and below Python's traceback.

    Args:
        error: that ends the run.
        advice: in one line; nothing is added if it is empty.
    """
    if advice:
        error.advice = advice  # type: ignore[attr-defined]
        error.add_note(advice)


def advice_of(error: BaseException) -> str:
    """What ``advise`` added to an error; empty if it added nothing."""
    return str(getattr(error, "advice", ""))


def first_line(error: BaseException) -> str:
    """The first line of an error's message that names the cause, or the error's type if there is none.

    Before the cause, Keras's and TensorFlow's messages have lines about places in the code.
    """
    if isinstance(error, SystemExit) and not isinstance(error.code, str):
        return f"exit with code {error.code}"
    name, line = _cause(error)
    return line or name


def named_cause(error: BaseException) -> str:
    """The error's type and the line that names the cause, such as ``ValueError: too short``.

    An error of a function that AutoGraph converted has the type that was raised there.
    """
    return cause_in(type(error).__name__, str(error))


def cause_in(name: str, message: str) -> str:
    """``named_cause`` of an error of another process.

    Args:
        name: of the error's type.
        message: the error's.
    """
    name, line = _parted_cause(name, message)
    return f"{name}: {line}" if line else name


def _cause(error: BaseException) -> tuple[str, str]:
    """The name of the error's type, and the line of its message that names the cause."""
    return _parted_cause(type(error).__name__, str(error))


def _parted_cause(name: str, message: str) -> tuple[str, str]:
    text = _plain(message)
    converted = _IN_USER_CODE.match(text)
    if converted:
        name = converted["name"]
        text = converted["message"].strip()
    while wrapped := _IN_KERAS.match(text):
        text = text[wrapped.end() :].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return name, ""
    candidates = [line for line in lines if not _NO_CAUSE.match(line)] or lines
    # An error of a graph's execution begins with a traceback.
    line = candidates[-1] if lines[0].startswith("Graph execution error") else candidates[0]
    return name, _MESSAGE_PREFIX.sub("", line)


def in_one_line(message: str) -> str:
    """A message of many lines as one of at most 300 characters, which ends between two words."""
    return textwrap.shorten(_plain(message), _LONGEST_LINE, placeholder=" ...")


def _plain(message: str) -> str:
    """A message without the codes of a terminal's colours and bold letters, which Keras writes."""
    return _TERMINAL_CODES.sub("", message).strip()


def nearest(received: str, known: Iterable[str]) -> str:
    """``" Did you mean 'digits'?"`` when one of the known names is close to the received one, else ``""``.

    Small and capital letters are not distinguished. Without a name that is spelled like the received one, the first
    name is suggested that begins with it: ``lstm-small`` for ``lstm``.

    Args:
        received: the unknown name.
        known: all valid names.
    """
    by_lower_case: dict[str, str] = {}
    for name in known:
        by_lower_case.setdefault(name.lower(), name)
    lower_case = received.lower()
    matches = difflib.get_close_matches(lower_case, list(by_lower_case), n=1, cutoff=0.6)
    if not matches and len(lower_case) >= _SHORTEST_BEGINNING:
        matches = [name for name in by_lower_case if name.startswith(lower_case)][:1]
    return f" Did you mean {by_lower_case[matches[0]]!r}?" if matches else ""
