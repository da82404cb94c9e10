"""Where a run may be written, decided before anything is."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig, to_mapping
from tfdl.errors import UserError
from tfdl.runs import RunDirectory

# What a resumed run may change: nothing that decides what it computes, but how long it goes on.
_FREE_ON_RESUME = {"epochs", "steps", "watchdog_timeout"}


@dataclass(frozen=True)
class Output:
    """A run directory that may be used, and the checkpoint to go on from, if any."""

    run: RunDirectory
    config: TrainConfig
    checkpoint: Path | None
    is_named_by_us: bool = False
    """Whether the directory may take another number when somebody else was quicker."""


def claim_output(
    output: str | Path | None, config: TrainConfig | None, *, resume: bool = False, overwrite: bool = False
) -> Output:
    """Says where the run goes; writes nothing.

    Raises:
        UserError: the directory holds another run or other files, is no directory, cannot be written, or the
            configuration differs from that of the run to be resumed.
    """
    if resume and overwrite:
        raise UserError("--resume and --overwrite, pass one of them, not both: continue the run, or replace it")
    if output is None:
        if resume:
            raise UserError("--resume without --output, expected the run to go on with: --output runs/NAME --resume")
        return Output(_new_run(config or TrainConfig()), config or TrainConfig(), None, is_named_by_us=True)
    run = RunDirectory(output)
    _check_place(run)
    if resume and run.has_run():
        config = _same_run(run.read_config(), config)
        return Output(run, config, run.newest_checkpoint())
    if not run.is_free() and not (overwrite and run.has_run()):
        raise UserError(_occupied(run))
    return Output(run, config or TrainConfig(), None)


def _new_run(config: TrainConfig) -> RunDirectory:
    dataset = config.dataset.name.replace("/", "-").replace(":", "-")
    name = f"{config.model.label}-{dataset}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = RunDirectory(Path("runs") / name)
    _check_place(run)
    return run


def _check_place(run: RunDirectory) -> None:
    """Every folder on the way must be one, and the nearest that exists must take files."""
    nearest = run.path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UserError(f"--output {str(run.path)!r}: {str(nearest)!r} is a file, expected a directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"--output {str(run.path)!r}: {str(nearest)!r} cannot be written; choose another --output")


def _same_run(old: TrainConfig, new: TrainConfig | None) -> TrainConfig:
    if new is None:
        return old
    before, after = _flat(to_mapping(old)), _flat(to_mapping(new))
    for key in {**before, **after}:
        if key not in _FREE_ON_RESUME and before.get(key) != after.get(key):
            raise UserError(
                f"--resume with {key}={after.get(key)!r}, but the run has {before.get(key)!r} (only epochs or steps may"
                " change); leave the option out, or start another run in a new --output"
            )
    return new


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _occupied(run: RunDirectory) -> str:
    if run.has_run():
        return (
            f"--output {str(run.path)!r} holds a run already; go on with it (--resume), replace it (--overwrite), or"
            " choose another directory"
        )
    return f"--output {str(run.path)!r} is not empty and holds no run; choose a new or empty directory"
