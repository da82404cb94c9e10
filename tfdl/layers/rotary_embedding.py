r"""Positions as rotations of queries and keys."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.position_embedding import angles_of


@keras.saving.register_keras_serializable(package="tfdl")
class RotaryEmbedding(keras.layers.Layer):
    r"""Turns pairs of a vector's values by angles that grow with its position (Su et al., 2021).

    Pair $i$ of the $d$ values is $(x_i, x_{i + d/2})$, as in Llama and GPT-NeoX. At position $t$ it is turned by
    $\theta = t \cdot b^{-2i / d}$:

    $$y_i = x_i \cos\theta - x_{i + d/2} \sin\theta \qquad y_{i + d/2} = x_{i + d/2} \cos\theta + x_i \sin\theta$$

    The product of a turned query and a turned key depends on the distance of their positions alone
    (https://arxiv.org/abs/2104.09864).

    Args:
        base: $b$; larger ones keep far positions apart.

    Call arguments:
        inputs: heads of queries or keys, ``(B, H, T, d)`` with an even ``d``.
        positions: integers, ``(T,)`` for the whole batch or ``(B, T)``; 0 to ``T - 1`` if not given.

    Returns:
        A tensor of the shape and dtype of ``inputs``.

    Raises:
        ValueError: a base of at most 1, or an odd ``d``.
    """

    def __init__(self, base: float = 10000.0, **kwargs: Any):
        super().__init__(**kwargs)
        if base <= 1:
            raise ValueError(f"RotaryEmbedding base={base}, expected more than 1, such as 10000")
        self.base = float(base)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        dim = input_shape[-1]
        if dim is None or dim % 2:
            raise ValueError(
                f"RotaryEmbedding turns pairs of values, but the heads have {dim}; expected an even number"
            )

    def call(self, inputs: Any, positions: Any = None) -> Any:
        positions = tf.range(tf.shape(inputs)[2]) if positions is None else positions  # (T,) or (B, T)
        angles = angles_of(positions, inputs.shape[-1], self.base, inputs.dtype)[
            ..., tf.newaxis, :, :
        ]  # (..., 1, T, d / 2)
        cos, sin = tf.cast(tf.cos(angles), inputs.dtype), tf.cast(tf.sin(angles), inputs.dtype)
        first, second = tf.split(inputs, 2, axis=-1)  # (B, H, T, d / 2) twice
        return tf.concat([first * cos - second * sin, second * cos + first * sin], -1)  # (B, H, T, d)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "base": self.base}
