"""Learning-rate schedules: one dataclass for each."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from tfdl.config.fields import check_types, require, require_at_least
from tfdl.registry import Registry


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes over a run, after the warm-up.

    A run that is resumed for more epochs or steps follows the schedule of its new length from there on.
    """

    name: ClassVar[str]
    needs_total_steps: ClassVar[bool] = True
    """Whether the schedule depends on the length of the run."""

    def __post_init__(self) -> None:
        check_types(self, "optimizer.schedule.")


@dataclass(frozen=True)
class ConstantScheduleConfig(ScheduleConfig):
    """The peak rate in every step."""

    name: ClassVar[str] = "constant"
    needs_total_steps: ClassVar[bool] = False


@dataclass(frozen=True)
class _FallingScheduleConfig(ScheduleConfig):
    """What schedules that fall to a final rate have in common."""

    final_fraction: float = 0.0
    """The final rate, as a fraction of the peak."""

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 0 <= self.final_fraction <= 1
        require(fits, "optimizer.schedule.final_fraction", self.final_fraction, "a number from 0 to 1")


@dataclass(frozen=True)
class LinearScheduleConfig(_FallingScheduleConfig):
    """A straight line from the peak to the final rate."""

    name: ClassVar[str] = "linear"


@dataclass(frozen=True)
class CosineScheduleConfig(_FallingScheduleConfig):
    """Half a cosine from the peak to the final rate (Loshchilov and Hutter, 2017)."""

    name: ClassVar[str] = "cosine"


@dataclass(frozen=True)
class InverseSqrtScheduleConfig(ScheduleConfig):
    """Falls with the square root of the step (Vaswani et al., 2017)."""

    name: ClassVar[str] = "inverse_sqrt"
    needs_total_steps: ClassVar[bool] = False


@dataclass(frozen=True)
class StepScheduleConfig(ScheduleConfig):
    """Falls by a factor at each milestone (He et al., 2015)."""

    name: ClassVar[str] = "step"

    milestones: tuple[float, ...] = (0.5, 0.75)
    """When the rate falls, as fractions of the run."""
    factor: float = 0.1
    """What the rate is multiplied by at each milestone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, "optimizer.schedule.", 0, "factor")
        rising = all(0 < before < after for before, after in pairwise((*self.milestones, 1.0)))
        expected = "rising fractions between 0 and 1, such as [0.5, 0.75]"
        require(rising, "optimizer.schedule.milestones", list(self.milestones), expected)


@dataclass(frozen=True)
class OneCycleScheduleConfig(ScheduleConfig):
    """Rises to the peak and falls again over the whole run (Smith and Topin, 2018)."""

    name: ClassVar[str] = "one_cycle"


SCHEDULES: Registry[type[ScheduleConfig]] = Registry("schedule")
"""Every schedule's configuration by name."""


def register_schedule(config: type[ScheduleConfig], build: Any) -> None:
    """Declares a learning-rate schedule.

    Args:
        config: a frozen dataclass that derives from ``ScheduleConfig``; its ``name`` is the schedule's name.
        build: ``"module:function"`` or the function itself: ``build(config, peak, *, total_steps, warmup_steps)`` to a
            ``keras.optimizers.schedules.LearningRateSchedule`` or a number.

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    SCHEDULES.register(config.name, config, build)


register_schedule(ConstantScheduleConfig, "tfdl.optimizers.schedule_builders:build_constant")
register_schedule(LinearScheduleConfig, "tfdl.optimizers.schedule_builders:build_linear")
register_schedule(CosineScheduleConfig, "tfdl.optimizers.schedule_builders:build_cosine")
register_schedule(InverseSqrtScheduleConfig, "tfdl.optimizers.schedule_builders:build_inverse_sqrt")
register_schedule(StepScheduleConfig, "tfdl.optimizers.schedule_builders:build_step")
register_schedule(OneCycleScheduleConfig, "tfdl.optimizers.schedule_builders:build_one_cycle")
