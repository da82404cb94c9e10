"""The optimizer of a run: its schedule in steps, its learning rate on several ranks, and weight decay."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.config import OptimizerConfig, TrainConfig
from tfdl.distributed import World
from tfdl.distributed.replicas import learning_rates
from tfdl.errors import RunError, UserError, mark_agreed
from tfdl.optimizers import build_optimizer
from tfdl.runs import Progress
from tfdl.training.run_length import RunLength

# Schedules that do not depend on the length of the run.
_ENDLESS_SCHEDULES = ("constant", "inverse_sqrt")


def optimizer_for(config: OptimizerConfig, model: Any, *, total_steps: int, steps_per_epoch: int, ranks: int) -> Any:
    """Builds the optimizer that trains ``model`` for ``total_steps``.

    Durations in epochs become steps here. A schedule depends on the step and on the length that it is planned for: the
    configuration's, or else ``total_steps``. In the latter case a run that is resumed with a later end follows, from
    its step on, the schedule of the new length.

    Weight decay does not apply to variables with fewer than two axes: biases, and the gains and offsets of
    normalization layers.

    Args:
        config: the optimizer.
        model: a built model.
        total_steps: optimizer steps of the whole run.
        steps_per_epoch: optimizer steps of an epoch.
        ranks: the number of ranks.

    Returns:
        A Keras optimizer.

    Raises:
        UserError: a warm-up that is longer than the run.
    """
    total_steps = planned_steps(config, steps_per_epoch) or total_steps
    warmup_steps = config.warmup_steps or round(config.warmup_epochs * steps_per_epoch)
    if warmup_steps > total_steps:
        raise UserError(
            f"a warm-up of {warmup_steps} steps in a run of {total_steps} steps; expected a shorter one, or more epochs"
        )
    optimizer = build_optimizer(
        config, total_steps=total_steps, warmup_steps=warmup_steps, rate_scale=rate_scale(config, ranks)
    )
    if config.weight_decay:
        vectors = [variable for variable in model.trainable_variables if len(variable.shape) < 2]
        optimizer.exclude_from_weight_decay(vectors)
    return optimizer


def follow_plan(
    optimizer: Any,
    config: OptimizerConfig,
    progress: Progress,
    num_ranks: int,
    ahead: int,
    *,
    may_change: bool = False,
) -> None:
    """Adapts a restored optimizer's learning rate to the run: its ranks, its position in its plan, its reductions.

    A constant rate is a variable of the restored state. It is multiplied if it was scaled for another number of ranks
    or has been reduced since. A schedule depends on the number of optimizer steps, and the steps of an epoch depend on
    the number of ranks.

    Args:
        optimizer: with the restored state.
        config: its configuration.
        progress: of the run; records the scale of the learning rate.
        num_ranks: the number of ranks.
        ahead: the run's position in a plan for ``num_ranks`` ranks, minus the number of steps that are done.
        may_change: whether this is called again, after steps were made.
    """
    scale = rate_scale(config, num_ranks) * progress.rate_factor
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        if ahead or progress.rate_factor != 1.0 or may_change:
            if not isinstance(schedule, _AdaptedSchedule):
                schedule = optimizer.learning_rate = _AdaptedSchedule(schedule)
            schedule.ahead.assign(ahead)
            schedule.factor.assign(progress.rate_factor)
    elif progress.rate_scale is None and progress.step:
        # Checkpoints of tfdl 0.1 do not have it; there, nothing but the number of ranks changed a constant rate.
        optimizer.learning_rate = config.learning_rate * scale
    elif progress.rate_scale not in (None, scale):
        optimizer.learning_rate = float(np.asarray(optimizer.learning_rate)) * scale / progress.rate_scale
    progress.rate_scale = scale


class _AdaptedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that is ``ahead`` steps ahead of the optimizer's step count, times ``factor``.

    Both are variables: the graph of a step need not be built again when they change.
    """

    def __init__(self, schedule: Any):
        self.schedule = schedule
        self.ahead = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.factor = tf.Variable(1.0, dtype=tf.float32, trainable=False)

    def __call__(self, step: Any) -> Any:
        rate = self.schedule(step + tf.cast(self.ahead, step.dtype))
        return rate * tf.cast(self.factor, rate.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule}


