"""Starts ``tfdl train --elastic`` under horovodrun's elastic launcher, with faults, and reads its results."""

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
    launcher: Sequence[str] = ("--min-np", "1"),
    **env: str,
) -> Finished:
    """Runs a job with the given faults, whose run directory is ``folder/run``.

    Args:
        folder: An empty folder.
        faults: The action, rank and step of each fault; see ``programs/elastic_train.py``.
        options: Options of ``tfdl train``.
        ranks: The number of ranks at the start.
        launcher: Options of horovodrun.
        env: Environment variables.
    """
    hosts = [f"{host}:1\n" for host in HOSTS[:ranks]]
    (folder / "hosts").write_text("".join(hosts))
    script = folder / "discover_hosts.sh"
    script.write_text(f"#!/bin/sh\ncat {folder}/hosts\n")
    script.chmod(0o755)
    command = [
        *HOROVODRUN, "-np", str(ranks), "--max-np", "4", *launcher,
        "--host-discovery-script", str(script), *program("elastic_train"), "train", "--output", str(folder / "run"),
        "--set", "dataset.augmentation=none", "--set", "steps_per_execution=5", *options,
    ]  # fmt: skip
    env |= {"FAULTS": json.dumps(faults), "FOLDER": str(folder)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, env=environment(**env), timeout=TIMEOUT, check=False, **pipes)
    return Finished(done.returncode, done.stdout)


def changes(run: Path) -> list[dict[str, Any]]:
    """The run's records of changes of the number of ranks."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "ranks"]


def ends(job: Finished) -> list[str]:
    """The last line of each rank that ended well, without horovodrun's prefix."""
    return [line.split(":", 1)[1] for line in job.output.splitlines() if ">:end: " in line]
