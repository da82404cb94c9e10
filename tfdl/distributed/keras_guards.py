"""Keeps ``fit`` and ``train_on_batch`` of Keras from training separate models on several ranks."""

import functools
from typing import Any

import keras

from tfdl.distributed.fit_calls import compare_calls, describe_fit
from tfdl.distributed.optimizer import forbid, is_distributed, outermost, world_of
from tfdl.distributed.replicas import Replicas, optimizers_of


def guard_fit() -> None:
    """Makes ``fit`` and ``train_on_batch`` refuse, on several ranks, an optimizer that does not average.

    ``fit`` also refuses calls that differ between the ranks.

    The callbacks refuse it as well, but a script may have none of them: a script that was written for one rank, or one
    whose wrapped optimizer became a plain one when its model was saved and loaded.
    """
    for name in ("fit", "train_on_batch"):
        method = getattr(keras.Model, name)
        if not hasattr(method, "__wrapped_by_tfdl__"):
            setattr(keras.Model, name, _guarded(method))


def _guarded(method: Any) -> Any:
    """A method of ``keras.Model`` that first refuses a plain optimizer, and ``fit`` with other arguments elsewhere."""

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        replicas = Replicas(self, *stepping_optimizers(self))  # raises for a plain optimizer
        if method.__name__ == "fit" and replicas.world.size > 1:
            compare_calls(describe_fit(functools.partial(method, self), args, kwargs), replicas.world)
        return method(self, *args, **kwargs)

    guarded.__wrapped_by_tfdl__ = True  # type: ignore[attr-defined]
    return guarded


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
