"""Starts programs under the real horovodrun."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
HOROVODRUN = (sys.executable, str(HERE / "horovodrun.py"))
# Far longer than any of these jobs takes. A hang then fails one test instead of blocking the whole run.
TIMEOUT = 240.0


@dataclass(frozen=True)
class Finished:
    """A job's exit code, and the output of all ranks."""

    code: int
    output: str

    def lines_of(self, rank: int, stream: str = "stdout") -> list[str]:
        """One rank's lines, without horovodrun's prefix."""
        mark = f"[{rank}]<{stream}>:"
        return [line.removeprefix(mark) for line in self.output.splitlines() if line.startswith(mark)]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment with this interpreter's programs first on PATH."""
    folder = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", **extra}


def launch(ranks: int, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Finished:
    """Runs ``horovodrun -np RANKS COMMAND`` to its end.

    Args:
        ranks: The number of ranks.
        command: The program of each rank, and its arguments.
        cwd: The working directory.
        env: Environment variables to add.
    """
    job = start(ranks, *command, cwd=cwd, env=env)
    try:
        output, _ = job.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        job.terminate()  # horovodrun passes it on to its ranks
        output, _ = job.communicate()
        raise AssertionError(f"{command} on {ranks} ranks did not end within {TIMEOUT:.0f} s:\n{output}") from None
    return Finished(job.returncode, output)


def launch_in_turn(ranks: int, *commands: Sequence[str]) -> list[Finished]:
    """Runs several commands of tfdl in one job. Starting ranks takes longer than most commands here.

    Args:
        ranks: The number of ranks.
        commands: The arguments of each command, such as ``("evaluate", "runs/first")``. A command that fails ends the
            job.

    Returns:
        For each command that ran, its exit code and the lines that the ranks have printed meanwhile.
    """
    job = launch(ranks, *program("commands"), json.dumps(commands))
    codes: dict[int, int] = {}
    lines: defaultdict[int, list[str]] = defaultdict(list)
    num_ended: Counter[str] = Counter()
    for line in job.output.splitlines():
        prefix = re.match(r"\[\d+\]<\w+>:", line)
        if prefix is None:
            continue  # the launcher's own line
        stream = prefix[0]
        number = num_ended[stream]
        end = re.fullmatch(r"command ended: (\d+)", line.removeprefix(stream))
        if end is None:
            lines[number].append(line)
        else:
            codes[number] = max(codes.get(number, 0), int(end[1]))
            num_ended[stream] += 1
    if job.code != 0 and not any(codes.values()):
        raise AssertionError(f"a rank has ended within a command:\n{job.output}")
    return [Finished(code, "\n".join(lines[number])) for number, code in sorted(codes.items())]


def start(
    ranks: int, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Starts the same job as ``launch``, and returns while it runs."""
    return subprocess.Popen(
        [*HOROVODRUN, "-np", str(ranks), *command],
        cwd=cwd,
        env=environment(**(env or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def program(name: str) -> tuple[str, str, str]:
    """A program of ``tests/distributed/programs``, as a command that starts it quickly."""
    return sys.executable, str(HERE / "quickly.py"), str(PROGRAMS / f"{name}.py")


def has_horovod() -> bool:
    """Whether the launcher is installed."""
    return shutil.which("horovodrun", path=str(Path(sys.executable).parent)) is not None
