"""One dataclass for each optimizer. ``name`` chooses it; the defaults are the usual ones of each."""

import math
from dataclasses import dataclass
from typing import ClassVar

from tfdl.config.fields import check_types, require, require_at_least, require_fraction


@dataclass(frozen=True)
class OptimizerConfig:
    """What every optimizer has."""

    name: ClassVar[str]

    learning_rate: float = 0.001
    """Step size; never scaled by the number of ranks."""
    clip_norm: float | None = None
    """Largest global norm of the reduced gradients; none clips nothing."""

    def __post_init__(self) -> None:
        check_types(self, "optimizer.")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, f"optimizer.{name}", value, "a positive number")


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

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction(self, "optimizer.", "beta_1", "beta_2")
        require_at_least(self, "optimizer.", 0, "epsilon")


@dataclass(frozen=True)
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    name: ClassVar[str] = "sgd"

    learning_rate: float = 0.01
    """Step size; never scaled by the number of ranks."""
    momentum: float = 0.9
    """Share of the previous step carried into the next."""
    nesterov: bool = False
    """Whether the gradient is looked up ahead (Nesterov, 1983)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction(self, "optimizer.", "momentum")


OPTIMIZER_CONFIGS: dict[str, type[OptimizerConfig]] = {"adam": AdamConfig, "sgd": SGDConfig}
