"""A loss scale for float16 that all ranks share."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class DynamicLossScale:
    r"""Keeps small float16 gradients from vanishing (Micikevicius et al., 2018, https://arxiv.org/abs/1710.03740).

    The loss is multiplied by $s$ and the gradients are divided by it. A step whose gradients are not finite is skipped
    and halves $s$; after ``growth_steps`` steps without one, $s$ doubles, up to ``largest``: gradients that are zero
    never overflow, and a scale that grew to infinity would never come down again.

    It looks at gradients that are *reduced* already: one rank's infinity or NaN has reached every rank through the sum,
    so all ranks skip the same steps and no further message is needed. A rank that looked at its own gradients would
    leave the others waiting in the reduction, or go on with other weights than they.

    Args:
        initial: the first $s$.
        growth_steps: good steps before $s$ doubles.
        largest: what $s$ does not grow past. 2**24 lifts the smallest number that float16 can hold to 1.
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000, largest: float = 2.0**24):
        self.growth_steps, self.largest = growth_steps, largest
        self.scale = keras.Variable(initial, dtype="float32", trainable=False, name="loss_scale")
        self.good_steps = keras.Variable(0, dtype="int32", trainable=False, name="loss_scale_good_steps")
        self.skipped_steps = keras.Variable(0, dtype="int32", trainable=False, name="loss_scale_skipped_steps")

    @property
    def variables(self) -> list[Any]:
        """What belongs to a checkpoint, and must be equal on all ranks."""
        return [self.scale, self.good_steps, self.skipped_steps]

    def scaled(self, loss: Any) -> Any:
        """``loss`` times the scale."""
        return loss * tf.cast(self.scale, loss.dtype)

    def unscaled(self, gradients: Sequence[Any]) -> list[Any]:
        """Gradients of the loss itself."""
        return [None if gradient is None else gradient / tf.cast(self.scale, gradient.dtype) for gradient in gradients]

    def update(self, finite: Any) -> None:
        """Takes note of a step: whether all of its reduced gradients were finite."""
        grown = tf.logical_and(finite, tf.equal(self.good_steps + 1, self.growth_steps))
        doubled = tf.maximum(self.scale, tf.minimum(self.scale * 2.0, self.largest))
        self.scale.assign(tf.where(finite, tf.where(grown, doubled, self.scale), self.scale * 0.5))
        self.good_steps.assign(tf.where(tf.logical_or(grown, tf.logical_not(finite)), 0, self.good_steps + 1))
        self.skipped_steps.assign_add(tf.cast(tf.logical_not(finite), tf.int32))


def all_finite(gradients: Sequence[Any]) -> Any:
    """Scalar boolean: whether no gradient holds an infinity or a NaN."""
    # x - x is 0 for a finite x and NaN otherwise; a sum of them costs one pass and no boolean tensor.
    return tf.equal(tf.add_n([tf.reduce_sum(g - g) for g in gradients if g is not None]), 0.0)
