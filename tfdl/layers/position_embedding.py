r"""Positions added to token vectors: learned, or sines and cosines."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.layers.rotary_rates import rotary_rates


@keras.saving.register_keras_serializable(package="tfdl")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector for each position, as GPT-2 and BERT do.

    Args:
        sequence_length: number of positions.
        initializer: for the table. Defaults to a normal distribution with standard deviation 0.02.

    Call arguments:
        inputs: ``(batch, time, dim)``.
        positions: integers below ``sequence_length``, ``(time,)`` for the whole batch or ``(batch, time)``. Defaults to
            0 to ``time - 1``.

    Returns:
        ``(batch, time, dim)``, in the layer's compute dtype.

    Raises:
        ValueError: ``sequence_length`` below 1, or a sequence longer than that. The latter is raised during tracing,
            where the length is static.
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
        table = tf.convert_to_tensor(self.table)  # (sequence_length, dim)
        time = inputs.shape[1]
        if time is not None and time > self.sequence_length:
            raise ValueError(
                f"a sequence of {time} tokens is longer than the model's {self.sequence_length} positions; shorten it,"
                f" or build the model with sequence_length={time}"
            )
        if positions is not None:
            rows = tf.gather(table, positions)  # (time, dim) or (batch, time, dim)
        elif time is not None:
            rows = table[:time]  # (time, dim)
        else:
            rows = table[: tf.shape(inputs)[1]]  # (time, dim)
        return inputs + tf.cast(rows, inputs.dtype)  # (batch, time, dim)

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

    with $D$ the width of the vectors. The layer has no weights, and no limit on the length of a sequence.

    Call arguments:
        inputs: ``(batch, time, dim)`` with an even ``dim``.
        positions: integers, ``(time,)`` for the whole batch or ``(batch, time)``. Defaults to 0 to ``time - 1``.

    Returns:
        ``(batch, time, dim)``, in the layer's compute dtype.

    Raises:
        ValueError: an odd ``dim``.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        dim = input_shape[-1]
        if dim is None or dim % 2:
            raise ValueError(
                f"SinusoidalPositionEmbedding got inputs of shape {tuple(input_shape)}, expected (batch, time, dim)"
                " with an even dim, for pairs of a sine and a cosine"
            )

    def call(self, inputs: Any, positions: Any = None) -> Any:
        if positions is None:
            positions = tf.range(tf.shape(inputs)[1])  # (time,)
        rates = rotary_rates(inputs.shape[-1], 10000.0)  # (dim / 2,)
        angles = position_angles(positions, rates, inputs.dtype)  # (..., time, dim / 2)
        pairs = tf.stack([tf.sin(angles), tf.cos(angles)], -1)  # (..., time, dim / 2, 2)
        waves_shape = tf.concat([tf.shape(angles)[:-1], inputs.shape[-1:]], 0)
        waves = tf.reshape(pairs, waves_shape)  # (..., time, dim)
        return inputs + tf.cast(waves, inputs.dtype)  # (batch, time, dim)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)


def position_angles(positions: Any, rates: np.ndarray, dtype: Any) -> Any:
    r"""Computes $t \, r_i$.

    Args:
        positions: integers $t$, ``(..., time)``.
        rates: $r_i$, ``(dim / 2,)``.
        dtype: dtype that the angles are used in. They are computed in float32 or wider, since bfloat16 cannot represent
            odd integers above 256.

    Returns:
        ``(..., time, dim / 2)``.
    """
    wide = tf.float64 if dtype == tf.float64 else tf.float32
    return tf.cast(positions, wide)[..., tf.newaxis] * tf.constant(rates, wide)  # (..., time, dim / 2)
