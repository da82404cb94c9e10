"""What keeps Keras itself from training several ranks that are not one."""

import functools
from typing import Any

import keras

from tfdl.distributed.optimizer import forbid, is_distributed, outermost, world_of
from tfdl.distributed.replicas import Replicas, optimizers_of


def watch_fit() -> None:
    """From now on ``fit`` refuses, on several ranks, to train with an optimizer that does not average.

    The callbacks do so as well, but a script may have none of them: one that trained on a single rank before, or whose
    wrapped optimizer became a plain one when its model was saved and loaded.
    """
    if hasattr(keras.Model.fit, "__wrapped_by_tfdl__"):
        return
    keras_fit = keras.Model.fit

    @functools.wraps(keras_fit)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        Replicas(self, *stepping_optimizers(self))
        return keras_fit(self, *args, **kwargs)

    fit.__wrapped_by_tfdl__ = True  # type: ignore[attr-defined]
    keras.Model.fit = fit


def stepping_optimizers(model: Any) -> list[Any]:
    """The model's optimizers; one that ``compile`` made without being asked, beside others, is kept from stepping."""
    found = {name: outermost(optimizer) for name, optimizer in optimizers_of(model).items()}
    unasked = found.get("optimizer")
    if unasked is None or is_distributed(unasked) or len(found) == 1:
        return list(found.values())
    del found["optimizer"]
    if world_of(next(iter(found.values()))).size > 1:
        forbid(unasked)
    return list(found.values())
