"""From a run directory back to a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig
from tfdl.errors import UserError
from tfdl.models import build_model, compute_precision
from tfdl.runs.checkpoint import load_checkpoint
from tfdl.runs.run_directory import RunDirectory
from tfdl.tasks import TASKS


@dataclass(frozen=True)
class LoadedRun:
    """A run's configuration, task and model with its weights."""

    run: RunDirectory
    config: TrainConfig
    task: Any
    model: Any


def load_run(path: str | Path | RunDirectory, checkpoint: str = "last", precision: str | None = None) -> LoadedRun:
    """Rebuilds the model from ``config.yaml`` and reads its weights.

    Args:
        path: the run directory.
        checkpoint: ``last``, ``best``, or a folder's name.
        precision: what the model computes in; none is the run's own.

    Raises:
        UserError: not a run directory, or no such checkpoint.
        RunError: a damaged checkpoint.
    """
    run = RunDirectory.open(path)
    folder = run.checkpoint(checkpoint)
    config = run.read_config()
    try:
        task = TASKS[config.task].load(run.assets)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"run {str(run.path)!r} is incomplete: {error}") from error
    with compute_precision(precision or config.precision):
        model = build_model(config.model, **task.model_arguments)
    load_checkpoint(folder, model)
    return LoadedRun(run, config, task, model)
