"""The optimizer of a run: its schedule in steps, its rate over ranks, and what weight decay leaves alone."""

import math
from typing import Any

import keras
import numpy as np

from tfdl.config import OptimizerConfig
from tfdl.distributed import World
from tfdl.distributed.replicas import learning_rates
from tfdl.errors import RunError, UserError, mark_agreed
from tfdl.optimizers import build_optimizer
from tfdl.runs import Progress


def optimizer_for(config: OptimizerConfig, model: Any, *, total_steps: int, steps_per_epoch: int, ranks: int) -> Any:
    """Builds the optimizer that trains ``model`` for ``total_steps``.

    Durations in epochs become steps here. A schedule is a function of the step and of ``total_steps`` alone: a run that
    is resumed with a later end continues, at its step, on the schedule of the new length.

    Weight decay leaves out whatever has fewer than two axes: biases, and the gains and offsets of normalizations.

    Raises:
        UserError: a warm-up that is longer than the run.
    """
    warmup = config.warmup_steps or round(config.warmup_epochs * steps_per_epoch)
    if warmup > total_steps:
        raise UserError(
            f"a warm-up of {warmup} steps in a run of {total_steps} steps; expected a shorter one, or more epochs"
        )
    optimizer = build_optimizer(
        config, total_steps=total_steps, warmup_steps=warmup, rate_scale=rate_scale(config, ranks)
    )
    if config.weight_decay:
        optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if len(v.shape) < 2])
    return optimizer


def follow_plan(optimizer: Any, config: OptimizerConfig, progress: Progress, num_ranks: int, ahead: int) -> None:
    """Brings the learning rate to these ranks and to the run's position in its plan, after a state was restored.

    A constant rate is a variable, and came with the state: it is multiplied if it was scaled for another number of
    ranks. A schedule counts optimizer steps, and an epoch has more or fewer of them on other ranks.

    Args:
        optimizer: with the restored state.
        config: its configuration.
        progress: the run's; it records what the rate is scaled by.
        num_ranks: the number of ranks.
        ahead: steps to add to those that are done, to get the position in a plan of this many ranks.
    """
    scale = rate_scale(config, num_ranks)
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        if ahead:
            optimizer.learning_rate = _Shifted(schedule, ahead)
    elif progress.rate_scale is None and progress.step:
        # Checkpoints of tfdl 0.1 do not have it; there, nothing but the number of ranks changed a constant rate.
        optimizer.learning_rate = config.learning_rate * scale
    elif progress.rate_scale not in (None, scale):
        optimizer.learning_rate = float(np.asarray(optimizer.learning_rate)) * scale / progress.rate_scale
    progress.rate_scale = scale


class _Shifted(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that is ``ahead`` steps further than the optimizer."""

    def __init__(self, schedule: Any, ahead: int):
        self.schedule = schedule
        self.ahead = ahead

    def __call__(self, step: Any) -> Any:
        return self.schedule(step + self.ahead)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "ahead": self.ahead}


def rate_scale(config: OptimizerConfig, ranks: int) -> float:
    """What the learning rate is multiplied by on so many ranks."""
    return {"none": 1.0, "linear": float(ranks), "sqrt": math.sqrt(ranks)}[config.scale_learning_rate]


def check_equal_rates(optimizer: Any, world: World) -> None:
    """Ranks with different learning rates would no longer train one model. For every rank to call.

    Args:
        optimizer: whose rate a callback may have changed.
        world: the ranks.

    Raises:
        RunError: on every rank; names each rank's learning rate.
    """
    all_rates = world.all_gather_object(learning_rates([optimizer]))
    if all(rates == all_rates[0] for rates in all_rates):
        return
    listed = ", ".join(f"rank {rank} has {rates[0]:g}" for rank, rates in enumerate(all_rates))
    error = RunError(
        f"the ranks' learning rates differ: {listed}; a callback that changes the rate must decide from the metrics,"
        " which are the same on all ranks"
    )
    mark_agreed(error)
    raise error


def rate_note(config: OptimizerConfig, ranks: int) -> str:
    """The scaling in words, for whoever starts the run."""
    if config.scale_learning_rate == "none":
        return ""
    scale = rate_scale(config, ranks)
    of = f"{ranks} ranks" if config.scale_learning_rate == "linear" else f"the root of {ranks} ranks"
    return f"learning rate {config.learning_rate:g} x {scale:g} ({of}) = {config.learning_rate * scale:g}"
