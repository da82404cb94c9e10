"""The errors that end a command in one line, each with its exit code."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """The user's input cannot be used: says what was received, what was expected and what to do. Exit code 2."""

    exit_code = 2


class RunError(RuntimeError):
    """The input was right and the work failed all the same (a full disk, a lost rank). Exit code 1."""

    exit_code = 1


def nearest(received: str, known: Iterable[str]) -> str:
    """``" Did you mean 'digits'?"`` when one of the known names is close to the received one, else ``""``."""
    found = difflib.get_close_matches(received, list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


class StoppedError(RunError):
    """A signal asked the run to stop, and a checkpoint was saved. Exit code 75."""

    exit_code = 75
    agreed = True
    """All ranks end with it."""


class StoppedBetweenStepsError(StoppedError):
    """A signal asked this rank to stop while no steps were under way; what is done is saved already. Exit code 75."""

    agreed = False
