"""Keras optimizers of our own: drop-ins that update each variable in one fused kernel."""

from typing import Any

from tfdl.config import OPTIMIZER_CONFIGS, AdamConfig, AdamWConfig, OptimizerConfig, SGDConfig
from tfdl.config.choice import choose
from tfdl.errors import UserError
from tfdl.optimizers.adam import Adam
from tfdl.optimizers.adamw import AdamW
from tfdl.optimizers.schedules import build_schedule
from tfdl.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "build_optimizer", "build_schedule"]


def build_optimizer(
    optimizer: str | OptimizerConfig = "adam",
    /,
    *,
    total_steps: int | None = None,
    warmup_steps: int | None = None,
    rate_scale: float = 1.0,
    **fields: Any,
) -> Any:
    """Builds an optimizer from a name and fields, or from a configuration.

    ``build_optimizer("sgd", learning_rate=0.01, momentum=0.9)``

    Args:
        optimizer: a name or a configuration.
        total_steps: length of the run, which schedules other than ``constant`` and ``inverse_sqrt`` need.
        warmup_steps: takes the place of the configuration's, whose ``warmup_epochs`` only a run can count in steps.
        rate_scale: multiplies the learning rate.
        **fields: fields of the configuration, with a name only.

    Raises:
        UserError: unknown name or field, a value out of range, or a schedule without ``total_steps``.
    """
    given = {"name": optimizer, **fields} if isinstance(optimizer, str) else optimizer
    config = choose("optimizer", OPTIMIZER_CONFIGS, given)
    if total_steps is None and config.schedule not in ("constant", "inverse_sqrt"):
        raise UserError(
            f"optimizer.schedule={config.schedule!r} without total_steps, expected the number of steps of the run"
        )
    rate = build_schedule(
        config.schedule,
        config.learning_rate * rate_scale,
        total_steps=total_steps or 0,
        warmup_steps=config.warmup_steps if warmup_steps is None else warmup_steps,
        final_fraction=config.final_fraction,
        milestones=tuple(round(share * (total_steps or 0)) for share in config.milestones),
        factor=config.factor,
    )
    common: dict[str, Any] = {
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm,
        "use_ema": config.ema_momentum is not None,
        "ema_momentum": 0.99 if config.ema_momentum is None else config.ema_momentum,
    }
    if isinstance(config, SGDConfig):
        return SGD(rate, momentum=config.momentum, nesterov=config.nesterov, **common)
    assert isinstance(config, AdamConfig)
    kind = AdamW if isinstance(config, AdamWConfig) and config.weight_decay else Adam
    moments: dict[str, Any] = {
        "beta_1": config.beta_1,
        "beta_2": config.beta_2,
        "epsilon": config.epsilon,
        "amsgrad": config.amsgrad,
    }
    return kind(rate, **moments, **common)
