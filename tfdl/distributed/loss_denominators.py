"""Makes Keras's masked and weighted mean losses exact over ranks: they divide by a number that differs by rank."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf

from tfdl.distributed.world import World

# The ranks over which losses divide, within a training step.
_world: ContextVar[World | None] = ContextVar("loss_world", default=None)


def share_denominators(model: Any, training_world: Callable[[], World]) -> None:
    r"""Makes the losses of a compiled model's ``train_step`` divide by what all ranks have.

    With $s_r$ the sum of rank $r$'s unmasked losses and $w_r$ the number of them (or the sum of their weights, for
    ``reduction="mean_with_sample_weight"``), Keras computes $s_r / w_r$. The mean of that over $n$ ranks is not the
    loss of one process, $\sum_r s_r / \sum_r w_r$. So each rank's loss is multiplied by $n w_r / \sum_r w_r$. Losses
    without a mask, and other reductions, stay as they are.

    Args:
        model: a Keras model; nothing is done if it is not compiled.
        training_world: returns the ranks that train it. It is called when a step is traced, because a model that
            several ranks have trained may be compiled again, and trained on one.
    """
    if not getattr(model, "compiled", False):
        return
    train_step = model.train_step
    if hasattr(train_step, "__wrapped_by_tfdl__"):
        return

    @functools.wraps(train_step)
    def step_over_ranks(data: Any) -> Any:
        with _losses_over(training_world()):
            return train_step(data)

    step_over_ranks.__wrapped_by_tfdl__ = True  # type: ignore[attr-defined]
    _wrap_reduction()
    model.__dict__["train_step"] = step_over_ranks
    model.make_train_function(force=True)


@contextmanager
def _losses_over(world: World) -> Iterator[None]:
    token = _world.set(world)
    try:
        yield
    finally:
        _world.reset(token)


def _wrap_reduction() -> None:
    """Wraps the function with which ``keras.losses.Loss`` masks, weights and reduces values, once."""
    module: Any = sys.modules[keras.losses.Loss.__module__]
    reduce = module.reduce_weighted_values
    if hasattr(reduce, "__wrapped_by_tfdl__"):
        return

    @functools.wraps(reduce)
    def reduce_over_ranks(
        values: Any,
        sample_weight: Any = None,
        mask: Any = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> Any:
        loss = reduce(values, sample_weight=sample_weight, mask=mask, reduction=reduction, dtype=dtype)
        world = _world.get()
        is_reduced = keras.ops.ndim(values) == 0
        if world is None or world.size == 1 or is_reduced:
            return loss
        denominator = _denominator(sample_weight, mask, reduction)
        if denominator is None:
            return loss
        total = world.all_reduce(tf.stop_gradient(denominator))
        return loss * tf.cast(tf.math.divide_no_nan(world.size * denominator, total), loss.dtype)

    reduce_over_ranks.__wrapped_by_tfdl__ = True  # type: ignore[attr-defined]
    module.reduce_weighted_values = reduce_over_ranks


def _denominator(sample_weight: Any, mask: Any, reduction: str | None) -> Any:
    """What Keras divides this rank's sum by; ``None`` if it is the number of values, the same on all ranks."""
    if reduction in ("mean", "sum_over_batch_size"):
        return None if mask is None else _sum(mask)
    if reduction != "mean_with_sample_weight":
        return None
    if sample_weight is None:
        return None if mask is None else _sum(mask)
    if mask is None:
        return _sum(sample_weight)
    weights = tf.cast(sample_weight, tf.float64)
    valid = tf.cast(mask, tf.float64)
    if weights.shape.rank == valid.shape.rank + 1:
        weights = tf.squeeze(weights, -1)
    elif valid.shape.rank == weights.shape.rank + 1:
        weights = tf.expand_dims(weights, -1)
    return _sum(weights * valid)


def _sum(values: Any) -> Any:
    """In float64: float32 loses units above 2**24."""
    return tf.reduce_sum(tf.cast(values, tf.float64))
