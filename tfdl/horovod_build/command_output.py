"""Runs a short command and returns its output, such as the version of a compiler."""

import subprocess
from collections.abc import Mapping, Sequence

_TIMEOUT_SECONDS = 120
# What a shell answers for a command that it cannot find.
_NOT_STARTED = 127


def output_of(command: Sequence[str], environment: Mapping[str, str], text: str = "") -> tuple[int, str]:
    """Runs a command to its end.

    Args:
        command: program and arguments.
        environment: all environment variables of the command.
        text: the command's standard input.

    Returns:
        The exit code, and standard output and standard error together. ``(127, "")`` when the command cannot be
        started or does not end in time.
    """
    try:
        completed = subprocess.run(
            command,
            input=text,
            env=dict(environment),
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return _NOT_STARTED, ""
    return completed.returncode, completed.stdout.strip()
