"""Runs a command whose output goes to a file, with a time limit and nothing left running behind it."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# In this order: what compilers, linkers, nvcc and CMake write when they give up; an exception's last line; pip's word
# (make and pip only repeat that something failed, and pip's note on its resolver is no failure).
_ERRORS = (
    re.compile(
        r"\S: (fatal )?error: |nvcc (fatal|error)|undefined reference|cannot find -l|CMake Error"
        r"|internal compiler error|No space left on device"
    ),
    re.compile(r"^(\[[\d,]+\]<std\w+>:)?[\w.]+(Error|Exception): "),
    re.compile(r"^(ERROR|error): (?!pip's dependency resolver)"),
)
_GRACE_SECONDS = 10


def run_logged(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    folder: Path,
    timeout: float,
    on_wait: Callable[[float], None] | None = None,
) -> int | None:
    """Appends the command's output to ``log`` and returns its exit code, or None when it ran out of time.

    Args:
        timeout: seconds after which the command and everything it started is ended.
        on_wait: called about every 20 seconds with the seconds passed.
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
            start_new_session=True,  # one group, so that the compilers end with pip
        )
        try:
            while (passed := time.monotonic() - start) < timeout:
                try:
                    return process.wait(min(20.0, timeout - passed))
                except subprocess.TimeoutExpired:
                    if on_wait is not None:
                        on_wait(time.monotonic() - start)
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks first: horovodrun ends its ranks, which live in sessions of their own, when it is asked to stop."""
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
    """The first line in which a tool says what is wrong; without one, pip's own complaint or the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("$ ")]
    for pattern in _ERRORS:
        for line in lines:
            if pattern.search(line):
                return line[:300]
    return lines[-1][:300] if lines else "no output"
