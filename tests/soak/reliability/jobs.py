"""Starts a training command, on one rank or under horovodrun, and kills it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.distributed.launching import HOROVODRUN, environment

TFDL = (sys.executable, "-m", "tfdl")
# Far longer than any of these jobs takes.
_PATIENCE_SECONDS = 600.0


@dataclass
class Training:
    """A run that may take several processes: ``tfdl train --config FILE --output RUN --resume`` until it is done."""

    folder: Path
    """Gets the run, its data and the processes' output."""
    config: str
    """As YAML."""
    ranks: int = 1
    program: Sequence[str] = TFDL
    """What is started in place of ``tfdl``."""
    legs: list["Leg"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "config.yaml").write_text(self.config)

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.folder / "run"

    def start(self, *options: str) -> "Leg":
        """Starts a process that begins or resumes the run.

        Args:
            options: of ``tfdl train``.
        """
        paths = ("--config", str(self.folder / "config.yaml"), "--output", str(self.run))
        command = [*self.program, "train", *paths, "--resume", *options]
        if self.ranks > 1:
            command = [*HOROVODRUN, "-np", str(self.ranks), *command]
        log = self.folder / f"log-{len(self.legs)}.txt"
        variables = environment(TFDS_DATA_DIR=str(self.folder / "data"), TF_CPP_MIN_LOG_LEVEL="3")
        begin = time.time()
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=variables, cwd=self.folder)
        leg = Leg(self, process, log, begin)
        self.legs.append(leg)
        return leg

    def finish(self) -> dict[str, Any]:
        """Lets the run come to its end; returns its results.

        Raises:
            AssertionError: it ended otherwise.
        """
        leg = self.start()
        code = leg.wait()
        assert code == 0, f"the run ended with {code}: {leg.text[-2000:]}"
        return self.results

    @property
    def results(self) -> dict[str, Any]:
        """What must be equal in two runs, from ``summary.json``."""
        summary = json.loads((self.run / "summary.json").read_text())
        return {name: summary[name] for name in ("weights_sha256", "validation", "test", "steps", "epochs")}

    @property
    def is_done(self) -> bool:
        """Whether the run has its results."""
        return (self.run / "summary.json").exists()

    @property
    def newest_step(self) -> int:
        """The step of the newest complete checkpoint; 0 without one."""
        steps = (path.name.removeprefix("step-") for path in (self.run / "checkpoints").glob("step-*"))
        return max((int(step) for step in steps if step.isdecimal()), default=0)

    @property
    def unfinished(self) -> set[str]:
        """Names of checkpoints that are not complete."""
        return {path.name for path in (self.run / "checkpoints").glob(".step-*")}

    def lines(self) -> list[dict[str, Any]]:
        """The complete lines of ``metrics.jsonl``."""
        path = self.run / "metrics.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def remove(self) -> None:
        """Removes all files."""
        shutil.rmtree(self.folder)


@dataclass
class Leg:
    """One process of a training, or one job of several ranks."""

    training: Training
    process: "subprocess.Popen[bytes]"
    log: Path
    begin: float
    """When it was started, in seconds since the epoch."""

    @property
    def text(self) -> str:
        """Its output until now."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float = _PATIENCE_SECONDS) -> int:
        """Waits for its end; returns its exit code.

        Args:
            seconds: that it may take. After them it is killed.

        Raises:
            AssertionError: it took longer.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the job did not end within {seconds:.0f} s: {self.text[-2000:]}") from None

    def is_over_at(self, moment: float) -> bool:
        """Waits until a moment after the start, or its end.

        Args:
            moment: in seconds since the start.

        Returns:
            Whether it had ended before.
        """
        try:
            self.process.wait(max(0.0, self.begin + moment - time.time()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_for_steps(self) -> float | None:
        """Waits for its first report of steps.

        Returns:
            The seconds from the start until then; none if it has ended before.
        """
        while self.process.poll() is None:
            times = [line["time"] for line in self.training.lines() if line["kind"] == "steps"]
            later = [moment for moment in times if moment >= self.begin]
            if later:
                return later[0] - self.begin
            time.sleep(0.02)
        return None

    def steps_made(self) -> list[int]:
        """The steps that this leg has reported."""
        return [
            line["step"] for line in self.training.lines() if line["time"] >= self.begin and line["kind"] == "steps"
        ]

    def kill(self, rank: int | None = None) -> bool:
        """Kills a rank, or everything at once, as a machine without power does. Waits until nothing is left.

        Args:
            rank: which one; everything if it has not started.

        Returns:
            Whether a single rank was killed.
        """
        processes = _tree(self.process.pid)
        victims = [process for process in processes if rank is not None and _rank_of(process) == rank]
        _send(victims or processes, signal.SIGKILL)
        if victims:
            self.wait(120)
        self.process.wait()
        _, alive = psutil.wait_procs(processes, timeout=20)
        _send(alive, signal.SIGKILL)
        return bool(victims)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _rank_of(process: psutil.Process) -> int | None:
    """The rank of a process that trains; none of the shells and launchers around it."""
    try:
        if "train" not in process.cmdline() or "-np" in process.cmdline():
            return None
        return int(process.environ()["HOROVOD_RANK"])
    except (psutil.Error, KeyError):
        return None


def _send(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue
