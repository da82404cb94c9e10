"""What a task takes over from the run whose weights a new run starts from: how inputs are read."""

from pathlib import Path

from tfdl.config import TrainConfig, load_yaml
from tfdl.config.initial_checkpoint import base_of
from tfdl.errors import UserError


def assets_of_inputs(config: TrainConfig, assets: Path | None) -> Path | None:
    """The assets that say how inputs are read, such as the tokenizer.

    They are those of a run that has begun before, or of the run whose weights a new run starts from; None for a run
    that starts from nothing.

    Args:
        config: of the run.
        assets: of a run that has begun before.

    Raises:
        UserError: the other run has another task.
    """
    if assets is not None or config.initial_checkpoint is None:
        return assets
    run, _ = base_of(config.initial_checkpoint)
    task = load_yaml(run / "config.yaml").get("task")
    if task != config.task:
        raise UserError(
            f"--initial-checkpoint {config.initial_checkpoint!r} is a run of {task}, expected one of {config.task};"
            " leave out --task"
        )
    return run / "assets"
