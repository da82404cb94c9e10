"""From a run directory back to a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import MODELS, OPTIMIZERS, TASKS, TrainConfig
from tfdl.config.models.keras import KerasModelConfig
from tfdl.config.optimizers import KerasOptimizerConfig
from tfdl.errors import UserError
from tfdl.models import build_model, compute_precision
from tfdl.models.keras_model import load_model
from tfdl.models.low_rank import update_scale, without_updates
from tfdl.runs.checkpoint import load_checkpoint, verify
from tfdl.runs.merged_weights import read_merged
from tfdl.runs.model_size import check_model_size, num_values
from tfdl.runs.run_directory import RunDirectory
from tfdl.runs.variables import by_path
from tfdl.tasks.sample import build_on_sample
from tfdl.tasks.task import Task


@dataclass(frozen=True)
class LoadedRun:
    """A run's configuration, task and model with its weights."""

    run: RunDirectory
    config: TrainConfig
    task: Task
    model: Any


def load_run(
    path: str | Path | RunDirectory, checkpoint: str = "last", precision: str | None = None, *, merged: bool = False
) -> LoadedRun:
    """Rebuilds the model and reads its weights.

    Args:
        path: the run directory.
        checkpoint: ``last``, ``best``, or a folder's name.
        precision: the number format that the model computes in; none is the run's own. A Keras model of the user keeps
            its own.
        merged: whether updates of low rank are added to the kernels that they belong to, for a model that is only used.

    Raises:
        UserError: not a run directory, no such checkpoint, or parts of a plugin that was not imported.
        RunError: a damaged checkpoint.
    """
    run = RunDirectory.open(path)
    folder = run.checkpoint(checkpoint)
    config = run.read_config()
    task = load_task(run, config)
    is_merged = merged and update_scale(config.model) is not None
    if isinstance(config.model, KerasModelConfig):
        # Layers that a subclassed model makes for itself take the policy of the moment.
        with compute_precision(config.precision):
            model = load_model(run.assets, lambda rebuilt: build_on_sample(rebuilt, task), num_values(folder))
    else:
        check_model_size(config.model, task.model_arguments, folder)
        with compute_precision(precision or config.precision):
            model_config = without_updates(config.model) if is_merged else config.model
            model = build_model(model_config, **task.model_arguments)
    if is_merged:
        verify(folder)
        read_merged(folder, config.model, by_path(model.weights))
    else:
        load_checkpoint(folder, model, by_order=may_rename_variables(config))
    task.fit_to(model)
    return LoadedRun(run, config, task, model)


def may_rename_variables(config: TrainConfig) -> bool:
    """Whether variables may have other names when the run is built again, since not tfdl made layers or optimizer.

    Keras numbers layers and optimizers without a name over the whole process: ``dense_7/kernel``, ``adam_3/iteration``.

    Args:
        config: of the run.
    """
    is_object = isinstance(config.model, KerasModelConfig) or isinstance(config.optimizer, KerasOptimizerConfig)
    providers = {MODELS.part(config.model.name).provider, OPTIMIZERS.part(config.optimizer.name).provider}
    return is_object or providers != {"tfdl"}


def load_task(run: RunDirectory, config: TrainConfig) -> Task:
    """A run's task, without its data.

    Args:
        run: the run directory.
        config: of the run.

    Raises:
        UserError: the run's assets are missing or damaged.
    """
    try:
        task: Task = TASKS.load(config.task).load(run.assets)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"run {str(run.path)!r} is incomplete: {error}") from error
    return task
