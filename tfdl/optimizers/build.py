"""Optimizers from their configurations."""

from typing import Any

from tfdl.config import OPTIMIZERS, AdamConfig, AdamWConfig, OptimizerConfig, SGDConfig, choose_optimizer
from tfdl.config.optimizers import KerasOptimizerConfig
from tfdl.errors import UserError
from tfdl.optimizers.adam import Adam
from tfdl.optimizers.adamw import AdamW
from tfdl.optimizers.schedule_builders import build_schedule
from tfdl.optimizers.sgd import SGD
from tfdl.serialization import from_json


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
        total_steps: optimizer steps of the run; most schedules need it.
        warmup_steps: replaces the configuration's, whose ``warmup_epochs`` only a run can count in steps.
        rate_scale: multiplies the learning rate.
        **fields: fields of the configuration, with a name only.

    Raises:
        UserError: unknown name or field, a value out of range, or a schedule without ``total_steps``.
    """
    config = choose_optimizer({"name": optimizer, **fields} if isinstance(optimizer, str) else optimizer)
    if total_steps is None and config.schedule.needs_total_steps:
        raise UserError(
            f"optimizer.schedule={config.schedule.name!r} without total_steps, expected the number of steps of the run"
        )
    learning_rate = build_schedule(
        config.schedule,
        config.learning_rate * rate_scale,
        total_steps=total_steps,
        warmup_steps=config.warmup_steps if warmup_steps is None else warmup_steps,
    )
    build = OPTIMIZERS.load(config.name)
    return build(config, learning_rate, **keras_options(config))


def keras_options(config: OptimizerConfig) -> dict[str, Any]:
    """The arguments that every Keras optimizer takes, from the fields that every optimizer's configuration has."""
    return {
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm,
        "use_ema": config.ema_momentum is not None,
        "ema_momentum": 0.99 if config.ema_momentum is None else config.ema_momentum,
    }


# Checkpoints contain the names of these optimizers, which Keras would number by the optimizers of the process.


def build_adam(config: AdamConfig, learning_rate: Any, **options: Any) -> Any:
    """See ``tfdl.optimizers.Adam``."""
    return Adam(learning_rate, **_moments(config), **options, name="adam")


def build_adamw(config: AdamWConfig, learning_rate: Any, **options: Any) -> Any:
    """See ``tfdl.optimizers.AdamW``; without a decay it is Adam, which Keras's AdamW refuses to be."""
    kind = AdamW if config.weight_decay else Adam
    return kind(learning_rate, **_moments(config), **options, name=kind.__name__.lower())


def build_sgd(config: SGDConfig, learning_rate: Any, **options: Any) -> Any:
    """See ``tfdl.optimizers.SGD``."""
    return SGD(learning_rate, momentum=config.momentum, nesterov=config.nesterov, **options, name="SGD")


def build_keras(config: KerasOptimizerConfig, learning_rate: Any, **options: Any) -> Any:  # noqa: ARG001
    """The optimizer that Python code passed, rebuilt; its own configuration says all."""
    return from_json(config.serialized, "the optimizer")


def _moments(config: AdamConfig) -> dict[str, Any]:
    return {
        "beta_1": config.beta_1,
        "beta_2": config.beta_2,
        "epsilon": config.epsilon,
        "amsgrad": config.amsgrad,
    }
