"""One dataclass for each optimizer. ``name`` chooses it; the defaults are the usual ones of each."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from tfdl.config.fields import check_types, require, require_at_least, require_fraction
from tfdl.errors import UserError


@dataclass(frozen=True)
class OptimizerConfig:
    """What every optimizer has, and how its learning rate runs."""

    name: ClassVar[str]

    learning_rate: float = 0.001
    """Step size; with a schedule, the largest one."""
    scale_learning_rate: Literal["none", "linear", "sqrt"] = "none"
    """Whether the learning rate is multiplied by the number of ranks, or by its root (Goyal et al., 2017)."""
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt", "step", "one_cycle"] = "constant"
    """How the learning rate runs over the whole run, after the warm-up. A run that goes on for more epochs or steps
    follows, from there on, the schedule of its new length."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises to its full size."""
    warmup_epochs: float = 0.0
    """The same in epochs, instead of steps."""
    final_fraction: float = 0.0
    """Where linear and cosine schedules end, as a share of the learning rate."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """Where the step schedule falls, as shares of the run (He et al., 2015)."""
    factor: float = 0.1
    """What the step schedule multiplies the learning rate by at each milestone."""
    weight_decay: float = 0.0
    """Share of each weight that a step of rate 1 takes away, apart from the gradient; never of biases and of gains."""
    clip_norm: float | None = None
    """Largest global norm of the reduced gradients; none clips nothing."""
    ema_momentum: float | None = None
    """Share of the old average of the weights kept at each step; validation, results and exports then use the average,
    and training goes on with the weights themselves. None keeps no average."""

    def __post_init__(self) -> None:
        check_types(self, "optimizer.")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, f"optimizer.{name}", value, "a positive number")
        require_at_least(self, "optimizer.", 0, "warmup_steps", "warmup_epochs", "weight_decay", "factor")
        if self.warmup_steps and self.warmup_epochs:
            raise UserError(
                f"optimizer.warmup_steps={self.warmup_steps} and optimizer.warmup_epochs={self.warmup_epochs}, expected"
                " one of the two; leave one out"
            )
        require(0 <= self.final_fraction <= 1, "optimizer.final_fraction", self.final_fraction, "a number from 0 to 1")
        rising = all(0 < a < b for a, b in pairwise((*self.milestones, 1.0)))
        require(rising, "optimizer.milestones", self.milestones, "rising shares between 0 and 1, such as [0.5, 0.75]")
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
    """Whether the largest second moment so far scales the step (Reddi et al., 2018)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction(self, "optimizer.", "beta_1", "beta_2")
        require_at_least(self, "optimizer.", 0, "epsilon")


@dataclass(frozen=True)
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: ClassVar[str] = "adamw"

    weight_decay: float = 0.004
    """Share of each weight that a step of rate 1 takes away, apart from the gradient; never of biases and of gains."""


@dataclass(frozen=True)
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    name: ClassVar[str] = "sgd"

    learning_rate: float = 0.01
    """Step size; with a schedule, the largest one."""
    momentum: float = 0.9
    """Share of the previous step carried into the next."""
    nesterov: bool = False
    """Whether the gradient is looked up ahead (Nesterov, 1983)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction(self, "optimizer.", "momentum")


OPTIMIZER_CONFIGS: dict[str, type[OptimizerConfig]] = {
    config.name: config for config in (AdamConfig, AdamWConfig, SGDConfig)
}
