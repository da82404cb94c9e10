"""Starts a job with a fault on one rank, and records its output, its time and its processes."""

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.distributed.launching import TIMEOUT, program, start

MARK = "FAULT"
SMALL = ("--set", "model.filters=[4]", "--set", "model.units=8", "--set", "dataset.image_size=[8,8]", "--epochs", "50")


@dataclass(frozen=True)
class Aftermath:
    """A job after a fault on one of its ranks."""

    code: int | None
    """``None`` if the job was still running and the test ended it."""
    lines: list[str]
    seconds: float
    """From the fault to the end of the last rank. The launcher may take five seconds more: it sends SIGTERM to the
    shell in which a rank ran, and waits that long if the shell does not end."""
    left: list[str]
    """The command lines of processes that are still running."""
    status: dict[str, Any]

    @property
    def complaints(self) -> list[str]:
        """tfdl's own lines, without the launcher's prefix."""
        return [line[line.index("tfdl: ") :] for line in self.lines if "tfdl: " in line]


def train(fault: str, rank: int, run: Path, *options: str, ranks: int = 2, patience: float = TIMEOUT) -> Aftermath:
    """``tfdl train`` with a fault on one rank after six steps.

    Args:
        fault: A case of ``programs/faulty_train.py``.
        rank: The rank that has the fault.
        run: The run directory.
        options: Options of ``tfdl train``.
        ranks: The number of ranks.
        patience: The seconds after the fault until the job is ended.
    """
    command = (*program("faulty_train"), fault, str(rank), "--output", str(run), *SMALL, *options)
    return follow(ranks, command, patience, run)


def follow(ranks: int, command: tuple[str, ...], patience: float = TIMEOUT, run: Path | None = None) -> Aftermath:
    """Runs a job to its end, or for ``patience`` seconds after the fault.

    Args:
        ranks: The number of ranks.
        command: The program of each rank, which prints MARK when the fault happens.
        patience: The seconds after the fault until the job is ended.
        run: The job's run directory, if it has one.
    """
    job = start(ranks, *command, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    assert job.stdout is not None
    lines: list[str] = []
    for line in job.stdout:
        lines.append(line.rstrip())
        if MARK in line:
            break
    begin = time.monotonic()
    launcher = psutil.Process(job.pid)
    processes = [launcher, *launcher.children(recursive=True)]
    rank_processes = [process for process in processes if _is_rank(process)]
    code: int | None = None
    with ThreadPoolExecutor() as pool:
        end = pool.submit(_end_of, rank_processes)
        try:
            output, _ = job.communicate(timeout=patience)
            code = job.returncode
        except subprocess.TimeoutExpired:
            job.terminate()  # horovodrun: SIGTERM to its ranks, SIGKILL 5 s later
            output, _ = job.communicate()
        if code is not None:
            # horovodrun may end a few seconds after its ranks; see ``Aftermath.seconds``.
            assert time.monotonic() - end.result() < 10, "horovodrun outlived its ranks"
        seconds = end.result() - begin
    _, alive = psutil.wait_procs(processes, timeout=3)
    left = [" ".join(process.cmdline()) for process in alive if process.is_running()]
    for process in alive:
        process.kill()
    status = {}
    if run is not None:
        status = json.loads((run / "status.json").read_text())
    return Aftermath(code, lines + output.splitlines(), seconds, left, status)


def _is_rank(process: psutil.Process) -> bool:
    """Whether the process is a program that the launcher started, and not the shell around it."""
    try:
        return "HOROVOD_RANK" in process.environ()
    except psutil.NoSuchProcess:
        return False


def _end_of(ranks: list[psutil.Process]) -> float:
    """The time when the last of the ranks had ended, or the time limit was reached."""
    psutil.wait_procs(ranks, timeout=TIMEOUT)
    return time.monotonic()


def check_complaints(job: Aftermath) -> None:
    """A run has ended with the cause and with how to continue, and with nothing else."""
    assert len(job.complaints) == 2, job.lines
    assert re.search(r"^tfdl: (no checkpoint|the checkpoint of step \d+) (was|is) saved; ", job.complaints[1])
