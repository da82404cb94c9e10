"""Runs a long command whose output goes to a file, with a time limit. No process is left running behind it."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Patterns of the line that names a failure, the most specific first. make and pip only repeat that something failed.
_ERRORS = (
    # Compilers, linkers, nvcc and CMake.
    re.compile(
        r"\S: (fatal )?error: |nvcc (fatal|error)|undefined reference|cannot find -l|CMake Error"
        r"|internal compiler error|No space left on device"
    ),
    # The last line of a Python traceback, with horovodrun's mark of the rank before it.
    re.compile(r"^(\[[\d,]+\]<std\w+>:)?[\w.]+(Error|Exception): "),
    # pip's own error. Its note on the dependency resolver is no failure.
    re.compile(r"^(ERROR|error): (?!pip's dependency resolver)"),
)
_LONGEST_LINE = 300
_GRACE_SECONDS = 10
_WAIT_SECONDS = 20.0


def run_logged(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    folder: Path,
    timeout: float,
    on_wait: Callable[[float], None] | None = None,
) -> int | None:
    """Runs a command and appends its output to a log.

    Args:
        command: program and arguments.
        log: the file that the output is appended to.
        environment: all environment variables of the command.
        folder: the working directory of the command.
        timeout: seconds after which the command and everything it started is ended.
        on_wait: called about every 20 seconds with the seconds passed.

    Returns:
        The exit code, or ``None`` when the command ran out of time.
    """
    start = time.monotonic()
    with open(log, "ab") as output:
        output.write(f"$ {' '.join(command)}\n".encode())
        output.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,  # one process group, so that the compilers end together with pip
        )
        try:
            while (passed := time.monotonic() - start) < timeout:
                try:
                    return process.wait(min(_WAIT_SECONDS, timeout - passed))
                except subprocess.TimeoutExpired:
                    if on_wait is not None:
                        on_wait(time.monotonic() - start)
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process group: SIGTERM first, SIGKILL after ten seconds.

    horovodrun ends its ranks when it receives SIGTERM. They run in sessions of their own, where SIGKILL to this group
    would not reach them.
    """
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_GRACE_SECONDS)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def first_error(log: Path) -> str:
    """The first line of the most specific error in a log: a compiler's, an exception's or pip's; else the last line."""
    stripped = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in stripped if line and not line.startswith("$ ")]
    if not lines:
        return "no output"
    for pattern in _ERRORS:
        for line in lines:
            if pattern.search(line):
                return line[:_LONGEST_LINE]
    return lines[-1][:_LONGEST_LINE]
