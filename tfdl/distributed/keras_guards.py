"""Keeps ``keras.Model.fit`` from training separate models on several ranks."""

import functools
from typing import Any

import keras

from tfdl.distributed.fit_calls import compare_calls, describe_fit
from tfdl.distributed.optimizer import forbid, is_distributed, outermost, world_of
from tfdl.distributed.replicas import Replicas, optimizers_of


def guard_fit() -> None:
    """Makes ``fit`` refuse, on several ranks, an optimizer that does not average, and calls that differ.

    The callbacks refuse it as well, but a script may have none of them: a script that was written for one rank, or one
    whose wrapped optimizer became a plain one when its model was saved and loaded.
    """
    if hasattr(keras.Model.fit, "__wrapped_by_tfdl__"):
        return
    keras_fit = keras.Model.fit

    @functools.wraps(keras_fit)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        replicas = Replicas(self, *stepping_optimizers(self))  # raises for a plain optimizer
        if replicas.world.size > 1:
            compare_calls(describe_fit(functools.partial(keras_fit, self), args, kwargs), replicas.world)
        return keras_fit(self, *args, **kwargs)

    fit.__wrapped_by_tfdl__ = True  # type: ignore[attr-defined]
    keras.Model.fit = fit


def stepping_optimizers(model: Any) -> list[Any]:
    """Returns the model's optimizers that are used.

    ``compile`` without an optimizer makes one. In a model with several optimizers (a GAN) it is not used, so it is not
    returned, and using it on several ranks becomes an error.
    """
    optimizers = {name: outermost(optimizer) for name, optimizer in optimizers_of(model).items()}
    default = optimizers.get("optimizer")
    if default is None or is_distributed(default) or len(optimizers) == 1:
        return list(optimizers.values())
    del optimizers["optimizer"]
    used = list(optimizers.values())
    if world_of(used[0]).size > 1:
        forbid(default)
    return used
