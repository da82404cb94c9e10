"""Optimizers: one dataclass for each, with the usual defaults."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tfdl.config.choice import choose
from tfdl.config.fields import check_types, require, require_at_least, require_fraction
from tfdl.config.schedules import SCHEDULES, ConstantScheduleConfig, ScheduleConfig
from tfdl.errors import UserError
from tfdl.registry import Registry


@dataclass(frozen=True)
class OptimizerConfig:
    """What every optimizer has, and how its learning rate changes."""

    name: ClassVar[str]
    may_begin_at_zero: ClassVar[bool] = False
    """Whether the learning rate may be 0, because a callback sets it."""

    learning_rate: float = 0.001
    """Step size; with a schedule, the largest step size."""
    scale_learning_rate: Literal["none", "linear", "sqrt"] = "none"
    """Whether the learning rate is multiplied by the number of ranks, or by its square root (Goyal et al., 2017)."""
    schedule: ScheduleConfig = field(default_factory=ConstantScheduleConfig)
    """How the learning rate changes over the run, after the warm-up: a name, or a mapping of ``name`` and fields
    (``tfdl.config.schedules``)."""
    schedule_steps: int = 0
    """Steps of the run that the schedule is planned for; by default those of this run. A run that stops earlier and is
    resumed then has the learning rates of one that was never stopped."""
    schedule_epochs: float = 0.0
    """The same in epochs, instead of steps."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises to its full size."""
    warmup_epochs: float = 0.0
    """The same in epochs, instead of steps."""
    weight_decay: float = 0.0
    """Fraction of each weight that a step with learning rate 1 subtracts, separately from the gradient; biases and
    gains do not decay."""
    clip_norm: float | None = None
    """Largest global norm of the reduced gradients; by default gradients are not clipped."""
    ema_momentum: float | None = None
    """Fraction of the old average of the weights that each step keeps. Validation, results and exports then use the
    average; training continues with the weights themselves. By default there is no average."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", choose(SCHEDULES, self.schedule, "optimizer.schedule"))
        check_types(self, "optimizer.")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            is_allowed = value is None or 0 < value < math.inf
            if name == "learning_rate" and value == 0:
                is_allowed = self.may_begin_at_zero
            require(is_allowed, f"optimizer.{name}", value, "a positive number")
        require_at_least(self, "optimizer.", 0, "warmup_steps", "warmup_epochs", "weight_decay")
        require_at_least(self, "optimizer.", 0, "schedule_steps", "schedule_epochs")
        for length in ("schedule", "warmup"):
            steps = getattr(self, f"{length}_steps")
            epochs = getattr(self, f"{length}_epochs")
            if steps and epochs:
                raise UserError(
                    f"optimizer.{length}_steps={steps} and optimizer.{length}_epochs={epochs}, pass one of them, not"
                    " both"
                )
        if self.ema_momentum is not None:
            require_fraction(self, "optimizer.", "ema_momentum")


@dataclass(frozen=True)
class AdamConfig(OptimizerConfig):
    """Adam (Kingma and Ba, 2015)."""

    name: ClassVar[str] = "adam"

    beta_1: float = 0.9
    """Decay of the running mean of gradients."""
    beta_2: float = 0.999
    """Decay of the running mean of squared gradients."""
    epsilon: float = 1e-7
    """Added to the root of the second moment."""
    amsgrad: bool = False
    """Whether the largest second moment up to now scales the step (Reddi et al., 2018)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction(self, "optimizer.", "beta_1", "beta_2")
        require_at_least(self, "optimizer.", 0, "epsilon")


@dataclass(frozen=True)
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: ClassVar[str] = "adamw"

    weight_decay: float = 0.004
    """Fraction of each weight that a step with learning rate 1 subtracts, separately from the gradient; biases and
    gains do not decay."""


