"""Starts programs under horovodrun's elastic launcher, with faults, and reads their results."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.distributed.launching import HOROVODRUN, TIMEOUT, Finished, environment, program

# Three host names for Horovod, which are all this machine. One slot on each, because Horovod excludes the whole host of
# a failed rank.
HOSTS = ("localhost", "127.0.0.1", "LOCALHOST")
SMALL = ("--set", "model.filters=[8]", "--set", "model.units=16", "--set", "model.dropout=0.2")


def train(
    folder: Path,
    faults: Sequence[tuple[str, int, int]],
    *options: str,
    ranks: int = 2,
    launcher: Sequence[str] = ("--min-np", "1", "--max-np", "4"),
    **env: str,
) -> Finished:
    """Runs ``tfdl train`` with the given faults. The run directory is ``folder/run``.

    Args:
        folder: An empty folder.
        faults: The action, rank and step of each fault; see ``programs/elastic_train.py``.
        options: Options of ``tfdl train``.
        ranks: The number of ranks at the start.
        launcher: Options of horovodrun.
        env: Environment variables.
    """
    command = [
        *program("elastic_train"), "train", "--output", str(folder / "run"),
        "--set", "dataset.augmentation=none", "--set", "steps_per_execution=5", *options,
    ]  # fmt: skip
    return run(folder, command, faults, ranks, HOSTS[:ranks], launcher, **env)


def run_script(
    folder: Path,
    faults: Sequence[tuple[str, int, int, int]],
    *,
    ranks: int = 2,
    spare_hosts: Sequence[str] = (),
    max_ranks: int = 4,
    time_limit: float = TIMEOUT,
    **env: str,
) -> Finished:
    """Runs ``programs/elastic_script.py`` with the given faults.

    Args:
        folder: An empty folder.
        faults: The action, rank, epoch and batches of each fault.
        ranks: The number of ranks at the start.
        spare_hosts: Hosts that the launcher may use in place of lost ones.
        max_ranks: The most ranks.
        time_limit: Seconds after which the job is ended, and the test fails.
        env: Environment variables.
    """
    hosts = [*HOSTS[:ranks], *spare_hosts]
    launcher = ["--min-np", "1", "--max-np", str(max_ranks)]
    if len(hosts) == 1:
        launcher += ["--network-interfaces", "lo"]  # otherwise the launcher waits for a second host
    return run(folder, program("elastic_script"), faults, ranks, hosts, launcher, time_limit, **env)


def run(
    folder: Path,
    command: Sequence[str],
    faults: Sequence[Sequence[Any]],
    ranks: int,
    hosts: Sequence[str],
    launcher: Sequence[str],
    time_limit: float = TIMEOUT,
    **env: str,
) -> Finished:
    """Runs a command under horovodrun's elastic launcher.

    Args:
        folder: An empty folder.
        command: The program of each rank.
        faults: What the program reads from ``FAULTS``.
        ranks: The number of ranks at the start.
        hosts: Names of this machine, each for one rank.
        launcher: Options of horovodrun.
        time_limit: Seconds after which the job is ended.
        env: Environment variables.

    Raises:
        AssertionError: The job did not end within the time limit; with its output.
    """
    (folder / "hosts").write_text("".join(f"{host}:1\n" for host in hosts))
    script = folder / "discover_hosts.sh"
    script.write_text(f"#!/bin/sh\ncat {folder}/hosts\n")
    script.chmod(0o755)
    horovodrun = [*HOROVODRUN, "-np", str(ranks), *launcher, "--host-discovery-script", str(script)]
    env |= {"FAULTS": json.dumps(faults), "FOLDER": str(folder)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    job = subprocess.Popen([*horovodrun, *command], env=environment(**env), **pipes)
    try:
        output, _ = job.communicate(timeout=time_limit)
    except subprocess.TimeoutExpired:
        job.terminate()  # horovodrun passes it on to its ranks
        output, _ = job.communicate()
        raise AssertionError(f"{command} did not end within {time_limit:.0f} s:\n{output}") from None
    return Finished(job.returncode, output)


def results(job: Finished) -> list[dict[str, Any]]:
    """What each rank of ``programs/elastic_script.py`` has printed at its end."""
    return [json.loads(end.removeprefix("end: ")) for end in ends(job)]


def changes(run: Path) -> list[dict[str, Any]]:
    """The run's records of changes of the number of ranks."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "ranks"]


def ends(job: Finished) -> list[str]:
    """The last line of each rank that ended well, without horovodrun's prefix."""
    return [line.split(":", 1)[1] for line in job.output.splitlines() if ">:end: " in line]
