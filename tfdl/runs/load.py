"""From a run directory back to a model."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import MODELS, OPTIMIZERS, TASKS, ModelConfig, TrainConfig
from tfdl.config.models.keras import KerasModelConfig
from tfdl.config.optimizers import KerasOptimizerConfig
from tfdl.errors import UserError
from tfdl.models import build_model, compute_precision
from tfdl.models.keras_model import load_model
from tfdl.models.low_rank import merged_values
from tfdl.runs.checkpoint import load_checkpoint
from tfdl.runs.run_directory import RunDirectory
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
    if isinstance(config.model, KerasModelConfig):
        # Layers that a subclassed model makes for itself take the policy of the moment.
        with compute_precision(config.precision):
            model = load_model(run.assets, lambda rebuilt: build_on_sample(rebuilt, task))
    else:
        with compute_precision(precision or config.precision):
            model = build_model(config.model, **task.model_arguments)
    load_checkpoint(folder, model, by_order=may_rename_variables(config))
    if merged and getattr(config.model, "lora_rank", None) is not None:
        with compute_precision(precision or config.precision):
            model = _merged(model, config.model, task)
    task.fit_to(model)
    return LoadedRun(run, config, task, model)


def _merged(model: Any, config: ModelConfig, task: Task) -> Any:
    """The same model without updates beside its kernels."""
    plain_config = dataclasses.replace(config, lora_rank=None, lora_alpha=None)  # type: ignore[call-arg]
    plain = build_model(plain_config, **task.model_arguments)
    values = merged_values(model)
    for variable in plain.weights:
        variable.assign(values[variable.path])
    return plain


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
