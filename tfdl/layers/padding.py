"""Padding: masks of real tokens, and means over real tokens."""

from typing import Any

import keras
import tensorflow as tf

PADDING = 0
"""The token that pads shorter texts at the end, in models that read whole texts."""


@keras.saving.register_keras_serializable(package="tfdl")
class PaddingMask(keras.layers.Layer):
    """Marks real tokens, those that are not ``PADDING``.

    Call arguments:
        inputs: tokens ``(batch, time)``.

    Returns:
        Booleans ``(batch, time)``, true for real tokens.
    """

    def call(self, inputs: Any) -> Any:
        return tf.not_equal(inputs, PADDING)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape, "bool")


@keras.saving.register_keras_serializable(package="tfdl")
class MaskedMean(keras.layers.Layer):
    """The mean over real positions.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        padding_mask: booleans ``(batch, time)``, true for positions that count. Defaults to all positions.

    Returns:
        ``(batch, dim)``; zeros for a sequence without a real position.
    """

    def call(self, inputs: Any, padding_mask: Any = None) -> Any:
        if padding_mask is None:
            return tf.reduce_mean(inputs, 1)  # (batch, dim)
        # LiteRT adds an axis to a tensor of unknown sizes by this operation, and not by tf.newaxis.
        is_real = tf.expand_dims(padding_mask, -1)  # (batch, time, 1)
        weights = tf.cast(is_real, inputs.dtype)  # (batch, time, 1)
        # Select rather than multiply by the mask: padding may hold infinities, and 0 times infinity is NaN.
        real = tf.where(is_real, inputs, tf.zeros([], inputs.dtype))  # (batch, time, dim)
        return tf.reduce_sum(real, 1) / tf.maximum(tf.reduce_sum(weights, 1), 1)  # (batch, dim)

    def compute_output_spec(self, inputs: Any, padding_mask: Any = None) -> Any:  # noqa: ARG002
        return keras.KerasTensor((inputs.shape[0], inputs.shape[2]), self.compute_dtype)