def rate_scale(config: OptimizerConfig, ranks: int) -> float:
    """Returns the factor of the learning rate on a number of ranks.

    Args:
        config: has the rule, ``scale_learning_rate``.
        ranks: the number of ranks.
    """
    factors = {"none": 1.0, "linear": float(ranks), "sqrt": math.sqrt(ranks)}
    return factors[config.scale_learning_rate]


def check_equal_rates(optimizer: Any, world: World) -> None:
    """Compares the ranks' learning rates, because ranks with different ones diverge. Every rank must call it.

    Args:
        optimizer: a callback may have changed its learning rate.
        world: the ranks.

    Raises:
        RunError: the rates differ. It is raised on every rank, and names each rank's rate.
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
    """Describes the scaling of the learning rate, to be printed; empty if it is not scaled.

    Args:
        config: has the learning rate and the rule.
        ranks: the number of ranks.
    """
    if config.scale_learning_rate == "none":
        return ""
    scale = rate_scale(config, ranks)
    reason = "1 rank" if ranks == 1 else f"{ranks} ranks"
    if config.scale_learning_rate == "sqrt":
        reason = f"the square root of {reason}"
    return f"learning rate {config.learning_rate:g} x {scale:g} ({reason}) = {config.learning_rate * scale:g}"


def planned_steps(config: OptimizerConfig, steps_per_epoch: int) -> int:
    """The steps that the configuration plans the schedule for; 0 if it is planned for the run's own length.

    Args:
        config: the optimizer.
        steps_per_epoch: optimizer steps of an epoch.
    """
    if config.schedule_epochs:
        return max(1, round(config.schedule_epochs * steps_per_epoch))
    return config.schedule_steps


def schedule_note(config: OptimizerConfig, length: RunLength, before: TrainConfig | None) -> str:
    """Reports a schedule that ends before the run, or that a resume changes with the length of the run.

    Args:
        config: the optimizer.
        length: of the run.
        before: a resumed run's configuration until now; none for a new run.
    """
    note = early_end_note(config, length.total_steps, length.steps_per_epoch)
    if note or before is None:
        return note
    length_before = dataclasses.replace(length, epochs=before.epochs, steps=before.steps)
    return changed_schedule_note(config, length_before.total_steps, length.total_steps)


def early_end_note(config: OptimizerConfig, total_steps: int, steps_per_epoch: int) -> str:
    """Reports that a schedule is planned for less than the run; empty if it is not.

    Args:
        config: the optimizer.
        total_steps: steps of the run.
        steps_per_epoch: optimizer steps of an epoch.
    """
    planned = planned_steps(config, steps_per_epoch)
    if not planned or planned >= total_steps or config.schedule.name in _ENDLESS_SCHEDULES:
        return ""
    return (
        f"the schedule {config.schedule.name!r} is planned for {planned:,} of the {total_steps:,} steps; then the"
        " learning rate stays as it is"
    )


def changed_schedule_note(config: OptimizerConfig, steps_before: int, total_steps: int) -> str:
    """Warns that a schedule changes because a run is resumed with another length; empty if it does not change.

    Args:
        config: the optimizer.
        steps_before: steps that the run had been planned for.
        total_steps: steps that it is planned for now.
    """
    is_planned = bool(config.schedule_steps or config.schedule_epochs)
    if steps_before == total_steps or is_planned or config.schedule.name in _ENDLESS_SCHEDULES:
        return ""
    return (
        f"the schedule {config.schedule.name!r}, which was to end at step {steps_before:,}, now ends at step"
        f" {total_steps:,}: the learning rate jumps, and the weights will not be those of a run that was never stopped"
        " (to stop early and continue exactly, begin with --schedule-epochs)"
    )
