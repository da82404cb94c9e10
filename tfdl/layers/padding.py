"""Padding: which tokens are real, and means over those that are."""

from typing import Any

import keras
import tensorflow as tf

PADDING = 0
"""The token that stands for the end of a shorter text, in models that take whole texts."""


@keras.saving.register_keras_serializable(package="tfdl")
class PaddingMask(keras.layers.Layer):
    """Tokens ``(B, T)`` to booleans ``(B, T)``, true for real tokens: those that are not ``PADDING``."""

    def call(self, inputs: Any) -> Any:
        return tf.not_equal(inputs, PADDING)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape, "bool")


@keras.saving.register_keras_serializable(package="tfdl")
class MaskedMean(keras.layers.Layer):
    """The mean over real positions, ``(B, T, D)`` to ``(B, D)``; zeros where there is none.

    Call arguments:
        inputs: ``(B, T, D)``.
        padding_mask: booleans ``(B, T)``, true for what counts; all of it if not given.
    """

    def call(self, inputs: Any, padding_mask: Any = None) -> Any:
        if padding_mask is None:
            return tf.reduce_mean(inputs, 1)
        counts = tf.cast(padding_mask, inputs.dtype)[:, :, tf.newaxis]  # (B, T, 1)
        # What is hidden is left out before it is multiplied: padding may hold anything, infinities too.
        kept = tf.where(padding_mask[:, :, tf.newaxis], inputs, tf.zeros([], inputs.dtype))
        return tf.reduce_sum(kept, 1) / tf.maximum(tf.reduce_sum(counts, 1), 1)

    def compute_output_spec(self, inputs: Any, padding_mask: Any = None) -> Any:  # noqa: ARG002
        return keras.KerasTensor((inputs.shape[0], inputs.shape[2]), self.compute_dtype)
