"""A job of a real Slurm: its state, its output, and waiting for them."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Far longer than anything that is waited for here. A hang then fails one test instead of blocking the whole run.
PATIENCE = 400.0
POLL_SECONDS = 0.2


class SlurmJob:
    """A job that was submitted.

    Args:
        run: runs one of Slurm's commands.
        processes: returns the processes of jobs.
        number: of the job; of a task of an array such as ``7_3``.
        output: the file of its output.
    """

    def __init__(self, run: Callable[..., str], processes: Callable[[], Sequence[object]], number: str, output: Path):
        self._run = run
        self._processes = processes
        self.number = number
        self._output = output

    def field(self, name: str) -> str:
        """A field of ``scontrol show job``, such as ``JobState``."""
        text = self._run("scontrol", "show", "job", self.number)
        match = re.search(rf"\b{name}=(\S*)", text)
        assert match is not None, text
        return match[1]

    @property
    def state(self) -> str:
        """The job's state, such as ``RUNNING``."""
        return self.field("JobState")

    @property
    def restarts(self) -> int:
        """How often the job has been requeued."""
        return int(self.field("Restarts"))

    @property
    def output(self) -> str:
        """What the job has printed until now."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def wait_for_output(self, words: str) -> None:
        """Waits until the job has printed some words."""
        self._wait(lambda: words in self.output, f"the words {words!r}")

    def wait_for_ranks(self) -> None:
        """Waits until the job's first step has started."""
        first_step = f"{self.number}.0"
        self._wait(lambda: first_step in self._run("squeue", "-h", "-s", "-o", "%i").split(), "the ranks")

    def wait_for_restart(self, count: int = 1) -> None:
        """Waits until the job has been requeued so often."""
        self._wait(lambda: self.restarts >= count, f"{count} restarts")

    def wait_for_end(self) -> str:
        """Waits for the job's end, and returns its state."""
        ended = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
        self._wait(lambda: self.state in ended, "the job's end")
        return self.state

    def signal(self, *arguments: str) -> None:
        """``scancel`` with arguments, such as ``--signal=USR1``."""
        self._run("scancel", *arguments, self.number)

    def start_again(self) -> None:
        """Starts a requeued job, once its processes have ended; Slurm lets it wait for two minutes."""
        self._wait(lambda: not self._processes(), "the end of all processes")
        self._run("scontrol", "update", f"JobId={self.number}", "StartTime=now")

    def _wait(self, is_true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_true():
            assert time.monotonic() < deadline, f"{what} did not come; {self.state}:\n{self.output}"
            time.sleep(POLL_SECONDS)
