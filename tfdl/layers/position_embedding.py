r"""Positions added to token vectors: learned, or sines and cosines."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfdl")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector for each position, as GPT-2 and BERT do.

    Args:
        sequence_length: how many positions there are.
        initializer: of the table; a normal distribution of deviation 0.02 if not given.

    Call arguments:
        inputs: ``(B, T, D)``.
        positions: integers below ``sequence_length``, ``(T,)`` for the whole batch or ``(B, T)``; 0 to ``T - 1`` if
            not given.

    Returns:
        ``(B, T, D)``, in the layer's compute dtype.

    Raises:
        ValueError: a sequence longer than the positions, told when it is traced if its length is static.
    """

    def __init__(self, sequence_length: int, initializer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        if sequence_length < 1:
            raise ValueError(f"PositionEmbedding sequence_length={sequence_length}, expected at least 1")
        self.sequence_length = sequence_length
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.02))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (self.sequence_length, input_shape[-1])
        self.table = self.add_weight(shape=shape, name="table", initializer=self.initializer, autocast=False)

    def call(self, inputs: Any, positions: Any = None) -> Any:
        table = tf.convert_to_tensor(self.table)  # (sequence_length, D)
        length = inputs.shape[1]  # T
        if length is not None and length > self.sequence_length:
            raise ValueError(
                f"a sequence of {length} tokens is longer than the {self.sequence_length} positions that the model has;"
                f" cut it, or build the model with sequence_length={length}"
            )
        if positions is None:
            rows = table[: tf.shape(inputs)[1] if length is None else length]  # (T, D)
        else:
            rows = tf.gather(table, positions)  # (T, D) or (B, T, D)
        return inputs + tf.cast(rows, inputs.dtype)  # (B, T, D)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="tfdl")
class SinusoidalPositionEmbedding(keras.layers.Layer):
    r"""Adds sines and cosines of the position (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762, section 3.5).

    $$P_{t, 2i} = \sin(t\, r_i) \qquad P_{t, 2i+1} = \cos(t\, r_i) \qquad r_i = 10000^{-2i / D}$$

    No weights, and no longest sequence.

    Call arguments:
        inputs: ``(B, T, D)`` with an even ``D``.
        positions: integers, ``(T,)`` for the whole batch or ``(B, T)``; 0 to ``T - 1`` if not given.

    Returns:
        ``(B, T, D)``, in the layer's compute dtype.

    Raises:
        ValueError: an odd ``D``.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        dim = input_shape[-1]
        if dim is None or dim % 2:
            raise ValueError(
                f"SinusoidalPositionEmbedding got inputs of shape {tuple(input_shape)}, expected (B, T, D) with an even"
                " D, for pairs of a sine and a cosine"
            )

    def call(self, inputs: Any, positions: Any = None) -> Any:
        positions = tf.range(tf.shape(inputs)[1]) if positions is None else positions  # (T,) or (B, T)
        angles = angles_of(positions, inputs.shape[-1], 10000.0, inputs.dtype)  # (..., T, D / 2)
        pairs = tf.stack([tf.sin(angles), tf.cos(angles)], -1)  # (..., T, D / 2, 2)
        waves = tf.reshape(pairs, tf.concat([tf.shape(angles)[:-1], inputs.shape[-1:]], 0))  # (..., T, D)
        return inputs + tf.cast(waves, inputs.dtype)  # (B, T, D)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)


def angles_of(positions: Any, dim: int, base: float, dtype: Any) -> Any:
    r"""$t \cdot b^{-2i / D}$ for $i$ from 0 to $D / 2 - 1$.

    Args:
        positions: integers $t$, of any shape ``(..., T)``.
        dim: $D$, even.
        base: $b$, which the slowest wave's length is $2 \pi$ times of (nearly).
        dtype: what the angles are for. They have float32 at least: bfloat16 knows no odd number above 256.

    Returns:
        ``(..., T, D / 2)``.
    """
    wide = tf.float64 if dtype == tf.float64 else tf.float32
    rates = base ** (-np.arange(0, dim, 2) / dim)  # (D / 2,)
    return tf.cast(positions, wide)[..., tf.newaxis] * tf.constant(rates, wide)
