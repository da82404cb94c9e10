"""Keras optimizers of our own: drop-ins that update each variable in one fused kernel."""

from typing import Any

from tfdl.config import OPTIMIZER_CONFIGS, AdamConfig, OptimizerConfig, SGDConfig
from tfdl.config.choice import choose
from tfdl.optimizers.adam import Adam
from tfdl.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "build_optimizer"]


def build_optimizer(optimizer: str | OptimizerConfig = "adam", /, **fields: Any) -> Any:
    """Builds an optimizer from a name and fields, or from a configuration.

    ``build_optimizer("sgd", learning_rate=0.01, momentum=0.9)``

    Raises:
        UserError: unknown name or field, or a value out of range.
    """
    given = {"name": optimizer, **fields} if isinstance(optimizer, str) else optimizer
    config = choose("optimizer", OPTIMIZER_CONFIGS, given)
    if isinstance(config, AdamConfig):
        return Adam(
            config.learning_rate,
            beta_1=config.beta_1,
            beta_2=config.beta_2,
            epsilon=config.epsilon,
            global_clipnorm=config.clip_norm,
        )
    assert isinstance(config, SGDConfig)
    return SGD(
        config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        global_clipnorm=config.clip_norm,
    )
