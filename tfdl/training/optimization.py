"""The optimizer of a run: its schedule in steps, its rate over ranks, and what weight decay leaves alone."""

import math
from typing import Any

import keras

from tfdl.config import OptimizerConfig
from tfdl.errors import UserError
from tfdl.optimizers import build_optimizer


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


def follow_plan(optimizer: Any, config: OptimizerConfig, *, ranks: int, ahead: int) -> None:
    """Brings the learning rate to these ranks and to the run's place in its plan, after a state was restored.

    A constant rate is a variable, and came with the state: it may be that of another number of ranks. A schedule counts
    optimizer steps, and an epoch has more or fewer of them on other ranks.

    Args:
        optimizer: as ``optimizer_for`` built it.
        config: its configuration.
        ranks: the number of ranks.
        ahead: steps to add to those made to get to the run's place in a plan of this many ranks.
    """
    schedule = optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        optimizer.learning_rate = config.learning_rate * rate_scale(config, ranks)
    elif ahead:
        optimizer.learning_rate = _Shifted(schedule, ahead)


class _Shifted(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that is ``ahead`` steps further than the optimizer."""

    def __init__(self, schedule: Any, ahead: int):
        self.schedule, self.ahead = schedule, ahead

    def __call__(self, step: Any) -> Any:
        return self.schedule(step + self.ahead)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "ahead": self.ahead}


def rate_scale(config: OptimizerConfig, ranks: int) -> float:
    """What the learning rate is multiplied by on so many ranks."""
    return {"none": 1.0, "linear": float(ranks), "sqrt": math.sqrt(ranks)}[config.scale_learning_rate]


def rate_note(config: OptimizerConfig, ranks: int) -> str:
    """The scaling in words, for whoever starts the run."""
    if config.scale_learning_rate == "none":
        return ""
    scale = rate_scale(config, ranks)
    of = f"{ranks} ranks" if config.scale_learning_rate == "linear" else f"the root of {ranks} ranks"
    return f"learning rate {config.learning_rate:g} x {scale:g} ({of}) = {config.learning_rate * scale:g}"
