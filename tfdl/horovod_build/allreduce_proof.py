"""The proof that a Horovod works: two ranks under the real horovodrun add up a tensor and check each number of it.

``prove`` starts it; ``python -m tfdl.horovod_build.allreduce_proof FOLDER`` is the program that each
rank runs, which leaves what it saw in the folder.
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
NUMBERS = 100_000
_TIMEOUT_SECONDS = 180


@dataclass(frozen=True)
class Proof:
    """What the ranks saw: the device that held the tensor, and the seconds from start to end of the launcher."""

    device: str
    seconds: float


def prove(launcher: Sequence[str], log: Path, environment: Mapping[str, str]) -> Proof:
    """Runs two ranks of this module under ``launcher`` (horovodrun and its transport flag).

    Raises:
        RunError: the ranks did not end well, or did not hold the right sum; names the log.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tfdl-proof-") as name:
        folder = Path(name)
        program = [sys.executable, "-m", "tfdl.horovod_build.allreduce_proof", str(folder)]
        command = [*launcher, "-np", str(RANKS), "-H", f"localhost:{RANKS}", *program]
        code = run_logged(command, log, _rank_environment(environment), folder, _TIMEOUT_SECONDS)
        seen = sorted(json.loads(file.read_text())["rank"] for file in folder.glob("rank-*.json"))
        devices = {json.loads(file.read_text())["device"] for file in folder.glob("rank-*.json")}
    if code is None:
        raise RunError(f"two ranks did not add up a tensor within {_TIMEOUT_SECONDS} s; the log is {log}")
    if code != 0:
        raise RunError(f"two ranks could not add up a tensor ({first_error(log)}); the log is {log}")
    if seen != list(range(RANKS)):
        raise RunError(f"ranks {seen} held the right sum, expected {list(range(RANKS))}; the log is {log}")
    return Proof(", ".join(sorted(devices)), time.monotonic() - start)


def _rank_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """This environment's programs first on PATH, and this very tfdl importable, from a checkout too."""
    package = str(Path(__file__).resolve().parents[2])
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **environment,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), package])),
    }


def main(folder: Path) -> None:
    """One rank: contributes ``(rank + 1) * [0, 1, 2, ...]``, and leaves a file when the whole sum is right."""
    import tensorflow as tf

    from tfdl import distributed

    world = distributed.init()
    if world.size != RANKS:
        raise RunError(f"{world.size} ranks joined, expected {RANKS}")
    numbers = tf.range(NUMBERS, dtype=tf.float64)
    total = world.all_reduce(numbers * (world.rank + 1))
    tf.debugging.assert_equal(total, numbers * sum(range(1, RANKS + 1)))
    device = tf.DeviceSpec.from_string(total.device).device_type
    report = {"rank": world.rank, "device": device}
    (folder / f"rank-{world.rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
