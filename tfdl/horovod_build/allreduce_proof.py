"""Proves that an installed Horovod works: two ranks under the real horovodrun sum a tensor and check every element.

``prove`` starts the ranks. ``python -m tfdl.horovod_build.allreduce_proof FOLDER`` is the program of one rank, which
writes its result into the folder.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import RunError
from tfdl.horovod_build.logged_command import first_error, run_logged

RANKS = 2
# Elements of the tensor.
NUMBERS = 100_000
_TIMEOUT_SECONDS = 180


@dataclass(frozen=True)
class Proof:
    """The result of a proof: the device that held the tensor, and the launcher's time in seconds."""

    device: str
    seconds: float


def prove(launcher: Sequence[str], log: Path, environment: Mapping[str, str]) -> Proof:
    """Runs two ranks of this module.

    Args:
        launcher: horovodrun and the flag of its transport.
        log: the file that the ranks' output is appended to.
        environment: environment variables of the job.

    Raises:
        RunError: the ranks failed, or did not compute the right sum. The message names the log.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tfdl-proof-") as name:
        folder = Path(name)
        program = [sys.executable, "-m", "tfdl.horovod_build.allreduce_proof", str(folder)]
        command = [*launcher, "-np", str(RANKS), "-H", f"localhost:{RANKS}", *program]
        code = run_logged(command, log, _job_environment(environment), folder, _TIMEOUT_SECONDS)
        reports = [json.loads(file.read_text()) for file in folder.glob("rank-*.json")]
    if code is None:
        raise RunError(f"two ranks did not sum a tensor within {_TIMEOUT_SECONDS} s; the log is {log}")
    if code != 0:
        raise RunError(f"two ranks could not sum a tensor ({first_error(log)}); the log is {log}")
    ranks = sorted(report["rank"] for report in reports)
    if ranks != list(range(RANKS)):
        raise RunError(f"ranks {ranks} computed the right sum, expected {list(range(RANKS))}; the log is {log}")
    devices = {report["device"] for report in reports}
    return Proof(", ".join(sorted(devices)), time.monotonic() - start)


def _job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Puts this Python environment's programs first on PATH and makes this copy of tfdl importable, also a checkout."""
    programs = str(Path(sys.executable).parent)
    package_root = str(Path(__file__).resolve().parents[2])
    python_path = environment.get("PYTHONPATH")
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **environment,
        "PATH": os.pathsep.join([programs, environment.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([python_path, package_root]) if python_path else package_root,
    }


def main(folder: Path) -> None:
    """Runs one rank: contributes ``(rank + 1) * [0, 1, 2, ...]`` and writes a report when the whole sum is right."""
    import tensorflow as tf

    from tfdl import distributed

    world = distributed.init(elastic=False)
    if world.size != RANKS:
        raise RunError(f"the job has size {world.size}, expected {RANKS}")
    numbers = tf.range(NUMBERS, dtype=tf.float64)
    total = world.all_reduce(numbers * (world.rank + 1))
    tf.debugging.assert_equal(total, numbers * sum(range(1, RANKS + 1)))
    device = tf.DeviceSpec.from_string(total.device).device_type
    report = {"rank": world.rank, "device": device}
    (folder / f"rank-{world.rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
