"""Decides where a run is written, before anything is written."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig, to_mapping
from tfdl.data.files.tree import name_of
from tfdl.errors import UserError
from tfdl.runs import RunDirectory

# Fields that a resumed run may change: its length, and what has no influence on its results.
_FREE_ON_RESUME = {
    *("epochs", "steps", "early_stopping_patience", "time_limit", "watchdog_timeout"),
    *("on_divergence", "max_rollbacks", "debug_numerics", "log_norms", "log_samples"),
    *("checkpoint_steps", "checkpoint_minutes", "checkpoint_shards", "on_checkpoint_error", "keep_checkpoints"),
}
# Bytes of a data set's name in that of a run directory.
_MOST_BYTES = 150


@dataclass(frozen=True)
class Output:
    """A run directory that may be used, and the checkpoint to resume from, if there is one."""

    run: RunDirectory
    config: TrainConfig
    checkpoint: Path | None
    before: TrainConfig | None = None
    """The configuration of a resumed run until now."""
    is_named_by_us: bool = False
    """Whether tfdl chose the name. The directory then gets another name if another run takes this one first."""
    replaces: bool = False
    """Whether a run that is in the directory is replaced."""
    note: str = ""
    """A line about a run that was to be resumed and begins at its first step."""


def claim_output(
    output: str | Path | None, config: TrainConfig | None, *, resume: bool = False, overwrite: bool = False
) -> Output:
    """Checks the run directory, and finds the checkpoint to resume from. Writes nothing.

    Args:
        output: the run directory; None for a new one in ``runs``.
        config: of the run; None for the default, or for the configuration of the resumed run.
        resume: continue the run in ``output``.
        overwrite: replace the run in ``output``.

    Raises:
        UserError: the directory contains another run or other files, or it cannot be written, or the configuration
            differs from that of the resumed run.
    """
    if resume and overwrite:
        raise UserError("--resume and --overwrite, pass one of them, not both: continue the run, or replace it")
    if output is None:
        if resume:
            raise UserError("--resume without --output, expected the run to continue: --output runs/NAME --resume")
        config = config or TrainConfig()
        return Output(_new_run(config), config, None, is_named_by_us=True)
    run = RunDirectory(output)
    _check_writable(run)
    if resume and run.has_run():
        _check_trained(run)
        run.check_links()
        before = run.read_config()
        checkpoint = run.newest_checkpoint()
        note = "" if checkpoint else f"--resume: {run.path} has no checkpoint yet, so the run begins at its first step"
        return Output(run, _same_run(before, config), checkpoint, before, replaces=checkpoint is None, note=note)
    if not run.is_free() and not (overwrite and run.has_run()):
        raise UserError(_occupied(run))
    note = f"--resume: {run.path} contains no run yet, so a new one begins" if resume else ""
    return Output(run, config or TrainConfig(), None, replaces=overwrite, note=note)


def _new_run(config: TrainConfig) -> RunDirectory:
    # TensorFlow opens no path with bytes that are not UTF-8.
    dataset = _end_of(name_of(Path(_name_in_words(config.dataset.name))))
    name = f"{config.model.label}-{dataset}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = RunDirectory(Path("runs") / name)
    _check_writable(run)
    return run


def _name_in_words(dataset: str) -> str:
    """A data set's name or path as a part of a file's name: ``wmt14_translate-de-en``, ``photos`` for ``./photos/``."""
    words = os.path.normpath(dataset).replace("/", "-").replace(":", "-").lstrip("-.~")
    return words or Path(dataset).expanduser().resolve().name


def _end_of(name: str) -> str:
    """The end of a long name, which says more than its beginning: the names of files are limited to 255 bytes."""
    return name.encode()[-_MOST_BYTES:].decode(errors="ignore").lstrip("-.~")


def _check_writable(run: RunDirectory) -> None:
    """Checks that the directory, or the nearest parent that exists, is a directory in which files can be made."""
    existing = run.path.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise UserError(f"--output {str(run.path)!r}: {str(existing)!r} is a file, expected a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"--output {str(run.path)!r}: {str(existing)!r} cannot be written; choose another --output")


def _check_trained(run: RunDirectory) -> None:
    """Raises ``UserError`` for a run that was imported: it has weights, but no training to continue."""
    if not run.is_imported():
        return
    path = str(run.path)
    raise UserError(
        f"--resume: {path!r} was imported, so there is no training to continue; train another run from its weights:"
        f" --initial-checkpoint {path}"
    )


def _same_run(old: TrainConfig, new: TrainConfig | None) -> TrainConfig:
    """The configuration of a resumed run, which may differ from the old one in a few fields only."""
    if new is None:
        return old
    if new.xla == "auto":
        new = new.replace(xla=old.xla)  # the run has recorded the choice
    before = _flat(to_mapping(old))
    after = _flat(to_mapping(new))
    for key in {**before, **after}:
        if key not in _FREE_ON_RESUME and before.get(key) != after.get(key):
            raise UserError(
                f"--resume with {key}={after.get(key)!r}, but the run has {before.get(key)!r} (only epochs, steps,"
                " time_limit and checkpoints may change); leave the option out, or start another run in a new"
                " --output"
            )
    return new


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as one level: ``{"model": {"units": 5}}`` becomes ``{"model.units": 5}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _occupied(run: RunDirectory) -> str:
    if run.has_run():
        return (
            f"--output {str(run.path)!r} already contains a run; continue it (--resume, in Python resume=True), replace"
            " it (--overwrite, overwrite=True), or choose another directory"
        )
    return f"--output {str(run.path)!r} is not empty and contains no run; choose a new or empty directory"