@dataclass(frozen=True)
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    name: ClassVar[str] = "sgd"

    learning_rate: float = 0.01
    """Step size; with a schedule, the largest step size."""
    momentum: float = 0.9
    """Fraction of the previous step that is added to the next."""
    nesterov: bool = False
    """Whether steps use Nesterov's momentum (Nesterov, 1983)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction(self, "optimizer.", "momentum")


@dataclass(frozen=True)
class KerasOptimizerConfig(OptimizerConfig):
    """A Keras optimizer that Python code passed. The fields of ``OptimizerConfig`` are read from it."""

    name: ClassVar[str] = "keras"
    may_begin_at_zero: ClassVar[bool] = True

    serialized: Mapping[str, Any] = field(default_factory=dict)
    """The optimizer as ``keras.optimizers.serialize`` writes it."""

    def __post_init__(self) -> None:
        options = self.serialized.get("config") if isinstance(self.serialized, Mapping) else None
        if not isinstance(options, Mapping):
            raise UserError(
                f"optimizer.serialized={self.serialized!r}, expected a Keras optimizer, which Python code passes:"
                " tfdl.train(optimizer=...)"
            )
        learning_rate = options.get("learning_rate")
        if isinstance(learning_rate, int | float):
            object.__setattr__(self, "learning_rate", float(learning_rate))
        object.__setattr__(self, "weight_decay", options.get("weight_decay") or 0.0)
        object.__setattr__(self, "clip_norm", options.get("global_clipnorm"))
        object.__setattr__(self, "ema_momentum", options.get("ema_momentum") if options.get("use_ema") else None)
        super().__post_init__()


OPTIMIZERS: Registry[type[OptimizerConfig]] = Registry("optimizer")
"""Every optimizer's configuration by name."""


def register_optimizer(config: type[OptimizerConfig], build: Any, *, is_listed: bool = True) -> None:
    """Declares an optimizer.

    Args:
        config: a frozen dataclass that derives from ``OptimizerConfig``; its ``name`` is the optimizer's name.
        build: ``"module:function"`` or the function itself: ``build(config, learning_rate, **options)`` to a
            ``keras.optimizers.Optimizer``. ``learning_rate`` is a number or a schedule; ``options`` are the arguments
            that every Keras optimizer takes (``weight_decay``, ``global_clipnorm``, ``use_ema``, ``ema_momentum``).
        is_listed: whether choices show it; False for what only Python code can use.

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    OPTIMIZERS.register(config.name, config, build, is_listed=is_listed)


def choose_optimizer(value: Any) -> OptimizerConfig:
    """An optimizer's configuration from itself, a name, or a mapping of ``name`` and fields.

    Raises:
        UserError: an unknown name or field, or a value out of range.
    """
    fields = nested_schedule(value) if isinstance(value, Mapping) else value
    config: OptimizerConfig = choose(OPTIMIZERS, fields)
    return config


# Fields of schedules that tfdl 0.1 wrote beside ``schedule``, with their defaults.
_FORMER_FIELDS: Mapping[str, Any] = {"final_fraction": 0.0, "milestones": [0.5, 0.75], "factor": 0.1}


def nested_schedule(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's fields as tfdl 0.1 wrote them, with the schedule's fields below ``schedule``.

    ``{"schedule": "cosine", "final_fraction": 0.1}`` becomes ``{"schedule": {"name": "cosine", "final_fraction":
    0.1}}``. A field that the schedule does not have is left out if it has its default: every run listed all of them.
    """
    former = {key: value for key, value in fields.items() if key in _FORMER_FIELDS}
    kept = {key: value for key, value in fields.items() if key not in _FORMER_FIELDS}
    if not former:
        return kept
    schedule = kept.get("schedule", ConstantScheduleConfig.name)
    section = dict(schedule) if isinstance(schedule, Mapping) else {"name": schedule}
    config = SCHEDULES.get(section.get("name")) or ScheduleConfig
    names = {field.name for field in dataclasses.fields(config)}
    for key, value in former.items():
        plain_value = list(value) if isinstance(value, tuple) else value
        is_default = plain_value == _FORMER_FIELDS[key]
        if key in names or not is_default:
            section[key] = value
    return {**kept, "schedule": section}


register_optimizer(KerasOptimizerConfig, "tfdl.optimizers.build:build_keras", is_listed=False)
register_optimizer(AdamConfig, "tfdl.optimizers.build:build_adam")
register_optimizer(AdamWConfig, "tfdl.optimizers.build:build_adamw")
register_optimizer(SGDConfig, "tfdl.optimizers.build:build_sgd")
