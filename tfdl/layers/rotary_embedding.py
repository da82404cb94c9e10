r"""Positions as rotations of queries and keys."""

from typing import Any

import keras
import tensorflow as tf

from tfdl.layers.position_embedding import position_angles
from tfdl.layers.rotary_rates import SCALINGS, rotary_length, rotary_rates

_SCALING_ARGUMENTS = ("scaling", "factor", "low_frequency_factor", "high_frequency_factor", "original_length")


@keras.saving.register_keras_serializable(package="tfdl")
class RotaryEmbedding(keras.layers.Layer):
    r"""Rotates pairs of a vector's values by angles proportional to its position (Su et al., 2021).

    Pair $i$ of the $d$ values is $(x_i, x_{i + d/2})$, as in Llama and GPT-NeoX. At position $t$ it is rotated by
    $\theta = t \cdot b^{-2i / d}$:

    $$y_i = x_i \cos\theta - x_{i + d/2} \sin\theta \qquad y_{i + d/2} = x_{i + d/2} \cos\theta + x_i \sin\theta$$

    The product of a rotated query and a rotated key depends only on the distance of their positions
    (https://arxiv.org/abs/2104.09864).

    Args:
        base: $b$. Larger values distinguish positions over longer distances.
        scaling: how rotations are slowed down for longer texts, see ``rotary_rates``: ``none``, ``linear``, ``llama3``
            or ``yarn``. ``yarn`` also makes the vectors longer.
        factor: by how much.
        low_frequency_factor, high_frequency_factor: which rotations ``llama3`` slows down.
        original_length: tokens of the texts of the first training, for ``llama3`` and ``yarn``.

    Call arguments:
        inputs: heads of queries or keys, ``(batch, heads, time, head_dim)`` with an even ``head_dim``.
        positions: integers, ``(time,)`` for the whole batch or ``(batch, time)``. Defaults to 0 to ``time - 1``.

    Returns:
        A tensor of the shape and dtype of ``inputs``.

    Raises:
        ValueError: ``base`` of at most 1, unknown ``scaling``, or an odd ``head_dim``.
    """

    def __init__(
        self,
        base: float = 10000.0,
        scaling: str = "none",
        factor: float = 1.0,
        low_frequency_factor: float = 1.0,
        high_frequency_factor: float = 4.0,
        original_length: int = 8192,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if base <= 1:
            raise ValueError(f"RotaryEmbedding base={base}, expected more than 1, such as 10000")
        if scaling not in SCALINGS:
            raise ValueError(f"RotaryEmbedding scaling={scaling!r}, expected one of {', '.join(SCALINGS)}")
        self.base = float(base)
        self.scaling = scaling
        self.factor = float(factor)
        self.low_frequency_factor = float(low_frequency_factor)
        self.high_frequency_factor = float(high_frequency_factor)
        self.original_length = original_length

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        head_dim = input_shape[-1]
        if head_dim is None or head_dim % 2:
            raise ValueError(
                f"RotaryEmbedding rotates pairs of values, but head_dim={head_dim}; expected an even number"
            )

    def call(self, inputs: Any, positions: Any = None) -> Any:
        if positions is None:
            positions = tf.range(tf.shape(inputs)[2])  # (time,)
        # (time, head_dim / 2) or (batch, time, head_dim / 2)
        angles = position_angles(positions, self._rates(inputs.shape[-1]), inputs.dtype)
        angles = tf.expand_dims(angles, -3)  # (1, time, head_dim / 2) or (batch, 1, time, head_dim / 2)
        length = rotary_length(self.scaling, self.factor)
        cos = tf.cast(length * tf.cos(angles), inputs.dtype)
        sin = tf.cast(length * tf.sin(angles), inputs.dtype)
        first, second = tf.split(inputs, 2, axis=-1)  # (batch, heads, time, head_dim / 2) each
        rotated_first = first * cos - second * sin
        rotated_second = second * cos + first * sin
        return tf.concat([rotated_first, rotated_second], -1)  # (batch, heads, time, head_dim)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "base": self.base, **self._scaling_arguments()}

    def _rates(self, head_dim: int) -> Any:
        """Radians for each position, ``(head_dim / 2,)``."""
        return rotary_rates(head_dim, self.base, **self._scaling_arguments())

    def _scaling_arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SCALING_ARGUMENTS}
