"""Learning-rate schedules from their configurations."""

from collections.abc import Mapping
from typing import Any

from tfdl.config.choice import choose
from tfdl.config.schedules import (
    SCHEDULES,
    ConstantScheduleConfig,
    CosineScheduleConfig,
    InverseSqrtScheduleConfig,
    LinearScheduleConfig,
    OneCycleScheduleConfig,
    ScheduleConfig,
    StepScheduleConfig,
)
from tfdl.errors import UserError
from tfdl.optimizers.schedules import Constant, Cosine, InverseSquareRoot, Linear, OneCycle, Step


def build_schedule(
    schedule: str | ScheduleConfig | Mapping[str, Any],
    peak: float,
    *,
    total_steps: int | None = None,
    warmup_steps: int = 0,
    **fields: Any,
) -> Any:
    """A learning-rate schedule, or the bare number if the rate never changes.

    ``build_schedule("cosine", 0.1, total_steps=1000, warmup_steps=50, final_fraction=0.1)``

    Args:
        schedule: a name, a configuration, or a mapping of ``name`` and fields.
        peak: the largest rate.
        total_steps: optimizer steps of the run; schedules that do not depend on it need none.
        warmup_steps: optimizer steps until the peak.
        **fields: fields of the schedule's configuration, with a name only.

    Raises:
        UserError: an unknown name or field, a value out of range, or a missing ``total_steps``.
    """
    value = {"name": schedule, **fields} if isinstance(schedule, str) else schedule
    config: ScheduleConfig = choose(SCHEDULES, value)
    if config.needs_total_steps and total_steps is None:
        raise UserError(f"schedule {config.name!r} without total_steps, expected the number of steps of the run")
    build = SCHEDULES.load(config.name)
    return build(config, peak, total_steps=total_steps or 0, warmup_steps=warmup_steps)


def build_constant(config: ConstantScheduleConfig, peak: float, *, total_steps: int, warmup_steps: int) -> Any:  # noqa: ARG001
    """The peak itself, or a warm-up to it."""
    schedule = Constant(peak, warmup_steps)
    return schedule if warmup_steps else schedule.peak


def build_linear(config: LinearScheduleConfig, peak: float, *, total_steps: int, warmup_steps: int) -> Any:
    """See ``tfdl.optimizers.schedules.Linear``."""
    return Linear(peak, total_steps, warmup_steps, config.final_fraction)


def build_cosine(config: CosineScheduleConfig, peak: float, *, total_steps: int, warmup_steps: int) -> Any:
    """See ``tfdl.optimizers.schedules.Cosine``."""
    return Cosine(peak, total_steps, warmup_steps, config.final_fraction)


def build_inverse_sqrt(config: InverseSqrtScheduleConfig, peak: float, *, total_steps: int, warmup_steps: int) -> Any:  # noqa: ARG001
    """See ``tfdl.optimizers.schedules.InverseSquareRoot``."""
    return InverseSquareRoot(peak, warmup_steps)


def build_step(config: StepScheduleConfig, peak: float, *, total_steps: int, warmup_steps: int) -> Any:
    """See ``tfdl.optimizers.schedules.Step``; milestones become steps here."""
    milestones = tuple(round(fraction * total_steps) for fraction in config.milestones)
    return Step(peak, total_steps, warmup_steps, milestones, config.factor)


def build_one_cycle(config: OneCycleScheduleConfig, peak: float, *, total_steps: int, warmup_steps: int) -> Any:  # noqa: ARG001
    """See ``tfdl.optimizers.schedules.OneCycle``."""
    return OneCycle(peak, total_steps, warmup_steps)
