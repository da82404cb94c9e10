"""A trial of every part of a run, in seconds: the smoke test before a long job."""

import dataclasses
from pathlib import Path

from tfdl.config import TrainConfig

_STEPS = 2


def shortened(config: TrainConfig) -> TrainConfig:
    """The configuration of the trial: two steps, each with a validation and a checkpoint, then the evaluation.

    The schedule stays the run's own. Validation and test have one batch of samples.

    Args:
        config: of the run.
    """
    optimizer = config.optimizer
    if not (optimizer.schedule_steps or optimizer.schedule_epochs):
        length = {"schedule_epochs": float(config.epochs)} if config.epochs else {"schedule_steps": config.steps}
        optimizer = dataclasses.replace(optimizer, **length)
    limits = {
        f"limit_{split}_samples": min(config.sample_limits[split] or config.batch_size, config.batch_size)
        for split in ("validation", "test")
    }
    return config.replace(optimizer=optimizer, epochs=None, steps=_STEPS, validation_steps=1, **limits)


def trial_directory(output: str | Path | None) -> Path:
    """Where the trial writes: beside the run, on the same disk.

    Args:
        output: the run directory; none for a new one below ``runs``.
    """
    if output is None:
        return Path("runs", "fast-dev-run")
    path = Path(output)
    return path.with_name(f"{path.name}.fast-dev-run")
