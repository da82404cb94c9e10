"""A run on a disk of 3 MB: what is left when it is full, and does the run resume when there is room again?

    python -m tests.soak.reliability.full_disk

The disk is a tmpfs, which needs root to mount. It gets more room before the run is resumed. The control is the same run
on a disk with room.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.soak.reliability.cases import config_of
from tests.soak.reliability.jobs import Training
from tests.soak.reliability.results import add_output_options, report
from tfdl.config import to_yaml
from tfdl.runs.checkpoint import DamagedCheckpointError, verify
from tfdl.runs.checkpoint_folder import newest_first

CASE = "CNN, augmentation, batch normalization"
# A checkpoint of half a megabyte, and many of them.
CHANGES = {"model.units": 128, "keep_checkpoints": 50, "steps": 200}
SMALL = "3m"
LARGE = "64m"


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """Mounts a disk of a size on a new folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_room(folder: Path) -> None:
    """Gives a mounted disk more room."""
    subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(folder)], check=True)


def damaged(checkpoints: Path) -> list[str]:
    """Names of the checkpoints that are not whole."""
    names = []
    for path in newest_first(checkpoints):
        try:
            verify(path)
        except DamagedCheckpointError:
            names.append(path.name)
    return names


def row_of(on_error: str, size: str, folder: Path, expected: dict[str, Any] | None) -> dict[str, Any]:
    """Trains on a disk, then resumes with more room; returns a row of the table with the results."""
    training = Training(folder, to_yaml(config_of(CASE, 10, CHANGES, {"on_checkpoint_error": on_error})))
    with disk(training.run, size):
        leg = training.start()
        code = leg.wait()
        messages = [line for line in leg.text.splitlines() if line.startswith("tfdl: ") or "warning" in line]
        whole = len(newest_first(training.run / "checkpoints"))
        faults = damaged(training.run / "checkpoints")
        hidden = training.unfinished
        make_room(training.run)
        results = training.finish()
    return {
        "disk": size,
        "`--on-checkpoint-error`": on_error,
        "exit code": code,
        "messages": len(messages),
        "the first": messages[0].strip() if messages else "none",
        "whole checkpoints": whole - len(faults),
        "damaged or unfinished": len(faults) + len(hidden),
        "resumed to the same bits": "yes" if expected in (None, results) else "no",
        "results": results,
    }


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Prints a row for each run, and returns them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output_options(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tfdl-disk-") as name:
        rows = [row_of("stop", LARGE, Path(name) / "large", None)]
        expected = rows[0].pop("results")
        for on_error in ("stop", "continue"):
            rows.append(row_of(on_error, SMALL, Path(name) / on_error, expected))
            rows[-1].pop("results")
    report(rows, {}, options)
    return rows


if __name__ == "__main__":
    main()
